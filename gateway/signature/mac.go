package signature

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // SurveyMonkey and some receivers sign with HMAC-SHA1, which is not broken as collisions of SHA-1 are.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"
)

// algorithm is the hash under an HMAC.
type algorithm uint8

const (
	sha256Hash algorithm = iota
	sha1Hash
	sha512Hash
)

func parseAlgorithm(name string) (algorithm, error) {
	switch name {
	case "", "sha256":
		return sha256Hash, nil
	case "sha1":
		return sha1Hash, nil
	case "sha512":
		return sha512Hash, nil
	}
	return 0, fmt.Errorf("`%s` is no hash; one of sha1, sha256, sha512", name)
}

func (a algorithm) new() hash.Hash {
	switch a {
	case sha1Hash:
		return sha1.New()
	case sha512Hash:
		return sha512.New()
	default:
		return sha256.New()
	}
}

func (a algorithm) size() int {
	switch a {
	case sha1Hash:
		return sha1.Size
	case sha512Hash:
		return sha512.Size
	default:
		return sha256.Size
	}
}

// encoding says how a signature is written.
type encoding uint8

const (
	hexText encoding = iota
	base64Text
)

func parseEncoding(name string) (encoding, error) {
	switch name {
	case "", "hex":
		return hexText, nil
	case "base64":
		return base64Text, nil
	}
	return 0, fmt.Errorf("`%s` is no encoding; one of hex, base64", name)
}

func (e encoding) text(sum []byte) string {
	var buf [2 * sha512.Size]byte
	if e == base64Text {
		return string(base64.StdEncoding.AppendEncode(buf[:0], sum))
	}
	return string(hex.AppendEncode(buf[:0], sum))
}

// decode reads a signature of exactly size bytes into into; false for anything else.
func (e encoding) decode(into []byte, text string, size int) ([]byte, bool) {
	var buf [2 * sha512.Size]byte
	var err error
	if e == base64Text {
		// The length is compared first, because the decoder skips line ends inside.
		if len(text) != base64.StdEncoding.EncodedLen(size) {
			return nil, false
		}
		into, err = base64.StdEncoding.AppendDecode(into[:0], append(buf[:0], text...))
	} else {
		if len(text) != hex.EncodedLen(size) {
			return nil, false
		}
		into, err = hex.AppendDecode(into[:0], append(buf[:0], text...))
	}
	return into, err == nil && len(into) == size
}

// mac is a reusable keyed hash, with buffers for its sum and for the text around a body.
type mac struct {
	h      hash.Hash
	buf    [sha512.Size]byte
	around []byte
}

func (m *mac) sum() []byte { return m.h.Sum(m.buf[:0]) }

// write hashes a template of {id}, {timestamp} and {body} without copying the body.
func (m *mac) write(t template, id, at string, body []byte) {
	m.around = m.around[:0]
	for i := range t {
		switch s := &t[i]; s.name {
		case "":
			m.around = append(m.around, s.text...)
		case "id":
			m.around = append(m.around, id...)
		case "timestamp":
			m.around = append(m.around, at...)
		case "body":
			m.flush()
			_, _ = m.h.Write(body) // a hash never fails
		}
	}
	m.flush()
}

func (m *mac) flush() {
	if len(m.around) > 0 {
		_, _ = m.h.Write(m.around)
		m.around = m.around[:0]
	}
}

// key pools the macs of one key. Making a mac hashes two blocks of the key and allocates four times; a pooled one starts
// again from its saved state, which makes a signature of a small body cheap.
type key struct{ pool sync.Pool }

func newKey(a algorithm, bytes []byte) *key {
	k := &key{}
	k.pool.New = func() any { return &mac{h: hmac.New(a.new, bytes)} }
	return k
}

func (k *key) take() *mac {
	m := k.pool.Get().(*mac)
	m.h.Reset()
	return m
}

func (k *key) put(m *mac) { k.pool.Put(m) }

// keyring caches the keys in use by their text.
type keyring struct {
	mu   sync.RWMutex
	keys map[keyName]*key
}

type keyName struct {
	algorithm algorithm
	kind      keyKind
	text      string
}

// maxKeys bounds the cache: far more than a gateway has secrets, and little memory.
const maxKeys = 1 << 14

var keys = &keyring{keys: make(map[keyName]*key)}

// find returns the key of a secret's text; an error if the text does not have the form of its kind.
func (r *keyring) find(a algorithm, kind keyKind, text string) (*key, error) {
	name := keyName{a, kind, text}
	r.mu.RLock()
	k := r.keys[name]
	r.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	bytes, err := kind.bytes(text)
	if err != nil {
		return nil, err
	}
	k = newKey(a, bytes)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) >= maxKeys {
		clear(r.keys)
	}
	r.keys[name] = k
	return k, nil
}
