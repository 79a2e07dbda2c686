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

// personSize is how many bytes of a person's keyed hash are kept: at 96 bits no two of any plausible number meet.
const personSize = 12

// People hashes what names respondents, so that events are found by it. The key keeps a copied store from being
// searched for people. It is safe for concurrent use.
type People struct{ macs sync.Pool }

// NewPeople hashes with a key, which has 32 bytes.
func NewPeople(key []byte) *People {
	key = slices.Clone(key)
	return &People{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// Person is the keyed hash of an e-mail address, a phone number or an id, in whatever case.
func (p *People) Hash(name string) []byte {
	mac := p.macs.Get().(hash.Hash)
	defer p.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(strings.ToLower(strings.TrimSpace(name))))
	var sum [sha256.Size]byte
	return slices.Clone(mac.Sum(sum[:0])[:personSize])
}

// Of are the hashes of everything that names an event's respondent, each once.
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

// Is says whether an event's respondent has that name.
func (p *People) Matches(ev *event.Event, name string) bool {
	h := p.Hash(name)
	return slices.ContainsFunc(p.Hashes(ev), func(g []byte) bool { return bytes.Equal(g, h) })
}
