package signature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/surveygate/surveygate/connectors"
)

// Prefixes of keys in Standard Webhooks.
const (
	prefixSymmetric = "whsec_"
	prefixPrivate   = "whsk_"
	prefixPublic    = "whpk_"
)

// minKey is the shortest symmetric key of Standard Webhooks.
const minKey = 24

// keyKind says how a secret's text becomes a key.
type keyKind uint8

const (
	keyText  keyKind = iota // the text itself
	keyWhsec                // base64, with or without whsec_ before it
	keyWhsk                 // whsk_ and base64: ed25519
	keyBase64
	keyHex
)

var (
	errEmptySecret = errors.New("the secret is empty")
	errWhsec       = errors.New("the secret is not base64, with or without whsec_ before it; `surveygate secret` prints one")
	errWhsk        = errors.New("the secret is no whsk_ followed by base64 of 32 or 64 bytes")
	errWhpk        = errors.New("the key is no whpk_ followed by base64 of 32 bytes")
	errKeyBase64   = errors.New("the secret is not base64")
	errKeyHex      = errors.New("the secret is not hexadecimal")
)

// bytes decodes a text. Errors never repeat it.
func (k keyKind) bytes(text string) ([]byte, error) {
	var out []byte
	var err error
	switch k {
	case keyWhsec:
		// The libraries of Standard Webhooks accept a secret without its prefix.
		if out, err = decodeBase64(strings.TrimPrefix(text, prefixSymmetric)); err != nil {
			return nil, errWhsec
		}
	case keyBase64:
		if out, err = decodeBase64(text); err != nil {
			return nil, errKeyBase64
		}
	case keyHex:
		if out, err = hex.DecodeString(text); err != nil {
			return nil, errKeyHex
		}
	default:
		out = []byte(text)
	}
	if len(out) == 0 {
		return nil, errEmptySecret
	}
	return out, nil
}

// decodeBase64 reads base64 with or without padding, because not all tools write it and not all libraries require it.
func decodeBase64(text string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
}

// privateKeys caches the keys in use: deriving one from its seed costs as much as a signature.
var privateKeys sync.Map // of connectors.Secret to ed25519.PrivateKey

// privateKey reads whsk_: the seed, or the seed and the public key behind it.
func privateKey(s connectors.Secret) (ed25519.PrivateKey, error) {
	if key, ok := privateKeys.Load(s); ok {
		return key.(ed25519.PrivateKey), nil
	}
	key, err := readPrivateKey(s)
	if err == nil {
		privateKeys.Store(s, key)
	}
	return key, err
}

func readPrivateKey(s connectors.Secret) (ed25519.PrivateKey, error) {
	rest, found := strings.CutPrefix(s.Expose(), prefixPrivate)
	b, err := decodeBase64(rest)
	if err != nil || !found {
		return nil, errWhsk
	}
	switch len(b) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(b), nil
	case ed25519.PrivateKeySize:
		key := ed25519.NewKeyFromSeed(b[:ed25519.SeedSize])
		if !bytes.Equal(key, b) {
			return nil, errors.New("the two halves of the whsk_ key do not belong together")
		}
		return key, nil
	}
	return nil, errWhsk
}

// publicKey reads whpk_, or derives the public key of a whsk_.
func publicKey(s connectors.Secret) (ed25519.PublicKey, error) {
	text := s.Expose()
	if strings.HasPrefix(text, prefixPrivate) {
		key, err := privateKey(s)
		if err != nil {
			return nil, err
		}
		return key.Public().(ed25519.PublicKey), nil
	}
	rest, found := strings.CutPrefix(text, prefixPublic)
	b, err := decodeBase64(rest)
	if err != nil || !found || len(b) != ed25519.PublicKeySize {
		return nil, errWhpk
	}
	return b, nil
}

// NewSecret makes a secret for `standard`: whsec_ and 32 random bytes.
func NewSecret() connectors.Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return connectors.NewSecret(prefixSymmetric + base64.StdEncoding.EncodeToString(b[:]))
}

// NewKeyPair makes a key for `ed25519` (whsk_) and the public one (whpk_) that its receivers verify with.
func NewKeyPair() (private connectors.Secret, public string) {
	var seed [ed25519.SeedSize]byte
	_, _ = rand.Read(seed[:])
	key := ed25519.NewKeyFromSeed(seed[:])
	return connectors.NewSecret(prefixPrivate + base64.StdEncoding.EncodeToString(key)),
		prefixPublic + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// PublicKey returns the whpk_ that belongs to a whsk_.
func PublicKey(private connectors.Secret) (string, error) {
	key, err := privateKey(private)
	if err != nil {
		return "", err
	}
	return prefixPublic + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)), nil
}

// Several reports whether a style carries one signature for each secret, so that receivers may know either while rotating.
// The others carry one, made with the first secret. It is false for an unknown style.
func Several(sig connectors.Signature) bool {
	s, err := styleOf(sig)
	return err == nil && s.several
}

// Check returns the fault of a webhook's signature and secrets before anything is signed with them: no secret,
// one that is too short or not of its style's form, or a custom style that cannot work. It never repeats a secret.
func Check(sig connectors.Signature, secrets []connectors.Secret) error {
	s, err := styleOf(sig)
	if err != nil {
		return err
	}
	if s.name == styleNone || s.name == styleChatToSurvey {
		if len(secrets) > 0 {
			return fmt.Errorf("signature `%s` signs nothing, so its secrets would never be used", s.name)
		}
		return nil
	}
	if len(secrets) == 0 {
		return fmt.Errorf("signature `%s` needs a secret; `signature: none` sends unsigned", s.name)
	}
	for i, secret := range secrets {
		if err := s.checkSecret(secret); err != nil {
			if len(secrets) > 1 {
				return fmt.Errorf("secret %d: %w", i+1, err)
			}
			return err
		}
	}
	return nil
}

func (s *style) checkSecret(secret connectors.Secret) error {
	if secret.IsZero() {
		return errEmptySecret
	}
	if s.keyed == keyWhsk {
		_, err := privateKey(secret)
		return err
	}
	b, err := s.keyed.bytes(secret.Expose())
	if err != nil {
		return err
	}
	if s.keyed == keyWhsec && len(b) < minKey {
		return tooShort(len(b))
	}
	return nil
}

func tooShort(n int) error {
	return fmt.Errorf("the whsec_ key has %d bytes and needs %d; `surveygate secret` prints one", n, minKey)
}
