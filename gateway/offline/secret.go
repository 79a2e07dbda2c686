package offline

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// Hidden is what stands wherever a secret would.
const Hidden = connectors.Hidden

// Made is a new secret, and the public key that belongs to it, if any.
type Made struct {
	Secret string `json:"secret"`
	Public string `json:"public,omitempty"`
}

// NewSecret makes a random secret for a purpose: webhook, ed25519, path or token.
func NewSecret(purpose string) (Made, error) {
	switch purpose {
	case "webhook":
		return Made{Secret: signature.NewSecret().Expose()}, nil
	case "ed25519":
		private, public := signature.NewKeyPair()
		return Made{Secret: private.Expose(), Public: public}, nil
	case "path":
		return Made{Secret: random(18)}, nil
	case "token":
		return Made{Secret: "sg_" + random(32)}, nil
	}
	return Made{}, fmt.Errorf("%q is nothing a secret is made for; webhook, ed25519, path or token", purpose)
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}
