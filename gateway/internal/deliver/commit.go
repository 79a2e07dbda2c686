package deliver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// commits collects outcomes while a commit is under way. The next commit takes all of them, without a timer.
type commits struct {
	mu      sync.Mutex // guards all but wake
	events  []*claim
	settled []settlement
	closed  bool
	wake    chan struct{}
}

// settlement is a settled delivery from the due-queue, or of an event that was committed before.
type settlement struct {
	state.Settled

	arrival arrival
}

func (c *commits) addEvent(claim *claim) {
	c.mu.Lock()
	c.events = append(c.events, claim)
	c.mu.Unlock()
	c.signal()
}

func (c *commits) addDue(s settlement) {
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

// take returns the next batch, in order. A delivery that was handed over is settled after its event was taken, so that it is never
// committed before the event.
func (c *commits) take() (events []*claim, settled []settlement, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	events, c.events = splitCommit(c.events)
	settled, c.settled = splitCommit(c.settled)
	return events, settled, c.closed
}

// splitCommit splits off what fits into one commit.
func splitCommit[T any](list []T) (front, rest []T) {
	n := min(len(list), commitAtMost)
	if n == len(list) {
		return list, nil
	}
	return list[:n:n], list[n:]
}

// commit writes outcomes until it is closed and nothing is left. A store that cannot take them is asked again:
// the events stay claimed meanwhile, so nothing is lost and claiming stops by itself.
func (l *Loop) commit(ctx context.Context) {
	for {
		events, settled, closed := l.commits.take()
		if len(events)+len(settled) == 0 {
			if closed {
				return
			}
			<-l.commits.wake
			continue
		}
		batch := newCommitBatch(len(events), settled)
		waiting := slices.ContainsFunc(settled, func(s settlement) bool { return s.Delivery.State == state.Waiting })
		bytes := 0
		for i, c := range events {
			batch.Events[i], batch.arrivals[i] = c.seal(), c.arrival
			waiting = waiting || slices.ContainsFunc(batch.Events[i].Deliveries, func(d state.Delivery) bool { return d.State == state.Waiting })
			bytes += c.size
		}
		if !l.write(ctx, batch) {
			return // stopping on a broken store: what was claimed is claimed again
		}
		crashpoint.At(crashpoint.Committed)
		l.Observer.Batch("commit", len(events)+len(settled))
		l.capacity.give(len(events), bytes)
		l.endSuspect(events)
		if waiting {
			l.wakeDue()
		}
	}
}

// commitBatch is what is committed in one step.
type commitBatch struct {
	state.Commit

	arrivals, dueArrivals []arrival // of the events of Events and of Due
}

// arrival is what is known of an event when one of its deliveries ends.
type arrival struct {
	at        time.Time
	eventType string
}

// newCommitBatch returns a batch of n events that are still to be filled in, and of settled deliveries.
func newCommitBatch(n int, settled []settlement) *commitBatch {
	b := &commitBatch{arrivals: make([]arrival, n), dueArrivals: make([]arrival, len(settled))}
	b.Events, b.Due = make([]state.Outcome, n), make([]state.Settled, len(settled))
	for i := range settled {
		b.Due[i], b.dueArrivals[i] = settled[i].Settled, settled[i].arrival
	}
	return b
}

// event returns the batch of one event, and due that of one settled delivery.
func (b *commitBatch) event(i int) *commitBatch {
	return &commitBatch{Commit: state.Commit{Events: b.Events[i : i+1]}, arrivals: b.arrivals[i : i+1]}
}

func (b *commitBatch) due(i int) *commitBatch {
	return &commitBatch{Commit: state.Commit{Due: b.Due[i : i+1]}, dueArrivals: b.dueArrivals[i : i+1]}
}

// countEnded reports the deliveries that a commit has ended, and leaves out those whose fence was lost: another holder ends them. A commit
// that Redis applied although its answer was lost reads so too when it is repeated: its deliveries are then counted by nobody, and never
// twice.
func (l *Loop) countEnded(batch *commitBatch, done *state.Committed) {
	if done == nil {
		return
	}
	for i := range batch.Events {
		if !done.Events[i] {
			continue
		}
		for j := range batch.Events[i].Deliveries {
			if d := &batch.Events[i].Deliveries[j]; d.State != state.Waiting {
				l.ended(d, batch.arrivals[i])
			}
		}
	}
	for i := range batch.Due {
		if d := &batch.Due[i].Delivery; done.Due[i] && d.State != state.Waiting {
			l.ended(d, batch.dueArrivals[i])
		}
	}
}

func (l *Loop) ended(d *state.Delivery, a arrival) {
	l.Observer.Ended(d, a.at)
	if l.Died != nil && d.State == state.Dead {
		l.Died(d, a.eventType)
	}
}

// write commits a batch, however long the store takes for it; false where ctx ended first.
func (l *Loop) write(ctx context.Context, batch *commitBatch) bool {
	backoff := newBackoff()
	for {
		done, err := l.Store.Commit(context.WithoutCancel(ctx), &batch.Commit)
		l.commitFailing.Store(err != nil && !errors.Is(err, state.ErrInvalid))
		switch {
		case err == nil:
			l.countEnded(batch, done)
			return true
		case errors.Is(err, state.ErrInvalid):
			return l.writeEach(ctx, batch, err)
		}
		l.Log.Warn("cannot commit outcomes", "err", err, "events", len(batch.Events), "deliveries", len(batch.Due))
		if ctx.Err() != nil || errors.Is(err, state.ErrClosed) {
			return false
		}
		l.sleep(ctx, backoff.next())
	}
}

// writeEach commits the parts of a batch one by one, so that an invalid one delays no other, and ends the invalid one.
func (l *Loop) writeEach(ctx context.Context, batch *commitBatch, err error) bool {
	if len(batch.Events)+len(batch.Due) == 1 {
		return l.commitDead(ctx, batch, err)
	}
	for i := range batch.Events {
		if !l.write(ctx, batch.event(i)) {
			return false
		}
	}
	for i := range batch.Due {
		if !l.write(ctx, batch.due(i)) {
			return false
		}
	}
	return true
}

// commitDead makes an event a dead letter if the store can never apply its outcome.
func (l *Loop) commitDead(ctx context.Context, batch *commitBatch, err error) bool {
	if len(batch.Events) == 0 {
		d := &batch.Due[0].Delivery
		l.Log.Error("the end of a delivery cannot be kept", "tenant", d.Tenant, "delivery", d.ID, "err", err)
		return true
	}
	o := &batch.Events[0]
	l.Log.Error("an outcome cannot be kept", "tenant", o.Tenant, "event", o.EventID, "err", err)
	if o.Dead != "" {
		return true
	}
	return l.write(ctx, &commitBatch{arrivals: batch.arrivals, Commit: state.Commit{Events: []state.Outcome{{
		Position: o.Position, Tenant: o.Tenant, EventID: o.EventID, Generation: o.Generation, At: o.At, Rules: o.Rules,
		Free: o.Free, Dead: "its outcome cannot be kept: " + err.Error(),
	}}}})
}
