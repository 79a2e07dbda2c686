package settings

import (
	"context"
	"time"
)

// awaitFor bounds the wait of Await: a store that is slow, or a tenant that cannot be applied, does not hold requests for longer.
const awaitFor = 2 * time.Second

// Await brings the documents that the store has of tenants into use, without the pause for further changes, and waits until they are.
// It reports whether that was so within awaitFor. Calls for one tenant at the same time share their work.
func (w *Worker) Await(ctx context.Context, tenants ...string) bool {
	over, stop := w.o.Clock.After(awaitFor)
	defer stop()
	tickets := make([]uint64, len(tenants))
	for i, name := range tenants {
		tickets[i] = w.ask(name)
	}
	for i, name := range tenants {
		for {
			applied, next := w.applied(name)
			if applied >= tickets[i] {
				break
			}
			select {
			case <-next:
			case <-over:
				return false
			case <-w.stopped:
				return false
			case <-ctx.Done():
				return false
			}
		}
	}
	return true
}

// ask makes the documents of a tenant be read once more, as soon as possible. They are in use when as many are applied as it returns.
func (w *Worker) ask(name string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tenant(name)
	t.asked++
	if now := w.o.Clock.Now(); t.busy {
		if t.again.IsZero() {
			t.again = now
		}
	} else {
		w.queue.add(name, w.o.Clock.Elapsed(), now)
		w.nudge()
	}
	return t.asked
}

// applied returns up to which call of ask a tenant's documents are in use, and a channel that is closed when there may be more.
func (w *Worker) applied(name string) (uint64, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tenant(name)
	return t.applied, t.more
}
