package deliver

import (
	"context"
	"sync"
)

// room bounds what is held, in events and bytes. One loop takes, many give.
type room struct {
	mu     sync.Mutex
	events int
	bytes  int
	freed  chan struct{}
}

func (r *room) init(events, bytes int) {
	r.events, r.bytes = events, bytes
	r.freed = make(chan struct{}, 1)
}

// wait returns when there is room for at least one more event; false when ctx ended first.
func (r *room) wait(ctx context.Context) bool {
	for {
		if events, bytes := r.free(); events > 0 && bytes > 0 {
			return ctx.Err() == nil
		}
		select {
		case <-r.freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (r *room) free() (events, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events, r.bytes
}

// take may go below zero: the last claim is bounded by bytes only from its second event on.
func (r *room) take(events, bytes int) {
	r.mu.Lock()
	r.events -= events
	r.bytes -= bytes
	r.mu.Unlock()
}

func (r *room) give(events, bytes int) {
	r.take(-events, -bytes)
	select {
	case r.freed <- struct{}{}:
	default:
	}
}
