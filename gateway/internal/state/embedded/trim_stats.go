package embedded

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// cutStep reads the step and the period after the table of a key.
func cutStep(rest []byte) (step state.StatStep, period int64, tail []byte, ok bool) {
	if len(rest) < 9 {
		return "", 0, nil, false
	}
	for _, step := range state.StatSteps {
		if step.Letter() == rest[0] {
			return step, keyTime(rest[1:]), rest[9:], true
		}
	}
	return "", 0, nil, false
}

// countUse is how many bytes of statistics a tenant has in a period.
type countUse struct {
	tenant string
	period int64
	bytes  int64
}

// countUses returns the use of all tenants in the periods of a step up to one, the oldest period first.
func (s *store) countUses(step state.StatStep, upTo int64) ([]countUse, error) {
	var all []countUse
	begin := []byte{tabCountUse, step.Letter()}
	err := between(s.db, begin, appendTime(slices.Clone(begin), upTo), func(key, value []byte) error {
		_, period, tail, ok := cutStep(key[1:])
		tenant, _, ok2 := cutText(tail)
		if ok && ok2 {
			all = append(all, countUse{tenant, period, readNumber(value)})
		}
		return nil
	})
	return all, err
}

// trimCounts removes statistics whose time is over.
func (s *store) trimCounts(run func(func(*tx, *slice)) error) error {
	now := s.clock.look().wall
	for _, step := range state.StatSteps {
		first, _ := step.Cell(now.Add(-step.Kept()))
		over, err := s.countUses(step, first)
		if err != nil || len(over) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		if err := run(func(t *tx, _ *slice) {
			for _, table := range [...]byte{tabCount, tabCountUse} {
				begin := []byte{table, step.Letter()}
				must(t.b.DeleteRange(begin, appendTime(slices.Clone(begin), first), nil))
			}
			for _, u := range over {
				t.s.countBytes.Add(-u.bytes)
			}
		}); err != nil {
			return err
		}
	}
	return s.trimCountNames(run, state.StatDay(now.Add(-state.ByDay.Kept())))
}

// trimCountNames removes names that were last counted before a day.
func (s *store) trimCountNames(run func(func(*tx, *slice)) error, oldest int64) error {
	var over [][]byte
	if err := scan(s.db, []byte{tabCountName}, func(rest, value []byte) error {
		_, tail, ok := cutText(rest)
		if ok && len(tail) > 1 && readNumber(value) < oldest {
			over = append(over, append([]byte{tabCountName}, rest...))
		}
		return nil
	}); err != nil {
		return err
	}
	for some := range slices.Chunk(over, sliceList) {
		if err := run(func(t *tx, _ *slice) {
			for _, key := range some {
				if t.get(key) == nil || t.number(key) >= oldest {
					continue // it was counted meanwhile
				}
				tenant, tail, _ := cutText(key[1:])
				of := append(appendText([]byte{tabCountName}, tenant), tail[0])
				t.drop(key)
				if n := t.number(of) - 1; n > 0 {
					t.put(of, appendInt(nil, n))
				} else {
					t.drop(of)
				}
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// shrinkCounts applies the bound in bytes: the largest tenants lose minutes, the oldest hours first, until they are at the level of
// all others (state.Level); then hours, and days at last.
func (s *store) shrinkCounts(ctx context.Context, bound int64, run func(func(*tx, *slice)) error) error {
	if bound <= 0 {
		return nil
	}
	for _, step := range state.StatSteps {
		over := s.countBytes.Load() - bound
		if over <= 0 {
			return nil
		}
		uses, err := s.countUses(step, 1<<62)
		if err != nil {
			return err
		}
		by := map[string]int64{}
		for _, u := range uses {
			by[u.tenant] += u.bytes
		}
		level, _ := state.Level(slices.SortedFunc(maps.Values(by), func(a, b int64) int { return cmp.Compare(b, a) }), over)
		for _, u := range uses {
			if err := s.check(ctx); err != nil {
				return err
			}
			if by[u.tenant] <= level {
				continue
			}
			if err := run(func(t *tx, sl *slice) { t.dropCounts(step, u, sl) }); err != nil {
				return err
			}
			by[u.tenant] -= u.bytes
		}
	}
	return nil
}

// dropCounts removes a tenant's statistics of one period.
func (t *tx) dropCounts(step state.StatStep, u countUse, sl *slice) {
	prefix := cellPeriod(nil, step, u.period, u.tenant)
	must(t.b.DeleteRange(prefix, prefixEnd(prefix), nil))
	key := countUseKey(nil, step, u.period, u.tenant)
	t.s.countBytes.Add(-t.number(key))
	t.drop(key)
	sl.done.Stats++
}

// trimFormerStats removes minutes that former versions kept, once they are older than history. They are read no more.
func trimFormerStats(t *tx, s *slice) {
	before, aged := s.before(s.r.History.Age)
	if !aged {
		return
	}
	for from := []byte{tabStats}; from != nil; {
		var tenant string
		must(ignoreStop(between(t.s.db, from, []byte{tabStats + 1}, func(key, _ []byte) error {
			var ok bool
			if tenant, _, ok = cutText(key[1:]); !ok {
				return state.ErrCorrupt
			}
			return errStop
		})))
		if tenant == "" {
			return
		}
		prefix := textKey(tabStats, tenant)
		must(t.b.DeleteRange(prefix, appendTime(slices.Clone(prefix), before), nil))
		from = prefixEnd(prefix)
	}
}
