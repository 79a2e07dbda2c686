package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// countsAtOnce bounds one operation of the writer, so that merging thousands of counts does not delay events.
const countsAtOnce = 128

// counting adds counts. A count is added to the cells of its steps in one batch, so it is added as a whole or not at all.
type counting struct{ counts []state.Count }

// AddCounts adds counts to their minutes, hours and days.
func (s *store) AddCounts(ctx context.Context, counts []state.Count) ([]state.Count, error) {
	if err := state.CheckCounts(counts); err != nil {
		return counts, err
	}
	for len(counts) > 0 {
		if err := ctx.Err(); err != nil {
			return counts, fmt.Errorf("add statistics: %w", err)
		}
		n := min(len(counts), countsAtOnce)
		// The writer always answers soon, so ctx does not end the wait: whether these counts were added would be unknown.
		if err := s.do(context.WithoutCancel(ctx), &call{op: &counting{counts[:n]}, size: 256 * n}); err != nil {
			return counts, fmt.Errorf("add statistics: %w", err)
		}
		counts = counts[n:]
	}
	return nil, nil
}

func (op *counting) stage(t *tx) error {
	now := fromNanos(nanos(t.wall))
	for i := range op.counts {
		given := &op.counts[i]
		for _, step := range state.StatSteps {
			if now.Sub(step.Start(given.At)) >= step.Kept() {
				continue
			}
			key := countKey(t.key, step, given)
			sum := *given
			if v := t.get(key); v != nil {
				var kept state.Count
				if state.ReadCount(v, &kept) != nil {
					continue
				}
				sum.Add(&kept)
			}
			t.put(key, state.AppendCount(nil, &sum))
		}
	}
	return nil
}

// countPrefix is the prefix of the cells of one name in a period.
func countPrefix(b []byte, step state.StatStep, period int64, tenant string, kind state.StatKind, name string) []byte {
	b = appendTime(append(b[:0], tabCount, step.Letter()), period)
	b = append(appendText(b, tenant), kind.Letter())
	return appendText(b, name)
}

func countKey(b []byte, step state.StatStep, c *state.Count) []byte {
	period, unit := step.Cell(c.At)
	return append(countPrefix(b, step, period, c.Tenant, c.Kind, c.Name), byte(unit))
}

// Counts returns counts of a tenant, by name and time.
func (s *store) Counts(ctx context.Context, tenant string, q state.CountQuery) ([]state.Count, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	all, err := s.readCounts(tenant, q)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return all, nil
}

func (s *store) readCounts(tenant string, q state.CountQuery) ([]state.Count, error) {
	first, last, err := q.Span(s.clock.look().wall)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(slices.Values(q.Names))
	names = slices.Compact(names)
	from, _ := q.Step.Cell(first)
	to, _ := q.Step.Cell(last)
	if q.Names == nil {
		if names, err = s.countNames(tenant, q, from, to); err != nil {
			return nil, err
		}
	}
	if err := q.CheckCells(first, last, len(names)); err != nil {
		return nil, err
	}
	var all []state.Count
	for _, name := range names {
		for period := from; period <= to; period++ {
			prefix := countPrefix(nil, q.Step, period, tenant, q.Kind, name)
			err := scan(s.db, prefix, func(rest, value []byte) error {
				if len(rest) != 1 {
					return state.ErrCorrupt
				}
				c := state.Count{Tenant: tenant, Kind: q.Kind, Name: name, At: q.Step.Time(period, int(rest[0]))}
				if c.At.Before(first) || c.At.After(last) || state.ReadCount(value, &c) != nil {
					return nil
				}
				all = append(all, c)
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// countNames returns the names of a kind that have counts within periods.
func (s *store) countNames(tenant string, q state.CountQuery, from, to int64) ([]string, error) {
	var names []string
	for period := from; period <= to; period++ {
		prefix := appendText(appendTime([]byte{tabCount, q.Step.Letter()}, period), tenant)
		prefix = append(prefix, q.Kind.Letter())
		err := scan(s.db, prefix, func(rest, _ []byte) error {
			name, _, ok := cutText(rest)
			if !ok {
				return state.ErrCorrupt
			}
			if name != "" {
				names = append(names, strings.Clone(name))
			}
			return nil
		})
		if err != nil {
			return nil, errors.Join(err)
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return names, nil
}

// trimCounts removes the periods that are over.
func trimCounts(t *tx, s *slice) {
	now := fromNanos(s.now)
	for _, step := range state.StatSteps {
		first, _ := step.Cell(now.Add(-step.Kept()))
		begin := []byte{tabCount, step.Letter()}
		must(t.b.DeleteRange(begin, appendTime(slices.Clone(begin), first), nil))
	}
}
