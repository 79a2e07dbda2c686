package embedded

import (
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// counts copies statistics, and derives the names and bytes of tenants from them.
func (c *rebuilder) counts() error {
	return c.from.each(tabCount, func(key, value []byte) error {
		step, period, tail, ok := cutStep(key[1:])
		tenant, tail, ok2 := cutText(tail)
		if !ok || !ok2 || len(tail) < 2 {
			c.leftOut("statistics that cannot be decoded")
			return nil
		}
		letter := tail[0]
		name, unit, ok := cutText(tail[1:])
		cell := state.Count{Tenant: tenant, Name: name}
		for _, kind := range state.StatKinds {
			if kind.Letter() == letter {
				cell.Kind = kind
			}
		}
		if !ok || len(unit) != 1 || cell.Kind == "" || state.ReadCount(value, &cell) != nil {
			c.leftOut("statistics that cannot be decoded")
			return nil
		}
		cell.At = step.Time(period, int(unit[0]))
		return c.add(len(key)+len(value), func(t *tx) { t.addToCell(step, &cell, t.admitName(&cell)) })
	})
}
