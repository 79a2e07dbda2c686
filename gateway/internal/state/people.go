package state

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/surveygate/surveygate/rules/event"
)

// personSize is how many bytes of a person's keyed hash are kept: 96 bits make a collision among people implausible.
const personSize = 12

// People makes keyed hashes of the names of respondents, by which their events are found. Without the key a copied store
// cannot be searched for people. It is safe for concurrent use.
type People struct{ macs sync.Pool }

// NewPeople returns a People that hashes with a key of 32 bytes.
func NewPeople(key []byte) *People {
	key = slices.Clone(key)
	return &People{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// Hash returns the keyed hash of an e-mail address, a phone number or an id. Case does not matter.
func (p *People) Hash(name string) []byte {
	mac := p.macs.Get().(hash.Hash)
	defer p.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(strings.ToLower(strings.TrimSpace(name))))
	var sum [sha256.Size]byte
	return slices.Clone(mac.Sum(sum[:0])[:personSize])
}

// Hashes returns the hashes of all names of an event's respondent, each once.
func (p *People) Hashes(ev *event.Event) [][]byte {
	email, phone, external := ev.Person()
	var all [][]byte
	for _, name := range [...]string{email, phone, external} {
		if strings.TrimSpace(name) == "" {
			continue
		}
		if h := p.Hash(name); !slices.ContainsFunc(all, func(g []byte) bool { return bytes.Equal(g, h) }) {
			all = append(all, h)
		}
	}
	return all
}

// Matches reports whether a name identifies the event's respondent.
func (p *People) Matches(ev *event.Event, name string) bool {
	h := p.Hash(name)
	return slices.ContainsFunc(p.Hashes(ev), func(g []byte) bool { return bytes.Equal(g, h) })
}
