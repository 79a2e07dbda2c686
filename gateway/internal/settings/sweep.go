package settings

import (
	"context"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// sweeps compares the store with what is applied every sweepEvery, so that a change whose message was missed is applied too.
func (w *Worker) sweeps(ctx context.Context) {
	for {
		again, stop := w.o.Clock.After(sweepEvery)
		select {
		case <-again:
		case <-ctx.Done():
			stop()
			return
		}
		if err := w.Sweep(ctx); err != nil && ctx.Err() == nil {
			w.o.Log.Warn("cannot compare the documents in the store with those in use", "err", err)
		}
	}
}

// Sweep marks the tenants whose last change is not applied; Run does this every minute. A tenant that the index lacks has not changed:
// only a store that lost its data lacks one, and Restore is for that. If the store went back to an older state, its documents count,
// because nobody knows which of them were changed on purpose; the log names the tenants.
func (w *Worker) Sweep(ctx context.Context) error {
	last, err := w.o.Store.LastChanges(ctx, state.KindDocument)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range last {
		t := w.tenant(l.Tenant)
		if t.version == l.Version || t.busy {
			continue
		}
		if l.Version < t.version {
			w.o.Log.Error("the store has an older state of a tenant's documents than was in use: they are used as the store has them; compare them with what was set last",
				"tenant", l.Tenant)
		}
		// A List from here on includes this change, also where it was a deletion, which no document tells of.
		t.version = l.Version
		w.queue.add(l.Tenant, w.o.Clock.Elapsed(), w.o.Clock.Now())
	}
	w.nudge()
	return nil
}

// Standing is how far the documents in the store are applied.
type Standing struct {
	// Unapplied is how many tenants have changes that are not applied yet, Failing how many of them failed at the last try.
	Unapplied, Failing int
	// Oldest is when the oldest of these changes was noticed; zero if there is none.
	Oldest time.Time
}

// Standing returns how far the documents in the store are applied.
func (w *Worker) Standing() Standing {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s Standing
	add := func(since time.Time, failing bool) {
		s.Unapplied++
		if failing {
			s.Failing++
		}
		if s.Oldest.IsZero() || since.Before(s.Oldest) {
			s.Oldest = since
		}
	}
	for name, queued := range w.queue.byName {
		add(queued.since, w.tenants[name].failures > 0)
	}
	if w.applying > 0 {
		for _, t := range w.tenants {
			if t.busy {
				add(t.since, t.failures > 0)
			}
		}
	}
	return s
}
