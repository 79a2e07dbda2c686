package deliver

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// commits gathers outcomes while one commit is under way; what waits goes together, without a timer.
type commits struct {
	mu      sync.Mutex
	events  []*held
	settled []state.Settled
	closed  bool
	wake    chan struct{}
}

func (c *commits) event(h *held) {
	c.mu.Lock()
	c.events = append(c.events, h)
	c.mu.Unlock()
	c.signal()
}

func (c *commits) due(s state.Settled) {
	c.mu.Lock()
	c.settled = append(c.settled, s)
	c.mu.Unlock()
	c.signal()
}

func (c *commits) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
}

func (c *commits) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take is the next batch, in the order it came. A delivery that was handed over is settled only after its event was
// taken, so that it never comes before it.
func (c *commits) take() (events []*held, settled []state.Settled, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	events, c.events = cut(c.events)
	settled, c.settled = cut(c.settled)
	return events, settled, c.closed
}

// cut takes what one commit holds off the front.
func cut[T any](list []T) (front, rest []T) {
	n := min(len(list), commitAtMost)
	if n == len(list) {
		return list, nil
	}
	return list[:n:n], list[n:]
}

// commit writes outcomes until it is closed and nothing is left. A store that cannot take them is asked again:
// the events stay held meanwhile, so nothing is lost and claiming stops by itself.
func (l *Loop) commit(ctx context.Context) {
	backoff := newBackoff()
	for {
		events, settled, closed := l.commits.take()
		if len(events)+len(settled) == 0 {
			if closed {
				return
			}
			<-l.commits.wake
			continue
		}
		batch := state.Commit{Events: make([]state.Outcome, len(events)), Due: settled}
		waiting := slices.ContainsFunc(settled, func(s state.Settled) bool { return s.Delivery.State == state.Waiting })
		for i, h := range events {
			batch.Events[i] = h.seal()
			waiting = waiting || slices.ContainsFunc(batch.Events[i].Deliveries, func(d state.Delivery) bool { return d.State == state.Waiting })
		}
		for {
			_, err := l.Store.Commit(context.WithoutCancel(ctx), &batch)
			if err == nil {
				backoff.reset()
				break
			}
			l.Log.Warn("cannot commit outcomes", "err", err, "events", len(events), "deliveries", len(settled))
			if errors.Is(err, state.ErrClosed) || (closed && ctx.Err() != nil) {
				return // stopping on a broken store: what was held comes again
			}
			if !l.sleep(ctx, backoff.next()) {
				closed = true
			}
		}
		l.Observer.Batch("commit", len(events)+len(settled))
		bytes := 0
		for _, h := range events {
			bytes += h.size
		}
		l.room.give(len(events), bytes)
		if waiting {
			l.wakeDue()
		}
	}
}
