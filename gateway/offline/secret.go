package offline

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/signature"
)

// Hidden replaces secrets in output.
const Hidden = connectors.Hidden

// Made is a new secret with its public key, if it has one.
type Made struct {
	Secret string `json:"secret"`
	Public string `json:"public,omitempty"`
}

// NewSecret makes a random secret for a purpose: webhook, ed25519, path, token or key.
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
	case "key":
		return Made{Secret: vault.NewKey()}, nil
	}
	return Made{}, fmt.Errorf("%q is not a purpose of a secret; write webhook, ed25519, path, token or key", purpose)
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}
