package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Trim gives the writer slices of a millisecond or two, so that other calls run between them. It ends after sliceBudget slices
// even if more is left; the next call goes on.
const (
	sliceBudget = 400
	sliceEvents = 256
	sliceBytes  = 4 << 20
	sliceList   = 512
	sliceDests  = 16
)

// slice is one piece of Trim. It sets more if another slice of its kind is needed.
type slice struct {
	work func(t *tx, s *slice)
	r    *state.Retention
	now  int64 // by the system clock, for ages
	over int64 // by the store's clock: what ends by then is over
	done state.Trimmed
	more bool
}

func (s *slice) stage(t *tx) error {
	s.more = false
	s.work(t, s)
	return nil
}

// before is the time before which records are older than an age; false: there is no such bound.
func (s *slice) before(age time.Duration) (int64, bool) {
	return s.now - int64(age), age > 0
}

// Shares returns fixed bounds: a disk is large, and space keeps a reserve.
func (s *store) Shares(ctx context.Context) (state.Shares, error) {
	return state.Shares{Events: 10 << 30, Dedupe: 512 << 20, Waiting: 4 << 30}, s.check(ctx)
}

// Trim applies retention.
func (s *store) Trim(ctx context.Context, r state.Retention) (*state.Trimmed, error) {
	m := s.clock.look()
	sl := &slice{r: &r, now: nanos(m.wall), over: m.now}
	budget := sliceBudget
	run := func(work func(*tx, *slice)) error {
		for {
			if budget--; budget < 0 {
				return nil
			}
			step := &slice{r: &r, now: sl.now, over: sl.over, work: work}
			// Not synced: what a power cut undoes is done again.
			if err := s.do(ctx, &call{op: step, alone: true}); err != nil {
				return err
			}
			add(&sl.done, &step.done)
			if !step.more {
				return nil
			}
		}
	}
	var events, ids shedding
	var err error
	for _, work := range [...]func(*tx, *slice){
		overdueEvents, overdueKept,
		events.planEvents, events.trimShares, events.trimEvents,
		splitFormerIDs, ids.planDedupe, ids.trimDedupe,
		trimOnce,
	} {
		if err == nil {
			err = run(work)
		}
	}
	for group := range slices.Chunk(s.due.destinations("*"), sliceDests) {
		if err == nil {
			err = run(func(t *tx, sl *slice) {
				for _, d := range group {
					trimDest(t, sl, d)
				}
			})
		}
	}
	if err == nil && r.Dead.Bytes > 0 {
		err = run(trimDeadBytes)
	}
	if err == nil {
		err = run(showOldest)
	}
	if err == nil && s.tidyDue(m.now) {
		err = errors.Join(run(trimStats), run(trimCounts), run(trimLists))
	}
	if err != nil {
		return nil, fmt.Errorf("trim: %w", err)
	}
	return &sl.done, nil
}

func add(to, n *state.Trimmed) {
	to.Events += n.Events
	to.Kept += n.Kept
	to.Dedupe += n.Dedupe
	to.Attempts += n.Attempts
	to.Dead += n.Dead
	to.Overdue += n.Overdue
	to.Moved += n.Moved
}

// tidyDue reports once an hour that small tables are to be trimmed by a full scan.
func (s *store) tidyDue(now int64) bool {
	last := s.lastTidy.Load()
	return now-last >= int64(time.Hour) && s.lastTidy.CompareAndSwap(last, now)
}
