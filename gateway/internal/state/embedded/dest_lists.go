package embedded

import (
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// listTableCount is the number of tables with a list for each destination: tabWaiting to tabFailures.
const listTableCount = tabFailures - tabWaiting + 1

// newest bounds the time of a list's newest entry, so that a page opens the list only when it reaches that time. Entries that
// are removed do not lower it. It is raised before an entry is written, so it holds for every snapshot that was taken before
// it is read.
type newest struct {
	at    int64 // of all entries that this process wrote; if known is set, of all entries
	known bool  // a page has looked for entries of the process before this one
}

// newestAt is when a list's newest entry is at most; ok is false if that is not known.
func (q *dueQueue) newestAt(d *dest, table byte) (at int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := d.newest[table-tabWaiting]
	return n.at, n.known
}

// lookedAt notes the newest entry of a list in a snapshot; math.MinInt64: it had none.
func (q *dueQueue) lookedAt(d *dest, table byte, at int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := &d.newest[table-tabWaiting]
	n.at, n.known = max(n.at, at), true
}

// destRules are the rules and webhooks whose deliveries are, or were, in a destination's lists. So a page of one rule's deliveries
// passes over the lists of other destinations.
type destRules struct {
	names map[string]bool // also in tabRule; under the queue's mu
	// unknownTo is up to when the lists may have entries of other rules, which a former version wrote: noTime is none. It is
	// written with the counts, which former versions write without it.
	unknownTo int64
}

const (
	// unlooked stands for an unknownTo that is yet to be found.
	unlooked = math.MaxInt64
	// anyTime is an unknownTo for a destination of more rules than are kept.
	anyTime = math.MaxInt64 - 1
	// maxDestRules is how many rules of a destination are kept.
	maxDestRules = 1000
)

// noteRule keeps that a destination's lists have deliveries of a rule or webhook.
func (t *tx) noteRule(d *dest, rule string) {
	r := &d.rules
	if r.names[rule] || r.unknownTo == anyTime {
		return
	}
	q := &t.s.due
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(r.names) >= maxDestRules {
		r.unknownTo = anyTime // written with the counts, which change with the entry
		return
	}
	if r.names == nil {
		r.names = map[string]bool{}
	}
	r.names[rule] = true
	t.set(appendText(destPrefix(t.key, tabRule, d.tenant, d.name), rule), nil)
}

// rulesTo is up to when a destination's lists may have entries of a rule: noTime is none, math.MaxInt64 any.
func (q *dueQueue) rulesTo(d *dest, rule string) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.rules.names[rule] || d.rules.unknownTo == anyTime {
		return math.MaxInt64
	}
	return d.rules.unknownTo
}

// loadRules reads the rules of destinations. Where a former version wrote last, it finds up to when entries are of any rule.
func (q *dueQueue) loadRules(s *store) (err error) {
	if err := scan(s.db, []byte{tabRule}, func(rest, _ []byte) error {
		d, rest, err := q.cut(rest)
		if err != nil {
			return err
		}
		rule, rest, ok := cutText(rest)
		if !ok || len(rest) > 0 {
			return state.ErrCorrupt
		}
		if d.rules.names == nil {
			d.rules.names = map[string]bool{}
		}
		d.rules.names[rule] = true
		return nil
	}); err != nil {
		return err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tabWaiting}, UpperBound: []byte{tabFailures + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for _, d := range q.dests {
		if d.rules.unknownTo != unlooked {
			continue
		}
		d.rules.unknownTo = noTime
		for _, table := range listTables {
			prefix := destPrefix(nil, table, d.tenant, d.name)
			if !it.SeekLT(prefixEnd(prefix)) || len(it.Key()) < len(prefix) || string(it.Key()[:len(prefix)]) != string(prefix) {
				continue
			}
			p, ok := cutSortKey(it.Key()[len(prefix):])
			if !ok {
				return state.ErrCorrupt
			}
			d.rules.unknownTo = max(d.rules.unknownTo, p.at)
		}
	}
	return it.Error()
}
