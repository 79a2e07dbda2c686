package deliver

import (
	"context"
	"errors"
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

// take is the next batch, in the order it came. Events go first, so that what was handed over is there when it is settled.
func (c *commits) take() (events []*held, settled []state.Settled, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.events), commitAtMost)
	events, c.events = c.events[:n:n], c.events[n:]
	if len(c.events) == 0 {
		c.events = nil
		m := min(len(c.settled), commitAtMost)
		settled, c.settled = c.settled[:m:m], c.settled[m:]
		if len(c.settled) == 0 {
			c.settled = nil
		}
	}
	return events, settled, c.closed
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
		waiting := false
		for i, h := range events {
			batch.Events[i] = h.outcome
			for k := range h.outcome.Deliveries {
				waiting = waiting || h.outcome.Deliveries[k].State == state.Waiting
			}
		}
		for i := range settled {
			waiting = waiting || settled[i].Delivery.State == state.Waiting
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
			bytes += h.claimed.Event.Size()
		}
		l.room.give(len(events), bytes)
		if waiting {
			l.wakeDue()
		}
	}
}
