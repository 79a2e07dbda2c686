package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"time"

	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// DropKind is the kind of the jobs that drop what is selected.
const DropKind = "drop"

// dropAtOnce is how many deliveries a step of a drop drops. Between two steps it pauses as long as one took, so that live traffic has the
// store at least half of the time.
const dropAtOnce = 50

// Why a drop leaves something alone, and why it makes no progress.
const (
	whyNotOpen      = "it is no longer %s"
	whyMoved        = "it has changed since the drop was asked for"
	waitsForAttempt = "the rest is being delivered just now"
)

// fate is what became of a delivery that is to be dropped.
type fate struct {
	dropped, notKept, leased bool
	why                      string // it is left alone
}

// drop drops the next deliveries of the page, and counts them when that is done: a process that dies in between leaves the page as it was,
// and the next one counts what is dropped already as done. A delivery that is being attempted is put off until that attempt has ended.
func (w *work) drop(ctx context.Context) (wait time.Duration, done bool, err error) {
	began := w.Clock.Elapsed()
	at := max(len(w.p.Current)-dropAtOnce, 0)
	units := slices.Clone(w.p.Current[at:])
	slices.Reverse(units) // the oldest first
	fates := make([]fate, len(units))
	for i, id := range units {
		if fates[i], err = w.dropOne(ctx, id); err != nil {
			return 0, false, err
		}
	}
	var leased []string
	w.p.Current = w.p.Current[:at]
	for i, f := range fates {
		switch {
		case f.leased:
			leased = append(leased, units[i])
			continue
		case f.dropped:
			w.run.Done++
		case f.notKept:
			w.run.NotKept++
		default:
			w.run.Leave(f.why, 1)
		}
		w.putOff, w.run.Waits = 0, ""
	}
	if len(leased) > 0 {
		if wait, err = w.putAway(ctx, leased); err != nil {
			return 0, false, err
		}
	}
	return max(wait, w.Clock.Elapsed()-began, restFor), false, w.run.Save(ctx, &w.p)
}

// dropOne drops a delivery, if it is still what was selected. It may be called again for one that it has dropped.
func (w *work) dropOne(ctx context.Context, id string) (fate, error) {
	d, err := w.Store.Delivery(ctx, w.run.Tenant, id)
	switch {
	case isNotFound(err):
		return fate{notKept: true}, nil
	case err != nil:
		return fate{}, fmt.Errorf("read a delivery: %w", err)
	case d.State == state.Dropped && !d.Updated.Before(w.run.Created):
		return fate{dropped: true}, nil
	case string(d.State) != w.spec.Of.State:
		return fate{why: fmt.Sprintf(whyNotOpen, w.spec.Of.State)}, nil
	case d.State == state.Dead && d.Updated.After(w.run.Created): // it was tried again meanwhile, which somebody wanted
		return fate{why: whyMoved}, nil
	case d.Leased:
		return fate{leased: true}, nil
	case !w.run.Held():
		return fate{}, job.ErrLost
	}
	switch err := w.Store.Drop(ctx, w.run.Tenant, id); {
	case errors.Is(err, state.ErrConflict):
		return fate{leased: true}, nil
	case isNotFound(err): // it ended meanwhile, or its event was removed
		return fate{why: fmt.Sprintf(whyNotOpen, w.spec.Of.State)}, nil
	case err != nil:
		return fate{}, fmt.Errorf("drop a delivery: %w", err)
	}
	if d.State == state.Waiting { // a dead letter has ended before
		d.State, d.Reason, d.Log, d.Updated = state.Dropped, "", nil, w.Clock.Now()
		w.Ended(d)
	}
	return fate{dropped: true}, nil
}
