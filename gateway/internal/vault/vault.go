// Package vault seals the secrets that the store must hold. It is the only package that imports crypto/cipher.
//
// A sealed value is text, `k2:…`: the id of its key, and AES-256-GCM in base64. It opens only for the tenant, kind, name and
// field that it was sealed for, so that a value copied to another place of the store is refused.
//
// Sealed values live in JSON settings, each under the key that is its field: {"refresh_token": "k2:…"} is sealed for the field
// refresh_token. Reseal finds them by this rule.
package vault

import (
	"context"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ErrNoKey means that the key is missing that a value must be sealed or opened with.
var ErrNoKey = errors.New("the key is missing")

// Options are the dependencies of a Vault; all are required.
type Options struct {
	// Keys may be empty: then nothing can be sealed or opened.
	Keys Keys
	// Store holds the settings with sealed values, and marks of the keys that are in use.
	Store state.Settings
}

// Vault seals and opens secrets. Make it with New; it is safe for concurrent use.
type Vault struct{ options Options }

// New returns a vault. Call Prove before it is used.
func New(o Options) *Vault { return &Vault{o} }

// HasKey reports whether the vault can seal.
func (v *Vault) HasKey() bool { return !v.options.Keys.IsZero() }

// sealedForm matches sealed text: an id and at least a nonce and a tag. Its characters are never escaped in JSON.
var sealedForm = regexp.MustCompile(`^(` + idForm + `):([A-Za-z0-9_-]{38,})$`)

// keyID returns the id of the key of a sealed text; "" if the text is not in that form.
func keyID(sealed string) string {
	if found := sealedForm.FindStringSubmatch(sealed); found != nil {
		return found[1]
	}
	return ""
}

// markTimeout bounds a call of the store by Seal, which has no context of its own.
const markTimeout = 10 * time.Second

// Seal seals a secret with the current key. It first records in the store that the key is needed there, so that it fails with
// state.ErrUnavailable if the store does.
func (v *Vault) Seal(tenant, kind, name, field string, plain []byte) (string, error) {
	key := v.options.Keys.current()
	if key == nil {
		return "", fmt.Errorf("%w: nothing can be sealed; %s", ErrNoKey, v.options.Keys.remedy())
	}
	ctx, cancel := context.WithTimeout(context.Background(), markTimeout)
	defer cancel()
	if _, err := v.mark(ctx, key, placeMark(key.id, tenant, kind)); err != nil {
		if errors.Is(err, context.DeadlineExceeded) { // of markTimeout, not of the caller
			err = fmt.Errorf("%w: %w", state.ErrUnavailable, err)
		}
		return "", fmt.Errorf("seal %s of %s %s: %w", field, kind, name, err)
	}
	return key.seal(place{tenant, kind, name, field}, plain), nil
}

// SealOut seals as Seal does and records nothing. It is for a value that the store does not keep, such as a cookie, so that nobody waits
// for it to be sealed anew before its key is taken out; and for one that is written in one batch with Mark.
func (v *Vault) SealOut(tenant, kind, name, field string, plain []byte) (string, error) {
	key := v.options.Keys.current()
	if key == nil {
		return "", fmt.Errorf("%w: nothing can be sealed; %s", ErrNoKey, v.options.Keys.remedy())
	}
	return key.seal(place{tenant, kind, name, field}, plain), nil
}

// Mark returns the write that records that the current key is needed for the settings of a kind of a tenant: what SealOut sealed for
// them is written together with it.
func (v *Vault) Mark(tenant, kind string) (state.Write, error) {
	key := v.options.Keys.current()
	if key == nil {
		return state.Write{}, fmt.Errorf("%w: nothing can be sealed; %s", ErrNoKey, v.options.Keys.remedy())
	}
	name := placeMark(key.id, tenant, kind)
	value, err := key.markValue(name)
	return state.Write{Tenant: systemTenant, Kind: kindMark, Name: name, Verb: state.Ensure, Value: value}, err
}

// Open returns the secret that was sealed for this place. It fails with ErrNoKey if the vault does not have the key. No error
// quotes the value.
func (v *Vault) Open(tenant, kind, name, field, sealed string) ([]byte, error) {
	plain, err := v.open(place{tenant, kind, name, field}, sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s of %s %s: %w", field, kind, name, err)
	}
	return plain, nil
}

func (v *Vault) open(at place, sealed string) ([]byte, error) {
	id := keyID(sealed)
	if id == "" {
		return nil, errors.New("it is not a sealed value")
	}
	key := v.options.Keys.find(id)
	if key == nil {
		return nil, fmt.Errorf("%w: the value is sealed with %s, which this gateway does not have; %s", ErrNoKey, id, v.options.Keys.addRemedy(id))
	}
	return key.open(at, sealed)
}

// SealedWith returns the id of the key of a sealed value; "" if the text is not in that form.
func SealedWith(text string) string { return keyID(text) }

// KeyIDs returns the ids of the keys that the vault has, the current one first.
func (v *Vault) KeyIDs() []string {
	var ids []string
	for _, k := range v.options.Keys.all() {
		ids = append(ids, k.id)
	}
	return ids
}

// place is what a value is sealed for.
type place struct{ tenant, kind, name, field string }

// additionalData frames every part by its length, so that no two places have the same bytes.
func (p place) additionalData(id string) []byte {
	b := []byte("surveygate vault 1")
	for _, part := range []string{id, p.tenant, p.kind, p.name, p.field} {
		b = state.AppendText(b, part)
	}
	return b
}

// aead returns AES-256-GCM with random 96-bit nonces, which are safe for 2^32 values of one key.
// https://nvlpubs.nist.gov/nistpubs/Legacy/SP/nistspecialpublication800-38d.pdf (8.3)
func (k *key) aead() cipher.AEAD {
	sealer, err := cipher.NewGCMWithRandomNonce(k.block)
	if err != nil {
		panic(err) // only for blocks of another size than AES'
	}
	return sealer
}

func (k *key) seal(at place, plain []byte) string {
	sealed := k.aead().Seal(nil, nil, plain, at.additionalData(k.id)) //nolint:gosec // no nonce is given: each is random, and precedes the text
	return k.id + ":" + base64.RawURLEncoding.EncodeToString(sealed)
}

func (k *key) open(at place, sealed string) ([]byte, error) {
	_, text, _ := strings.Cut(sealed, ":")
	// Strict refuses bits that decoding would drop, so that every change of the text is noticed.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		var plain []byte
		if plain, err = k.aead().Open(nil, nil, raw, at.additionalData(k.id)); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("it does not open with %s: the value was changed, or was sealed for another place or with another key of that id", k.id)
}
