package state

import (
	"context"
	"sync"
)

// Watchers are told of changed settings; engines share them. The zero value is ready. What a slow one has not received yet is kept once for each name, so that it
// is bounded by the settings there are, and the last change of each name always arrives.
type Watchers struct {
	mu     sync.Mutex
	all    map[*watcher]struct{}
	closed bool
	ended  sync.WaitGroup
}

type watcher struct {
	tenant string
	mu     sync.Mutex
	order  []Change
	waits  map[Change]bool
	wake   chan struct{}
	stop   chan struct{}
}

// Watch receives what Notify is told of a tenant, "*" is all, until ctx ends or the watchers are closed.
func (ws *Watchers) Watch(ctx context.Context, tenant string) (<-chan Change, error) {
	w := &watcher{tenant: tenant, waits: map[Change]bool{}, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	out := make(chan Change)
	ws.mu.Lock()
	if ws.closed {
		ws.mu.Unlock()
		return nil, ErrClosed
	}
	if ws.all == nil {
		ws.all = map[*watcher]struct{}{}
	}
	ws.all[w] = struct{}{}
	ws.ended.Add(1)
	ws.mu.Unlock()
	go func() {
		defer ws.ended.Done()
		defer close(out)
		w.run(ctx, out)
		ws.mu.Lock()
		delete(ws.all, w)
		ws.mu.Unlock()
	}()
	return out, nil
}

func (w *watcher) run(ctx context.Context, out chan<- Change) {
	for {
		w.mu.Lock()
		var next Change
		some := len(w.order) > 0
		if some {
			next = w.order[0]
			w.order = w.order[1:]
			// From here on a change of that name is news again: what is sent may be received before it.
			delete(w.waits, next)
		}
		w.mu.Unlock()
		if !some {
			select {
			case <-w.wake:
				continue
			case <-ctx.Done():
			case <-w.stop:
			}
			return
		}
		select {
		case out <- next:
		case <-ctx.Done():
			return
		case <-w.stop:
			return
		}
	}
}

// Notify has every watcher of its tenant hear of a change. It does not wait for them.
func (ws *Watchers) Notify(c Change) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		if w.tenant != "*" && w.tenant != c.Tenant {
			continue
		}
		w.mu.Lock()
		if !w.waits[c] {
			w.waits[c] = true
			w.order = append(w.order, c)
		}
		w.mu.Unlock()
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Close ends all watchers, and waits for them.
func (ws *Watchers) Close() {
	ws.mu.Lock()
	ws.closed = true
	for w := range ws.all {
		close(w.stop)
	}
	ws.mu.Unlock()
	ws.ended.Wait()
}
