package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// countsAtOnce is how many counts one script adds: it blocks Redis for about a millisecond.
const countsAtOnce = 100

// setCountsArgs are the arguments of setcounts.lua.
type setCountsArgs struct{ Cells []cellChange }

// cellChange replaces a cell, if it is as it was read. Empty: it does not exist.
type cellChange struct {
	Key, Field string
	Old, New   string
	TTL        int64 // seconds
}

// statShard returns the shard that has the statistics of a tenant. So those of all tenants spread over the shards, and one script
// adds many counts of a tenant.
func (s *store) statShard(tenant string) *shard {
	return s.shards[shardOf(tenant, "statistics", len(s.shards))]
}

func statKey(tenant string, kind state.StatKind, name string, step state.StatStep, period int64) string {
	return "st:" + escape(tenant) + ":" + string(kind.Letter()) + ":" + escape(name) + ":" + string(step.Letter()) + ":" + strconv.FormatInt(period, 10)
}

func statNamesKey(tenant string, kind state.StatKind) string {
	return "st:" + escape(tenant) + ":" + string(kind.Letter())
}

// AddCounts adds counts to their minutes, hours and days.
func (s *store) AddCounts(ctx context.Context, counts []state.Count) (left []state.Count, err error) {
	if err := state.CheckCounts(counts); err != nil {
		return counts, err
	}
	if err := s.check(ctx); err != nil {
		return counts, err
	}
	by := map[*shard][]state.Count{}
	for _, c := range counts {
		sh := s.statShard(c.Tenant)
		by[sh] = append(by[sh], c)
	}
	for _, sh := range s.shards {
		for some := range slices.Chunk(by[sh], countsAtOnce) {
			if addErr := s.addCounts(ctx, sh, some); addErr != nil {
				left, err = append(left, some...), addErr
			}
		}
	}
	if err != nil {
		return left, fmt.Errorf("add statistics: %w", err)
	}
	return nil, nil
}

func (s *store) addCounts(ctx context.Context, sh *shard, counts []state.Count) error {
	now := s.clock.Now()
	type place struct{ key, field string }
	sums := map[place]state.Count{}
	ttl := map[place]int64{}
	var order []place
	pipe := s.client.Pipeline()
	for i := range counts {
		c := &counts[i]
		pipe.ZAdd(ctx, sh.base+statNamesKey(c.Tenant, c.Kind), goredis.Z{Score: float64(c.At.Unix()), Member: c.Name})
		for _, step := range state.StatSteps {
			period, unit := step.Cell(c.At)
			p := place{statKey(c.Tenant, c.Kind, c.Name, step, period), strconv.Itoa(unit)}
			left := step.Time(period+1, 0).Add(step.Kept()).Sub(now)
			if now.Sub(step.Start(c.At)) >= step.Kept() {
				continue
			}
			sum, ok := sums[p]
			if !ok {
				order = append(order, p)
				ttl[p] = int64(left / time.Second)
			}
			sum.Add(c)
			sums[p] = sum
		}
	}
	if err := s.exec(ctx, pipe); err != nil {
		return err
	}
	for {
		pipe := s.client.Pipeline()
		var asked []*goredis.StringCmd
		for _, p := range order {
			asked = append(asked, pipe.HGet(ctx, sh.base+p.key, p.field))
		}
		if err := s.exec(ctx, pipe); err != nil {
			return err
		}
		var args setCountsArgs
		for i, p := range order {
			sum := sums[p]
			if old := asked[i].Val(); old != "" {
				var kept state.Count
				if state.ReadCount(old, &kept) != nil {
					continue
				}
				sum.Add(&kept)
			}
			args.Cells = append(args.Cells, cellChange{p.key, p.field, asked[i].Val(), string(state.AppendCount(nil, &sum)), ttl[p]})
		}
		done, err := setCountsScript.run(ctx, s, sh.base, args)
		if err != nil || asInt(done) == 1 {
			return err
		}
	}
}

// Counts returns counts of a tenant, by name and time.
func (s *store) Counts(ctx context.Context, tenant string, q state.CountQuery) ([]state.Count, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	first, last, err := q.Span(s.clock.Now())
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	base := s.statShard(tenant).base
	names := q.Names
	if names == nil {
		if names, err = s.client.ZRange(ctx, base+statNamesKey(tenant, q.Kind), 0, -1).Result(); err != nil {
			return nil, fmt.Errorf("statistics: %w", s.fault(err))
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == "" })
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if err := q.CheckCells(first, last, len(names)); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	from, _ := q.Step.Cell(first)
	to, _ := q.Step.Cell(last)
	pipe := s.client.Pipeline()
	var asked []*goredis.MapStringStringCmd
	for _, name := range names {
		for period := from; period <= to; period++ {
			asked = append(asked, pipe.HGetAll(ctx, base+statKey(tenant, q.Kind, name, q.Step, period)))
		}
	}
	if pipe.Len() == 0 {
		return nil, nil
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	var all []state.Count
	for _, name := range names {
		for period := from; period <= to; period++ {
			kept := asked[0].Val()
			asked = asked[1:]
			for unit := range q.Step.Units() {
				v, ok := kept[strconv.Itoa(unit)]
				c := state.Count{Tenant: tenant, Kind: q.Kind, Name: name, At: q.Step.Time(period, unit)}
				if !ok || c.At.Before(first) || c.At.After(last) || state.ReadCount(v, &c) != nil {
					continue
				}
				all = append(all, c)
			}
		}
	}
	return all, nil
}
