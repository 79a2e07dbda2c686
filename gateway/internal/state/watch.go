package state

import (
	"context"
	"sync"
)

// Watchers are the subscribers to changes of settings; both engines use it. The zero value is ready. Changes that a slow
// watcher has not received yet are queued once per name: the queue is bounded by the number of settings, and the last change
// of each name always arrives.
type Watchers struct {
	mu     sync.Mutex
	all    map[*watcher]struct{}
	closed bool
	ended  sync.WaitGroup
}

type watcher struct {
	tenant string
	mu     sync.Mutex
	queue  []Change
	queued map[Change]bool
	wake   chan struct{}
	stop   chan struct{}
}

// Watch returns a channel that receives the changes of a tenant that Notify is called with, until ctx ends or the watchers
// are closed; "*" means all tenants.
func (ws *Watchers) Watch(ctx context.Context, tenant string) (<-chan Change, error) {
	w := &watcher{tenant: tenant, queued: map[Change]bool{}, wake: make(chan struct{}, 1), stop: make(chan struct{})}
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
		some := len(w.queue) > 0
		if some {
			next = w.queue[0]
			w.queue = w.queue[1:]
			// A change of that name after this point is queued again: the receiver may read the setting before it.
			delete(w.queued, next)
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

// Notify passes a change to every watcher of its tenant. It does not wait for them.
func (ws *Watchers) Notify(c Change) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		if w.tenant != "*" && w.tenant != c.Tenant {
			continue
		}
		w.mu.Lock()
		if !w.queued[c] {
			w.queued[c] = true
			w.queue = append(w.queue, c)
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
