package vault

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// keySize is the size of an AES-256 key in bytes.
const keySize = 32

// idForm is the form of a key's id: k1, k2 and so on.
const idForm = `k[1-9][0-9]{0,8}`

var validID = regexp.MustCompile(`^` + idForm + `$`)

// firstID is the id of a key that is given without one.
const firstID = "k1"

// key is one key with its id.
type key struct {
	id     string
	secret [keySize]byte
	block  cipher.Block
}

// Keys are the keys of a vault, the current one first. The zero value has none. They print as [secret].
type Keys struct {
	list *[]*key // a pointer, because fmt prints the fields of a struct that is in an unexported field
	// from names the place where they are written, for remedies.
	from string
}

func (k Keys) String() string               { return connectors.Hidden }
func (k Keys) GoString() string             { return connectors.Hidden }
func (k Keys) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(connectors.Hidden)) }
func (k Keys) MarshalText() ([]byte, error) { return []byte(connectors.Hidden), nil }
func (k Keys) LogValue() slog.Value         { return slog.StringValue(connectors.Hidden) }

func (k Keys) all() []*key {
	if k.list == nil {
		return nil
	}
	return *k.list
}

// IsZero reports whether there is no key.
func (k Keys) IsZero() bool { return len(k.all()) == 0 }

// Equal reports whether two gateways with these keys seal and open alike.
func (k Keys) Equal(other Keys) bool {
	return slices.EqualFunc(k.all(), other.all(), func(a, b *key) bool { return a.id == b.id && a.same(b) })
}

func (k *key) same(other *key) bool {
	return subtle.ConstantTimeCompare(k.secret[:], other.secret[:]) == 1
}

func (k Keys) current() *key {
	if k.IsZero() {
		return nil
	}
	return k.all()[0]
}

func (k Keys) find(id string) *key {
	for _, each := range k.all() {
		if each.id == id {
			return each
		}
	}
	return nil
}

// MakeKey is the command that prints a key, for remedies.
const MakeKey = "`surveygate secret --for key` prints one"

// variable is where keys are set that no file holds.
const variable = "SURVEYGATE_KEY"

// remedy says where a key is set.
func (k Keys) remedy() string {
	return "set " + cmp.Or(k.from, variable+", or key_file in the configuration") + "; " + MakeKey
}

// addRemedy says what to do about a key that is missing among these.
func (k Keys) addRemedy(id string) string {
	where := cmp.Or(k.from, variable)
	if k.IsZero() {
		return fmt.Sprintf("set %s to this key", where)
	}
	return fmt.Sprintf("add it to %s, behind the current key: `%s:…,%s:…`", where, k.current().id, id)
}

// NewKey returns a random key as text, in base64.
func NewKey() string {
	var b [keySize]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return base64.StdEncoding.EncodeToString(b[:])
}

// ParseKeys reads keys that are written at the place from: one key in base64, which gets the id k1, or several with their ids
// (`k2:…,k1:…`), the current one first. Commas and white space separate them. No error quotes the text.
func ParseKeys(text, from string) (Keys, error) {
	var all []*key
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || connectors.IsBlank(r) })
	if len(words) == 0 {
		return Keys{}, errors.New("holds no key")
	}
	for i, word := range words {
		id, encoded, named := strings.Cut(word, ":")
		switch {
		case !named && len(words) > 1:
			return Keys{}, fmt.Errorf("holds several keys, and key %d has no id: write `k2:…,k1:…`, the current one first", i+1)
		case !named:
			id, encoded = firstID, word
		case !validID.MatchString(id):
			return Keys{}, fmt.Errorf("key %d has an id that is not k1, k2 and so on", i+1)
		}
		made, err := newKey(id, encoded)
		if err != nil {
			return Keys{}, fmt.Errorf("%s %w", id, err)
		}
		for _, other := range all {
			switch {
			case other.id == made.id:
				return Keys{}, fmt.Errorf("two keys have the id %s", id)
			case other.same(made):
				return Keys{}, fmt.Errorf("%s and %s are the same key", other.id, id)
			}
		}
		all = append(all, made)
	}
	return Keys{list: &all, from: from}, nil
}

func newKey(id, encoded string) (*key, error) {
	encoded = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(encoded, "="))
	raw, err := base64.RawStdEncoding.DecodeString(encoded)
	switch {
	case err != nil:
		return nil, errors.New("is not base64")
	case len(raw) != keySize:
		return nil, fmt.Errorf("has %d bytes and needs %d", len(raw), keySize)
	case isWeak(raw):
		return nil, errors.New("is not random: it repeats a few bytes")
	}
	k := &key{id: id, secret: [keySize]byte(raw)}
	if k.block, err = aes.NewCipher(k.secret[:]); err != nil {
		return nil, err
	}
	return k, nil
}

// isWeak reports whether a key was not made at random. Of 32 random bytes, fewer than 16 different ones are expected less than
// once in 10^12 keys.
func isWeak(raw []byte) bool {
	different := map[byte]bool{}
	for _, b := range raw {
		different[b] = true
	}
	return len(different) < 16
}

// Behind returns these keys with older ones behind them. It fails if an id stands for two keys.
func (k Keys) Behind(older Keys) (Keys, error) {
	all := slices.Clone(k.all())
	for _, o := range older.all() {
		switch same := k.find(o.id); {
		case same == nil:
			all = append(all, o)
		case !same.same(o):
			return Keys{}, fmt.Errorf("%s and %s hold different keys with the id %s: give the new one another id, such as `%s:…`", k.from, older.from, o.id, nextID(all))
		}
	}
	return Keys{list: &all, from: cmp.Or(k.from, older.from)}, nil
}

// nextID returns an id above all others.
func nextID(keys []*key) string {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.id
	}
	return idAbove(ids)
}

func idAbove(ids []string) string {
	highest := 0
	for _, id := range ids {
		n, _ := strconv.Atoi(strings.TrimPrefix(id, "k")) // ids have this form
		highest = max(highest, n)
	}
	return "k" + strconv.Itoa(highest+1)
}
