package settings

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// A masked value stands for a secret in what the API answers. It is a closed form: dots, a hyphen and 8 hexadecimal digits of an
// HMAC of the secret. Sent back at the place of the secret it stands for, the secret stays. Anywhere else it is refused, so that a
// mask is never stored as a value.

const dots = "••••••••"

// Masks masks secrets with a key of the store, so that all replicas mask alike.
type Masks struct {
	// Key returns the key, which is the same on all replicas.
	Key func() []byte
}

// Mask returns the masked value of a secret.
func (m Masks) Mask(secret connectors.Secret) string {
	sum := hmac.New(sha256.New, m.Key())
	sum.Write([]byte("surveygate mask 1\x00"))
	sum.Write([]byte(secret.Expose())) //nolint:forbidigo // the digest of a secret is what a mask shows
	return dots + "-" + hex.EncodeToString(sum.Sum(nil)[:4])
}

// nearMask is what is left of a mask that lost some of its dots or digits.
var nearMask = regexp.MustCompile(`•+-[0-9a-f]{4}`)

// isMask reports whether a text is, or holds, something that only a mask has.
func isMask(text string) bool { return strings.Contains(text, dots) || nearMask.MatchString(text) }
