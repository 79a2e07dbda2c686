package embedded

import (
	"fmt"

	"github.com/google/go-cmp/cmp"
)

// compareLists compares the lists of destinations with what is kept of them in memory: counts, bytes, bounds and rules.
func compareLists(t *tx) (diff string) {
	s := t.s
	there, said := map[string]destCounts{}, map[string]destCounts{}
	key := func(d *dest) string { return d.tenant + "/" + d.name }
	of := func(rest []byte) (*dest, []byte) {
		tenant, tail, _ := cutText(rest)
		name, tail, _ := cutText(tail)
		return s.due.known(tenant, name), tail
	}
	for table := byte(tabWaiting); table <= tabFailures; table++ {
		must(scan(s.db, []byte{table}, func(rest, value []byte) error {
			d, tail := of(rest)
			if d == nil {
				diff += fmt.Sprintf("%q of table %d has no destination\n", rest, table)
				return nil
			}
			p, _ := cutSortKey(tail)
			c := there[key(d)]
			var rule string
			o := t.owed(d.tenant, p.pos, p.suffix)
			switch table {
			case tabWaiting:
				c.waiting++
				c.waitingBytes += int64(o.size)
				rule = o.Origin.Name
			case tabDead:
				c.dead++
				c.deadBytes += int64(o.size)
				rule = o.Origin.Name
			case tabHistory, tabFailures:
				if table == tabHistory {
					c.history++
				} else {
					c.failures++
				}
				e, err := readEntry(d.tenant, p, value)
				must(err)
				rule = e.Origin.Name
			}
			there[key(d)] = c
			if to := s.due.rulesTo(d, rule); to < p.at {
				diff += fmt.Sprintf("%s has an entry of rule %s, not known\n", key(d), rule)
			}
			if at, known := s.due.newestAt(d, table); known && at < p.at {
				diff += fmt.Sprintf("%s has an entry of %d in table %d, the newest known is of %d\n", key(d), p.at, table, at)
			}
			if p.less(d.low[table-tabWaiting]) {
				diff += fmt.Sprintf("%s has an entry of %d in table %d below its lower bound\n", key(d), p.at, table)
			}
			return nil
		}))
	}
	for _, d := range s.due.destinations("*") {
		if d.counts != (destCounts{}) {
			said[key(d)] = d.counts
		}
	}
	for _, table := range []byte{tabDest, tabRule, tabHold} {
		must(scan(s.db, []byte{table}, func(rest, _ []byte) error {
			if d, _ := of(rest); d == nil {
				diff += fmt.Sprintf("%q of table %d is of no destination\n", rest, table)
			}
			return nil
		}))
	}
	return diff + cmp.Diff(there, said, cmp.AllowUnexported(destCounts{}))
}
