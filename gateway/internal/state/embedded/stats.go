package embedded

import (
	"context"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Statistics. A cell is a packed count (state.AppendCount). Cells are ordered by step and period first, so that everything whose time
// is over leaves in one range, then by tenant, kind and name, so that a query reads one short range for each name and period.
//
// tabCountUse has the bytes of each tenant in a period, for the bound of all. tabCountName has the names, each with the day that it
// was last counted, and how many there are of a tenant and kind.

// countsAtOnce bounds one operation of the writer, so that merging thousands of counts does not delay events.
const countsAtOnce = 128

// countOverhead is about what a cell takes beside its key and value.
const countOverhead = 8

// counting adds counts. A count is added to the cells of all its steps in one batch: it is added as a whole or not at all.
type counting struct{ counts []state.Count }

// AddCounts adds counts to their minutes, hours and days.
func (s *store) AddCounts(ctx context.Context, counts []state.Count) (left []state.Count, err error) {
	if err := state.CheckCounts(counts); err != nil {
		return counts, err
	}
	for len(counts) > 0 {
		n := min(len(counts), countsAtOnce)
		err := ctx.Err()
		if err == nil {
			// The writer always answers soon. If ctx ended the wait, it would be unknown whether these were added.
			err = s.do(context.WithoutCancel(ctx), &call{op: &counting{counts[:n]}, size: 256 * n})
		}
		if err != nil {
			return counts, fmt.Errorf("add statistics: %w", err)
		}
		counts = counts[n:]
	}
	return nil, nil
}

func (op *counting) stage(t *tx) error {
	for i := range op.counts {
		c := &op.counts[i]
		name := t.admitName(c)
		for _, step := range state.StatSteps {
			if t.wall.Sub(step.Start(c.At)) < step.Kept() {
				t.addToCell(step, c, name)
			}
		}
	}
	return nil
}

// addToCell adds a count to the cell of a step. A cell that cannot be read is left alone.
func (t *tx) addToCell(step state.StatStep, c *state.Count, name string) {
	period, unit := step.Cell(c.At)
	key := append(cellPrefix(t.key, step, period, c.Tenant, c.Kind, name), byte(unit))
	grown := int64(len(key) + countOverhead)
	sum := state.Count{Counts: c.Counts, Took: c.Took, Age: c.Age}
	if v := t.get(key); v != nil {
		grown = -int64(len(v))
		var kept state.Count
		if state.ReadCount(v, &kept) != nil {
			t.s.unreadCounts.Add(1)
			return
		}
		sum.Add(&kept)
	}
	t.val = state.AppendCount(t.val[:0], &sum)
	t.put(key, t.val)
	t.useCounts(step, period, c.Tenant, grown+int64(len(t.val)))
}

// useCounts changes the bytes that a tenant has in a period.
func (t *tx) useCounts(step state.StatStep, period int64, tenant string, by int64) {
	if by == 0 {
		return
	}
	key := countUseKey(t.key, step, period, tenant)
	t.val = appendInt(t.val[:0], t.number(key)+by)
	t.put(key, t.val)
	t.s.countBytes.Add(by)
}

// number reads a number that is a value of its own; 0: there is none. A damaged one is 0 too: statistics never stop the store.
func (t *tx) number(key []byte) int64 { return readNumber(t.get(key)) }

func readNumber(value []byte) int64 {
	r := readerOf(value)
	return r.Int()
}

// admitName returns the name under which a count is kept: its own, or OtherName if the tenant has too many of this kind.
func (t *tx) admitName(c *state.Count) string {
	switch {
	case c.Name == "":
		return ""
	case !state.KeptName(c.Name):
		return state.OtherName
	}
	day := state.StatDay(c.At)
	of := countNames(t.key, c.Tenant, c.Kind)
	n := t.number(of)
	key := appendText(of, c.Name)
	if v := t.get(key); v == nil {
		if n >= state.MaxStatNames {
			return state.OtherName
		}
		t.put(key, appendInt(nil, day))
		t.put(countNames(t.key, c.Tenant, c.Kind), appendInt(nil, n+1))
	} else if last := t.number(key); day > last {
		t.put(key, appendInt(nil, day))
	}
	return c.Name
}

// cellPeriod is the prefix of the cells of a tenant in a period.
func cellPeriod(b []byte, step state.StatStep, period int64, tenant string) []byte {
	return appendText(appendTime(append(b[:0], tabCount, step.Letter()), period), tenant)
}

// cellPrefix is the prefix of the cells of one name in a period.
func cellPrefix(b []byte, step state.StatStep, period int64, tenant string, kind state.StatKind, name string) []byte {
	return appendText(append(cellPeriod(b, step, period, tenant), kind.Letter()), name)
}

func countUseKey(b []byte, step state.StatStep, period int64, tenant string) []byte {
	return appendText(appendTime(append(b[:0], tabCountUse, step.Letter()), period), tenant)
}

// countNames is the prefix of the names of a kind, and the key of how many there are.
func countNames(b []byte, tenant string, kind state.StatKind) []byte {
	return append(appendText(append(b[:0], tabCountName), tenant), kind.Letter())
}

// loadCounts sums up the bytes of statistics.
func (s *store) loadCounts() error {
	var sum int64
	err := scan(s.db, []byte{tabCountUse}, func(_, value []byte) error {
		sum += readNumber(value)
		return nil
	})
	s.countBytes.Store(sum)
	if err != nil {
		return fmt.Errorf("statistics: %w", err)
	}
	return nil
}
