package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Counts returns counts of a tenant, by name and time. It reads the cells that the query selects, and no others.
func (s *store) Counts(ctx context.Context, tenant string, q state.CountQuery) ([]state.Count, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	all, err := s.readCounts(ctx, tenant, q)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return all, nil
}

func (s *store) readCounts(ctx context.Context, tenant string, q state.CountQuery) ([]state.Count, error) {
	first, last, err := q.Span(s.clock.look().wall)
	if err != nil || last.Before(first) {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(q.Names)))
	if q.Names == nil {
		if names, err = s.countedSince(tenant, q.Kind, first); err != nil {
			return nil, err
		}
	}
	if err := q.CheckCells(first, last, len(names)); err != nil {
		return nil, err
	}
	by := make([][]state.Count, len(names))
	if err := s.readCells(ctx, tenant, &q, names, first, last, by); err != nil {
		return nil, err
	}
	return slices.Concat(by...), nil
}

// readCells adds the cells from first to last of each name to its place in by. It goes through the keys in their order, so that each
// seek continues from the one before.
func (s *store) readCells(ctx context.Context, tenant string, q *state.CountQuery, names []string, first, last time.Time, by [][]state.Count) (err error) {
	from, fromUnit := q.Step.Cell(first)
	to, toUnit := q.Step.Cell(last)
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: cellPeriod(nil, q.Step, from, tenant), UpperBound: prefixEnd(cellPeriod(nil, q.Step, to, tenant)),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	read := state.ReadCount[[]byte]
	if q.Counters {
		read = state.ReadCounters[[]byte]
	}
	var key []byte
	for period := from; period <= to; period++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		begin, end := 0, q.Step.Units()-1
		if period == from {
			begin = fromUnit
		}
		if period == to {
			end = toUnit
		}
		for i, name := range names {
			key = append(cellPrefix(key, q.Step, period, tenant, q.Kind, name), byte(begin))
			prefix := key[:len(key)-1]
			for it.SeekGE(key) {
				unit, found := bytes.CutPrefix(it.Key(), prefix)
				if !found || len(unit) != 1 || int(unit[0]) > end {
					break
				}
				v, err := it.ValueAndErr()
				if err != nil {
					return err
				}
				// A cell may have been written thousands of times since the memtable was flushed. Next would go through all of them.
				key[len(key)-1] = unit[0] + 1
				c := state.Count{Tenant: tenant, Kind: q.Kind, Name: name, At: q.Step.Time(period, int(unit[0]))}
				if read(v, &c) != nil {
					s.unreadCounts.Add(1)
					continue
				}
				if q.Sum && len(by[i]) == 1 {
					by[i][0].Add(&c)
					continue
				}
				if by[i] == nil && i > 0 { // names that are counted in every unit are most of the work
					by[i] = make([]state.Count, 0, len(by[i-1]))
				}
				by[i] = append(by[i], c)
			}
			if err := it.Error(); err != nil {
				return err
			}
		}
	}
	return nil
}

// countedSince returns the names of a kind that were counted on the day of a time or later, sorted, with OtherName.
func (s *store) countedSince(tenant string, kind state.StatKind, first time.Time) ([]string, error) {
	names := []string{state.OtherName}
	err := scan(s.db, countNames(nil, tenant, kind), func(rest, value []byte) error {
		if len(rest) == 0 {
			return nil // how many there are
		}
		name, _, ok := cutText(rest)
		if ok && readNumber(value) >= state.StatDay(first) {
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}
