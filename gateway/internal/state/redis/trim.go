package redis

import (
	"cmp"
	"context"
	"fmt"
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

// Trim removes what retention ends, in each shard its part of the bytes.
func (s *store) Trim(ctx context.Context, r state.Retention) (*state.Trimmed, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	t := &trimming{s: s, ctx: ctx, r: r, budget: sliceBudget}
	for _, sh := range s.shards {
		if err := t.shard(sh); err != nil {
			return nil, fmt.Errorf("trim: %w", err)
		}
	}
	if err := t.minutes(); err != nil {
		return nil, fmt.Errorf("trim: %w", err)
	}
	return &t.done, nil
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

// part is a shard's part of a bound in bytes.
func (t *trimming) part(bytes int64) int64 {
	if bytes <= 0 {
		return 0
	}
	return max(bytes/int64(len(t.s.shards)), 1)
}

func (t *trimming) shard(sh *shard) error {
	s := t.s
	if t.r.Dead.Age > 0 {
		err := t.slices(func() (bool, error) {
			got, err := s.run(t.ctx, endedScript, sh.base, s.now(), span(t.r.Dead.Age), sliceEvents)
			t.done.Dead += int(asInt(got))
			return asInt(got) >= sliceEvents, err
		})
		if err != nil {
			return err
		}
	}
	err := t.slices(func() (bool, error) {
		got, err := s.run(t.ctx, trimScript, sh.base, s.now(), span(t.r.Events.Age), t.part(t.r.Events.Bytes), span(t.r.Dedupe.Age), sliceEvents)
		if err != nil {
			return false, err
		}
		n := asList(got)
		t.done.Events += int(asInt(n[0]))
		t.done.Kept += int(asInt(n[1]))
		t.done.Dedupe += int(asInt(n[2]))
		return asInt(n[3]) == 1, nil
	})
	if err != nil {
		return err
	}
	most := int64(0)
	if t.r.Dedupe.Bytes > 0 {
		most = max(t.part(t.r.Dedupe.Bytes)/idBytes, 1)
	}
	if most > 0 || t.r.Dedupe.Age > 0 {
		err := t.slices(func() (bool, error) {
			got, err := s.run(t.ctx, forgetScript, sh.base, s.now(), span(t.r.Dedupe.Age), most, sliceList)
			if err != nil {
				return false, err
			}
			t.done.Dedupe += int(asInt(asList(got)[0]))
			return asInt(asList(got)[1]) == 1, nil
		})
		if err != nil {
			return err
		}
	}
	dests, err := s.client.SMembers(t.ctx, sh.base+"dests").Result()
	if err != nil {
		return s.fault(err)
	}
	slices.Sort(dests)
	if t.r.Waiting != (state.WaitingBound{}) || t.r.Dead.Age > 0 || t.r.History != (state.HistoryBound{}) {
		for _, dest := range dests {
			if err := t.dest(sh, dest); err != nil {
				return err
			}
		}
	}
	if t.r.Dead.Bytes > 0 {
		return t.slices(func() (bool, error) { return t.deadBytes(sh, dests) })
	}
	return nil
}

func (t *trimming) dest(sh *shard, dest string) error {
	w, h := t.r.Waiting, t.r.History
	shards := len(t.s.shards)
	each := func(n int) int {
		if n <= 0 {
			return 0
		}
		return max(n/shards, 1)
	}
	// An age below a microsecond is still one.
	age := w.Age
	if age > 0 {
		age = max(age, time.Microsecond)
	}
	return t.slices(func() (bool, error) {
		got, err := t.s.run(t.ctx, destScript, sh.base, t.s.now(), dest, span(age), each(w.Count), t.part(w.Bytes),
			span(t.r.Dead.Age), span(h.Age), each(h.PerDestination), sliceList)
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

// deadBytes bounds the events that dead letters keep, oldest first over all destinations.
func (t *trimming) deadBytes(sh *shard, dests []string) (more bool, err error) {
	total, err := t.s.client.HGet(t.ctx, sh.base+"meta", "deadbytes").Int64()
	if err != nil && err != goredis.Nil { //nolint:errorlint // go-redis returns it bare
		return false, t.s.fault(err)
	}
	over := total - t.part(t.r.Dead.Bytes)
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
