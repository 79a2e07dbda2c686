package redis

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Trim works in slices of a millisecond or two, so that traffic goes between them, and ends after sliceBudget of them
// even where more is left: the next call goes on.
const (
	sliceBudget = 400
	sliceEvents = 128
	sliceList   = 256
	idBytes     = 64 // what recognising an id takes
)

// trimming is one Trim.
type trimming struct {
	s      *store
	ctx    context.Context
	r      state.Retention
	done   state.Trimmed
	budget int
}

// Trim removes what retention ends. Bounds hold for all shards together: each has the part that is its part of what is
// kept.
func (s *store) Trim(ctx context.Context, r state.Retention) (*state.Trimmed, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	t := &trimming{s: s, ctx: ctx, r: r, budget: sliceBudget}
	if err := t.all(); err != nil {
		return nil, fmt.Errorf("trim: %w", err)
	}
	return &t.done, nil
}

func (t *trimming) all() error {
	if err := t.events(); err != nil {
		return err
	}
	if err := t.ids(); err != nil {
		return err
	}
	if err := t.dests(); err != nil {
		return err
	}
	if err := t.dead(); err != nil {
		return err
	}
	return t.minutes()
}

// slices runs a script until it says that nothing more is to be done.
func (t *trimming) slices(step func() (more bool, err error)) error {
	for t.budget > 0 {
		t.budget--
		if err := t.s.check(t.ctx); err != nil {
			return err
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

func (t *trimming) dest(sh *shard, dest string, count, bytes, history, failures int64) error {
	// An age below a microsecond is still one.
	age := t.r.Waiting.Age
	if age > 0 {
		age = max(age, time.Microsecond)
	}
	return t.slices(func() (bool, error) {
		got, err := t.s.run(t.ctx, destScript, sh.base, t.s.now(), dest, span(age), count, bytes,
			span(t.r.Dead.Age), span(t.r.History.Age), history, failures, sliceList)
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

func (t *trimming) dead() error {
	if t.r.Dead.Bytes <= 0 {
		return nil
	}
	sums, err := t.measure()
	if err != nil {
		return err
	}
	dead := shares(t.r.Dead.Bytes, sums, func(m *inShard) int64 { return m.dead })
	for i := range sums {
		if err := t.slices(func() (bool, error) { return t.deadBytes(sums[i].sh, dead[i]) }); err != nil {
			return err
		}
	}
	return nil
}

// deadBytes bounds the events that dead letters keep, oldest first over all destinations.
func (t *trimming) deadBytes(sh *shard, most int64) (more bool, err error) {
	dests, err := t.s.client.SMembers(t.ctx, sh.base+"dests").Result()
	if err != nil {
		return false, t.s.fault(err)
	}
	total, err := t.s.client.HGet(t.ctx, sh.base+"meta", "deadbytes").Int64()
	if err != nil && err != goredis.Nil { //nolint:errorlint // go-redis returns it bare
		return false, t.s.fault(err)
	}
	over := total - most
	if over <= 0 {
		return false, nil
	}
	type head struct {
		dest  string
		score float64
		n     uint64
		name  string
		owed  *goredis.StringCmd
	}
	var heads []head
	pipe := t.s.client.Pipeline()
	asked := make([]*goredis.ZSliceCmd, len(dests))
	for i, dest := range dests {
		asked[i] = pipe.ZRangeWithScores(t.ctx, sh.base+"dead:"+dest, 0, sliceEvents-1)
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return false, err
	}
	pipe = t.s.client.Pipeline()
	for i, cmd := range asked {
		for _, z := range cmd.Val() {
			r := reader{b: asText(z.Member)}
			h := head{dest: dests[i], score: z.Score, n: r.big(8), name: r.b}
			key, field := owedAt(sh, h.n, h.name)
			h.owed = pipe.HGet(t.ctx, key, field)
			heads = append(heads, h)
		}
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return false, err
	}
	slices.SortFunc(heads, func(a, b head) int { return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.n, b.n)) })
	args := []any{t.s.now()}
	for _, h := range heads {
		if over <= 0 || len(args) > 3*sliceEvents {
			break
		}
		r := reader{b: h.owed.Val()}
		r.take(2)
		over -= int64(r.big(4))
		args = append(args, h.dest, text(h.n), h.name)
	}
	got, err := t.s.run(t.ctx, buryScript, sh.base, args...)
	t.done.Dead += int(asInt(got))
	return over > 0 && asInt(got) > 0, err
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
