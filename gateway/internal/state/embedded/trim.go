package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Trim gives the writer slices of a millisecond or two, so that other calls run between them. Its parts have slices of their
// own, so that none of them takes what another one needs. What goes over names continues where the last call ended.
const (
	sliceBudget = 400 // slices of all parts
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
	return state.Shares{Events: 10 << 30, Dedupe: 512 << 20, Waiting: 4 << 30, Stats: 2 << 30}, s.check(ctx)
}

// Trim applies retention.
func (s *store) Trim(ctx context.Context, r state.Retention) (*state.Trimmed, error) {
	m := s.clock.look()
	var done state.Trimmed
	run := func(budget int, work func(*tx, *slice)) error {
		for {
			if budget--; budget < 0 {
				done.More = true
				return nil
			}
			step := &slice{r: &r, now: nanos(m.wall), over: m.now, work: work}
			// Not synced: what a power cut undoes is done again.
			if err := s.do(ctx, &call{op: step, alone: true}); err != nil {
				return err
			}
			more := done.More
			done.Add(&step.done)
			if done.More = more; !step.more {
				return nil
			}
		}
	}
	var events, ids shedding
	var dead deadShedding
	dests := s.destRound()
	type part struct {
		percent int // of the slices
		work    func(*tx, *slice)
	}
	parts := []part{
		{5, overdueEvents},
		{1, overdueKept},
		{1, events.planEvents},
		{15, events.trimShares},
		{25, events.trimEvents},
		{10, splitFormerIDs},
		{1, ids.planDedupe},
		{15, ids.trimDedupe},
		{5, trimOnce},
		{20, dests.trim},
	}
	if r.Dead.Bytes > 0 {
		parts = append(parts, part{1, dead.plan}, part{10, dead.trim})
	}
	parts = append(parts, part{1, showOldest})
	tidy := s.tidyDue(m.now)
	if tidy {
		parts = append(parts, part{1, trimFormerStats}, part{5, trimLists})
	}
	counts, err := s.planCounts(r.Stats, tidy)
	if err != nil {
		return &done, fmt.Errorf("trim: %w", err)
	}
	parts = append(parts, part{5, counts.trim})
	for _, p := range parts {
		if err := run(max(s.trimBudget*p.percent/100, 1), p.work); err != nil {
			return &done, fmt.Errorf("trim: %w", err)
		}
	}
	return &done, nil
}

// tidyDue reports once an hour that small tables are to be trimmed, and until that is done.
func (s *store) tidyDue(now int64) bool {
	last := s.lastTidy.Load()
	return now-last >= int64(time.Hour) && s.lastTidy.CompareAndSwap(last, now) || s.tidying.Load()
}
