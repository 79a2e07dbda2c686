package embedded

import (
	"context"
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

func (s *store) readCounts(ctx context.Context, tenant string, q state.CountQuery) (all []state.Count, err error) {
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
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tabCount}, UpperBound: []byte{tabCount + 1}})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := it.Close(); err == nil {
			err = closeErr
		}
	}()
	from, fromUnit := q.Step.Cell(first)
	to, toUnit := q.Step.Cell(last)
	var prefix []byte
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for period := from; period <= to; period++ {
			begin, end := 0, q.Step.Units()-1
			if period == from {
				begin = fromUnit
			}
			if period == to {
				end = toUnit
			}
			prefix = cellPrefix(prefix, q.Step, period, tenant, q.Kind, name)
			n := len(prefix)
			it.SetBounds(append(slices.Clone(prefix), byte(begin)), append(slices.Clone(prefix), byte(end+1)))
			for ok := it.First(); ok; ok = it.Next() {
				v, err := it.ValueAndErr()
				if err != nil {
					return nil, err
				}
				c := state.Count{Tenant: tenant, Kind: q.Kind, Name: name, At: q.Step.Time(period, int(it.Key()[n]))}
				if state.ReadCount(v, &c) != nil {
					s.unreadCounts.Add(1)
					continue
				}
				all = append(all, c)
			}
			if err := it.Error(); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
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
