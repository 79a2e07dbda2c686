package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Trim works in slices of a millisecond or two, between which other calls run. Its parts have slices of their own, so that none
// of them takes what another one needs. A part that used up its slices continues in the next call: what goes over names
// continues where it ended (turns.go), and what is oldest first has less to do.
const (
	sliceBudget = 512 // slices of all parts
	sliceEvents = 128
	sliceList   = 256
	idBytes     = 64 // memory for recognising one ID
	trimLease   = 10 * time.Second
)

// trimming is one call of Trim.
type trimming struct {
	s      *store
	ctx    context.Context
	r      state.Retention
	done   state.Trimmed
	budget int       // slices that are left to the part
	leased time.Time // when the lease was taken or renewed
}

// Trim removes what exceeds retention. A bound holds for all shards together: each shard gets the part of it that it has of
// the data. Two replicas would both remove what exceeds a bound, so one trims at a time; Trim does nothing while another does.
func (s *store) Trim(ctx context.Context, r state.Retention) (*state.Trimmed, error) {
	if err := s.check(ctx); err != nil {
		return &state.Trimmed{}, err
	}
	t := &trimming{s: s, ctx: ctx, r: r}
	err := t.lease(trimLease)
	if err == nil {
		defer t.unlease()
		err = t.all()
		if err == nil && !t.done.More {
			s.pass.end()
		}
	}
	if err != nil && !errors.Is(err, state.ErrConflict) {
		return &t.done, fmt.Errorf("trim: %w", err)
	}
	return &t.done, nil
}

// lease takes or renews the lease of trimming; state.ErrConflict means that another replica has it.
func (t *trimming) lease(ttl time.Duration) error {
	t.leased = t.s.clock.Now()
	_, err := t.s.Lease(t.ctx, "trim", t.s.holder, ttl)
	return err
}

// unlease gives the lease back. If that fails, it expires.
func (t *trimming) unlease() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), time.Second)
	defer cancel()
	_, _ = t.s.Lease(ctx, "trim", t.s.holder, 0)
}

// all does the parts, each with its share of the slices. What one of them cannot read keeps no other from its work.
func (t *trimming) all() error {
	var errs []error
	for _, part := range [...]struct {
		percent int
		do      func() error
	}{
		{38, t.events},
		{5, t.deadEvents},
		{12, t.ids},
		{5, t.routes},
		{23, t.dests},
		{10, t.dead},
		{5, t.counts},
		{0, t.holds}, // one look
		{0, t.minutes},
	} {
		t.budget = max(t.s.trimBudget*part.percent/100, 1)
		err := part.do()
		if state.StopsAll(err) {
			return errors.Join(append(errs, err)...)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// slices calls step until it returns that nothing more is to be done, or the slices of the part are used up.
func (t *trimming) slices(step func() (more bool, err error)) error {
	for t.budget > 0 {
		t.budget--
		if err := t.goOn(); err != nil {
			return err
		}
		if more, err := step(); err != nil || !more {
			return err
		}
	}
	t.done.More = true
	return nil
}

// goOn checks before each slice that the call may continue, and keeps the lease.
func (t *trimming) goOn() error {
	if err := t.s.check(t.ctx); err != nil {
		return err
	}
	if t.s.clock.Now().Sub(t.leased) > trimLease/3 {
		return t.lease(trimLease)
	}
	return nil
}

// within does a piece of a part with some of the part's slices.
func (t *trimming) within(slices int, do func() error) error {
	whole := t.budget
	t.budget = max(slices, 1)
	err := do()
	t.budget = whole
	return err
}

// inEach does a piece of a part for each shard, with an equal part of the slices, so that no shard waits until another one has
// nothing left to remove.
func (t *trimming) inEach(do func(i int, sh *shard) error) error {
	for i, sh := range t.s.shards {
		if err := t.within(t.budget/len(t.s.shards), func() error { return do(i, sh) }); err != nil {
			return err
		}
	}
	return nil
}
