package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Trim works in slices of a millisecond or two, between which other calls run. It ends after sliceBudget slices; if more is
// left, the next call continues.
const (
	sliceBudget = 400
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
	budget int
	leased time.Time // when the lease was taken or renewed
}

// Trim removes what exceeds retention. A bound holds for all shards together: each shard gets the part of it that it has of
// the data. Two replicas would both remove what exceeds a bound, so one trims at a time; Trim does nothing while another does.
func (s *store) Trim(ctx context.Context, r state.Retention) (*state.Trimmed, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	t := &trimming{s: s, ctx: ctx, r: r, budget: sliceBudget}
	err := t.lease(trimLease)
	if err == nil {
		defer t.unlease()
		err = t.all()
	}
	if err != nil && !errors.Is(err, state.ErrConflict) {
		return nil, fmt.Errorf("trim: %w", err)
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

func (t *trimming) all() error {
	if err := t.events(); err != nil {
		return err
	}
	if err := t.ids(); err != nil {
		return err
	}
	if err := t.routes(); err != nil {
		return err
	}
	if err := t.dests(); err != nil {
		return err
	}
	if err := t.dead(); err != nil {
		return err
	}
	if err := t.holds(); err != nil {
		return err
	}
	return t.minutes()
}

// slices calls step until it returns that nothing more is to be done.
func (t *trimming) slices(step func() (more bool, err error)) error {
	for t.budget > 0 {
		t.budget--
		if err := t.s.check(t.ctx); err != nil {
			return err
		}
		if t.s.clock.Now().Sub(t.leased) > trimLease/3 {
			if err := t.lease(trimLease); err != nil {
				return err
			}
		}
		if more, err := step(); err != nil || !more {
			return err
		}
	}
	return nil
}

// dests bounds each destination's lists.
func (t *trimming) dests() error {
	w, h := t.r.Waiting, t.r.History
	if w == (state.WaitingBound{}) && h == (state.HistoryBound{}) && t.r.Dead.Age <= 0 {
		return nil
	}
	by, err := t.lists()
	if err != nil {
		return err
	}
	for _, dest := range slices.Sorted(maps.Keys(by)) {
		all := by[dest]
		counts := shares(int64(w.Count), all, func(m *inShard) int64 { return m.waiting })
		bytes := shares(w.Bytes, all, func(m *inShard) int64 { return m.bytes })
		history := shares(int64(h.PerDestination), all, func(m *inShard) int64 { return m.history })
		failures := shares(int64(h.PerDestination), all, func(m *inShard) int64 { return m.failures })
		for i := range all {
			if err := t.dest(all[i].sh, dest, counts[i], bytes[i], history[i], failures[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// destArgs are the arguments of trimdest.lua. Ages are microseconds; 0: no bound.
type destArgs struct {
	Dest                                   string
	TooOld, TooMany, TooLarge              string // reasons of dead letters
	WaitingAge, WaitingCount, WaitingBytes int64
	DeadAge                                int64
	HistoryAge, HistoryCount, FailureCount int64
	Most                                   int
}

func (t *trimming) dest(sh *shard, dest string, count, bytes, history, failures int64) error {
	// An age below a microsecond would become 0, which is no bound.
	age := t.r.Waiting.Age
	if age > 0 {
		age = max(age, time.Microsecond)
	}
	return t.slices(func() (bool, error) {
		got, err := destScript.run(t.ctx, t.s, sh.base, destArgs{
			Dest: dest, TooOld: t.r.Waiting.TooOld(), TooMany: t.r.Waiting.TooMany(), TooLarge: t.r.Waiting.TooLarge(),
			WaitingAge: age.Microseconds(), WaitingCount: count, WaitingBytes: bytes, DeadAge: t.r.Dead.Age.Microseconds(),
			HistoryAge: t.r.History.Age.Microseconds(), HistoryCount: history, FailureCount: failures, Most: sliceList,
		})
		if err != nil {
			return false, err
		}
		n := asList(got)
		t.done.Overdue += int(asInt(n[0]))
		t.done.Dead += int(asInt(n[1]))
		t.done.Attempts += int(asInt(n[2]))
		return asInt(n[3]) == 1, nil
	})
}

// minutes removes statistics older than history.
func (t *trimming) minutes() error {
	if t.r.History.Age <= 0 {
		return nil
	}
	s := t.s
	before := micros(s.clock.Now().Add(-t.r.History.Age))
	tenants, err := s.client.SMembers(t.ctx, s.meta+"tenants").Result()
	if err != nil {
		return s.fault(err)
	}
	for _, tenant := range tenants {
		old, err := s.client.ZRangeByScore(t.ctx, s.meta+"minutes:"+tenant, &goredis.ZRangeBy{Min: "-inf", Max: "(" + before, Count: 1000}).Result()
		if err != nil {
			return s.fault(err)
		}
		pipe := s.client.Pipeline()
		for _, m := range old {
			pipe.Del(t.ctx, s.meta+"stats:"+tenant+":"+m)
			pipe.ZRem(t.ctx, s.meta+"minutes:"+tenant, m)
		}
		if len(old) > 0 {
			if err := s.exec(t.ctx, pipe); err != nil {
				return err
			}
		}
	}
	return nil
}
