package embedded

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// sliceDrops is how many periods of tenants one slice removes.
const sliceDrops = 32

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

// countUses returns the use of all tenants in the periods of a step from one up to another, the oldest period first.
func (s *store) countUses(step state.StatStep, from, to int64) ([]countUse, error) {
	var all []countUse
	begin := []byte{tabCountUse, step.Letter()}
	err := between(s.db, appendTime(slices.Clone(begin), from), appendTime(slices.Clone(begin), to), func(key, value []byte) error {
		_, period, tail, ok := cutStep(key[1:])
		tenant, _, ok2 := cutText(tail)
		if ok && ok2 {
			all = append(all, countUse{tenant, period, readNumber(value)})
		}
		return nil
	})
	return all, err
}

// countTrim is what one Trim removes of statistics. It is planned outside of the writer, because that reads much.
type countTrim struct {
	ended map[state.StatStep]int64 // periods before these are over
	names [][]byte                 // keys of names that were last counted before oldest
	drops []countDrop
	// oldest is the first day whose counts are kept.
	oldest int64
}

// countDrop is a tenant's statistics of one period.
type countDrop struct {
	step state.StatStep
	countUse
}

// planCounts looks for statistics over the bound in bytes: the largest tenants lose minutes, the oldest hours first, until they are at
// the level of all others (state.Level); then hours, and days at last. ended also looks for those whose time is over.
func (s *store) planCounts(bound int64, ended bool) (*countTrim, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	now := s.clock.look().wall
	p := &countTrim{ended: map[state.StatStep]int64{}, oldest: state.StatDay(now.Add(-state.ByDay.Kept()))}
	if ended {
		for _, step := range state.StatSteps {
			p.ended[step], _ = step.Cell(now.Add(-step.Kept()))
		}
		if err := p.findNames(s); err != nil {
			return nil, err
		}
	}
	over := s.countBytes.Load() - bound
	for _, step := range state.StatSteps {
		if bound <= 0 || over <= 0 {
			break
		}
		uses, err := s.countUses(step, p.ended[step], math.MaxInt64)
		if err != nil {
			return nil, err
		}
		by := map[string]int64{}
		for _, u := range uses {
			by[u.tenant] += u.bytes
		}
		level, _ := state.Level(slices.SortedFunc(maps.Values(by), func(a, b int64) int { return cmp.Compare(b, a) }), over)
		for _, u := range uses {
			if by[u.tenant] > level {
				p.drops = append(p.drops, countDrop{step, u})
				by[u.tenant] -= u.bytes
				over -= u.bytes
			}
		}
	}
	return p, nil
}

// findNames looks for names that leave.
func (p *countTrim) findNames(s *store) error {
	return scan(s.db, []byte{tabCountName}, func(rest, value []byte) error {
		_, tail, ok := cutText(rest)
		if ok && len(tail) > 1 && readNumber(value) < p.oldest {
			p.names = append(p.names, append([]byte{tabCountName}, rest...))
		}
		return nil
	})
}

// trim removes a slice of what was planned.
func (p *countTrim) trim(t *tx, s *slice) {
	for step, first := range p.ended {
		t.endCounts(step, first)
	}
	p.ended = nil
	for n := 0; n < sliceList && len(p.names) > 0; n++ {
		t.dropCountName(p.names[0], p.oldest)
		p.names = p.names[1:]
	}
	for n := 0; n < sliceDrops && len(p.drops) > 0; n++ {
		t.dropCounts(p.drops[0])
		s.done.Stats++
		p.drops = p.drops[1:]
	}
	s.more = len(p.names)+len(p.drops) > 0
}

// endCounts removes the periods of a step before one.
func (t *tx) endCounts(step state.StatStep, first int64) {
	over, err := t.s.countUses(step, math.MinInt64, first)
	must(err)
	if len(over) == 0 {
		return
	}
	for _, table := range [...]byte{tabCount, tabCountUse} {
		begin := []byte{table, step.Letter()}
		must(t.b.DeleteRange(appendTime(slices.Clone(begin), math.MinInt64), appendTime(slices.Clone(begin), first), nil))
	}
	for _, u := range over {
		t.s.countBytes.Add(-u.bytes)
	}
}

// dropCountName removes a name, unless it was counted meanwhile.
func (t *tx) dropCountName(key []byte, oldest int64) {
	if t.get(key) == nil || t.number(key) >= oldest {
		return
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

// dropCounts removes a tenant's statistics of one period.
func (t *tx) dropCounts(d countDrop) {
	prefix := cellPeriod(nil, d.step, d.period, d.tenant)
	must(t.b.DeleteRange(prefix, prefixEnd(prefix), nil))
	key := countUseKey(nil, d.step, d.period, d.tenant)
	t.s.countBytes.Add(-t.number(key))
	t.drop(key)
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
