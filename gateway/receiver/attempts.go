package receiver

import (
	"crypto/sha256"
	"sync"
)

// maxCounted is how many deliveries are counted at a time. Beyond it, the one that was seen first is forgotten, and would begin again at 1.
const maxCounted = 10_000

// attempts counts the requests of each delivery.
type attempts struct {
	mu    sync.Mutex
	seen  map[[sha256.Size]byte]int
	order [][sha256.Size]byte // a ring of the keys in seen
	next  int                 // the place in order of the oldest, once it is full
}

// count returns which request of its delivery this is, from 1. A request without a webhook-id is recognised by its path and body.
func (a *attempts) count(r *Received) int {
	var key [sha256.Size]byte
	if r.ID != "" {
		key = sha256.Sum256([]byte("id\x00" + r.ID))
	} else {
		key = sha256.Sum256([]byte("body\x00" + r.Method + " " + r.Path + "\x00" + string(r.Body)))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = map[[sha256.Size]byte]int{}
	}
	a.seen[key]++
	n := a.seen[key]
	switch {
	case n > 1:
	case len(a.order) < maxCounted:
		a.order = append(a.order, key)
	default:
		delete(a.seen, a.order[a.next])
		a.order[a.next] = key
		a.next = (a.next + 1) % maxCounted
	}
	return n
}
