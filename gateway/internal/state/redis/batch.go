package redis

import (
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	inFlight  = 2       // scripts of one batcher at a time
	groupMost = 512     // events or deliveries in one script
	groupSize = 4 << 20 // bytes in one script
)

// batched is a call that can share a script with others.
type batched interface {
	weight() (items, bytes int)
	done(err error)
}

// batcher sends waiting calls together, without timers. A single call is sent at once. While inFlight scripts are running,
// further calls wait and share the next one.
type batcher[T batched] struct {
	send func(group []T)

	mu      sync.Mutex
	waiting []T
	flying  int
	closed  bool
	idle    sync.Cond
}

func newBatcher[T batched](send func([]T)) *batcher[T] {
	b := &batcher[T]{send: send}
	b.idle.L = &b.mu
	return b
}

func (b *batcher[T]) add(call T) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		call.done(state.ErrClosed)
		return
	}
	b.waiting = append(b.waiting, call)
	if b.flying == inFlight {
		b.mu.Unlock()
		return
	}
	b.flying++
	b.mu.Unlock()
	go b.fly()
}

func (b *batcher[T]) fly() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.waiting) > 0 {
		n, items, bytes := 0, 0, 0
		for n < len(b.waiting) {
			i, by := b.waiting[n].weight()
			if n > 0 && (items+i > groupMost || bytes+by > groupSize) {
				break
			}
			items, bytes, n = items+i, bytes+by, n+1
		}
		group := append([]T(nil), b.waiting[:n]...)
		rest := copy(b.waiting, b.waiting[n:])
		clear(b.waiting[rest:])
		b.waiting = b.waiting[:rest]
		b.mu.Unlock()
		b.send(group)
		b.mu.Lock()
	}
	b.flying--
	b.idle.Broadcast()
}

// close waits for the calls that were added and refuses further ones.
func (b *batcher[T]) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for b.flying > 0 {
		b.idle.Wait()
	}
}
