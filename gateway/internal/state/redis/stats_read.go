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

// countsPipeline is how many hashes of cells one pipeline reads.
const countsPipeline = 500

// countPart is what a query reads of one name in one period.
type countPart struct {
	name        string
	period      int64
	first, last int // units
}

// Counts returns counts of a tenant, by name and time. It reads one hash for each name and period, in pipelines, and of the first
// and the last period only the cells that are asked for.
func (s *store) Counts(ctx context.Context, tenant string, q state.CountQuery) ([]state.Count, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	all, err := s.readCounts(ctx, tenant, q)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return all, nil
}

func (s *store) readCounts(ctx context.Context, tenant string, q state.CountQuery) ([]state.Count, error) {
	first, last, err := q.Span(s.clock.Now())
	if err != nil || last.Before(first) {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(q.Names)))
	if q.Names == nil {
		if names, err = s.countedSince(ctx, tenant, q.Kind, first); err != nil {
			return nil, err
		}
	}
	if err := q.CheckCells(first, last, len(names)); err != nil {
		return nil, err
	}
	from, fromUnit := q.Step.Cell(first)
	to, toUnit := q.Step.Cell(last)
	var parts []countPart
	for _, name := range names {
		for period := from; period <= to; period++ {
			p := countPart{name, period, 0, q.Step.Units() - 1}
			if period == from {
				p.first = fromUnit
			}
			if period == to {
				p.last = toUnit
			}
			parts = append(parts, p)
		}
	}
	var all []state.Count
	for some := range slices.Chunk(parts, countsPipeline) {
		if all, err = s.readCountParts(ctx, tenant, &q, some, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// countedSince returns the names of a kind that were counted on the day of a time or later, sorted, with OtherName.
func (s *store) countedSince(ctx context.Context, tenant string, kind state.StatKind, first time.Time) ([]string, error) {
	by := &goredis.ZRangeBy{Min: strconv.FormatInt(state.StatDay(first), 10), Max: "+inf"}
	names, err := s.client.ZRangeByScore(ctx, s.statShard(tenant).base+statNames(tenant, kind), by).Result()
	if err != nil {
		return nil, s.fault(err)
	}
	names = append(names, state.OtherName)
	slices.Sort(names)
	return names, nil
}

// readCountParts appends the counts of some parts, by name and time.
func (s *store) readCountParts(ctx context.Context, tenant string, q *state.CountQuery, parts []countPart, all []state.Count) ([]state.Count, error) {
	base := s.statShard(tenant).base
	key := func(p countPart) string {
		return base + statKey(escape(tenant), statThing(q.Kind, p.name), statPeriod(q.Step, p.period))
	}
	pipe := s.client.Pipeline()
	whole := make([]*goredis.MapStringStringCmd, len(parts))
	some := make([]*goredis.SliceCmd, len(parts))
	for i, p := range parts {
		if p.first == 0 && p.last == q.Step.Units()-1 {
			whole[i] = pipe.HGetAll(ctx, key(p))
			continue
		}
		fields := make([]string, 0, p.last-p.first+1)
		for unit := p.first; unit <= p.last; unit++ {
			fields = append(fields, partField(unit, 0))
		}
		some[i] = pipe.HMGet(ctx, key(p), fields...)
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	// cell is the first part of a cell, with what reads the others if it has some.
	type cell struct {
		part, unit int
		first      string
		more       func(part int) string
	}
	n := 0
	for i := range parts {
		if whole[i] != nil {
			n += len(whole[i].Val())
		} else {
			n += len(some[i].Val())
		}
	}
	cells := make([]cell, 0, n)
	more := false // cells of which only the first part was read
	for i, p := range parts {
		for unit := p.first; unit <= p.last; unit++ {
			c := cell{part: i, unit: unit}
			if whole[i] != nil {
				c.first = whole[i].Val()[partField(unit, 0)]
				if partsOf(c.first) > 1 {
					c.more = func(part int) string { return whole[i].Val()[partField(unit, part)] }
				}
			} else {
				c.first, _ = some[i].Val()[unit-p.first].(string)
				if n := partsOf(c.first); n > 1 && n <= maxParts {
					cmd := pipe.HMGet(ctx, key(p), partFields(unit, n)...)
					more = true
					c.more = func(part int) string {
						text, _ := cmd.Val()[part-1].(string)
						return text
					}
				}
			}
			if c.first != "" {
				cells = append(cells, c)
			}
		}
	}
	if more {
		if err := s.exec(ctx, pipe); err != nil {
			return nil, err
		}
	}
	read := state.ReadCount[string]
	if q.Counters {
		read = state.ReadCounters[string]
	}
	if !q.Sum {
		all = slices.Grow(all, len(cells))
	}
	for _, c := range cells {
		p := &parts[c.part]
		count := state.Count{Tenant: tenant, Kind: q.Kind, Name: p.name, At: q.Step.Time(p.period, c.unit)}
		packed, ok := joinCell(c.first, c.more)
		if !ok || read(packed, &count) != nil {
			s.unreadCounts.Add(1)
			continue
		}
		if last := len(all) - 1; q.Sum && last >= 0 && all[last].Name == p.name {
			all[last].Add(&count)
			continue
		}
		all = append(all, count)
	}
	return all, nil
}
