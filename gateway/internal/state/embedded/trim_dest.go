package embedded

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// eachOldest calls each for the entries of a destination's list, oldest first, until it returns false. It begins at the lower
// bound of the list, because scanning removed entries is slow, and moves that bound up. Only the writer calls it.
func (t *tx) eachOldest(d *dest, table byte, each func(p sortKey) bool) {
	prefix := destPrefix(nil, table, d.tenant, d.name)
	low := &d.low[table-tabWaiting]
	it, err := t.s.db.NewIter(&pebble.IterOptions{
		LowerBound: low.append(append([]byte(nil), prefix...)), UpperBound: prefixEnd(prefix),
	})
	must(err)
	first := true
	for ok := it.First(); ok; ok = it.Next() {
		p, valid := cutSortKey(it.Key()[len(prefix):])
		if !valid || !bytes.HasPrefix(it.Key(), prefix) {
			must(state.ErrCorrupt)
		}
		if first {
			t.s.due.setLow(low, p)
			first = false
		}
		if !each(p) {
			break
		}
	}
	must(errors.Join(it.Error(), it.Close()))
}

// destRound trims destinations, in the order of their names. A call begins behind the destination that the last call ended with;
// the first one in a process begins anywhere, so that all have their turn also if processes live shortly.
type destRound struct {
	left  []*dest // still to be looked at
	again []*dest // with more to remove than one slice can
	first bool    // left is not again
}

// destRound begins a round for one call of Trim.
func (s *store) destRound() *destRound {
	all := s.due.destinations("*")
	slices.SortFunc(all, func(a, b *dest) int { return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.name, b.name)) })
	from := 0
	if after := s.trimmedDest.Load(); after != nil {
		from, _ = slices.BinarySearchFunc(all, after, func(d *dest, after *destName) int {
			if c := cmp.Or(cmp.Compare(d.tenant, after.tenant), cmp.Compare(d.name, after.name)); c != 0 {
				return c
			}
			return -1 // the one behind it
		})
	} else if len(all) > 0 {
		from = rand.IntN(len(all)) //nolint:gosec // where a round begins is no secret
	}
	return &destRound{left: slices.Concat(all[from:], all[:from]), first: true}
}

// trim is one slice. Destinations have their turn once, and share what slices are left.
func (r *destRound) trim(t *tx, s *slice) {
	for looked, passed := 0, 0; len(r.left) > 0 && looked < sliceDests && passed < sliceEvents; passed++ {
		d := r.left[0]
		r.left = r.left[1:]
		if r.first {
			t.s.trimmedDest.Store(&destName{d.tenant, d.name})
		}
		if trimDest(t, s, d) {
			looked++
		}
		if s.more {
			s.more = false
			r.again = append(r.again, d)
		}
		if s.done.Overdue+s.done.Dead+s.done.Attempts/8 >= sliceEvents {
			break
		}
	}
	if len(r.left) == 0 {
		r.left, r.again, r.first = r.again, nil, false
	}
	s.more = len(r.left) > 0
}

// trimDest trims the lists of one destination, and reports whether it read any.
func trimDest(t *tx, s *slice, d *dest) (read bool) {
	waiting, dead := trimWaiting(t, s, d), trimDead(t, s, d)
	history, failures := trimHistory(t, s, d, tabHistory), trimHistory(t, s, d, tabFailures)
	trimForgotten(t, s, d)
	return waiting || dead || history || failures
}

// mayBeOlder reports whether a list may have entries from before a time. Its lower bound tells, mostly.
func (d *dest) mayBeOlder(table byte, before int64) bool { return d.low[table-tabWaiting].at < before }

// trimWaiting makes the oldest waiting deliveries over the bound dead letters. Leased ones are skipped until the next Trim.
func trimWaiting(t *tx, s *slice, d *dest) (read bool) {
	b := s.r.Waiting
	before, aged := s.before(b.Age)
	left := d.counts
	if left.waiting == 0 || !(b.Count > 0 && left.waiting > int64(b.Count) || b.Bytes > 0 && left.waitingBytes > b.Bytes ||
		aged && d.mayBeOlder(tabWaiting, before)) {
		return false
	}
	exceeded := func(p sortKey) (reason func() string) {
		switch {
		case b.Count > 0 && left.waiting > int64(b.Count):
			return b.TooMany
		case b.Bytes > 0 && left.waitingBytes > b.Bytes:
			return b.TooLarge
		case aged && p.at < before:
			return b.TooOld
		}
		return nil
	}
	n := 0
	t.eachOldest(d, tabWaiting, func(p sortKey) bool {
		reason := exceeded(p)
		if reason == nil {
			return false
		}
		if n == sliceEvents {
			s.more = true
			return false
		}
		o := t.owed(d.tenant, p.pos, p.suffix)
		if o == nil || o.State != state.Waiting || !t.seize(o) {
			return true
		}
		n++
		to := o.Delivery
		to.State, to.Reason = state.Dead, reason()
		t.change(o, &to)
		left.waiting--
		left.waitingBytes -= int64(o.size)
		s.done.AddOverdue(d.tenant, d.name, 1)
		return true
	})
	return true
}

// trimDead drops dead letters that are too old.
func trimDead(t *tx, s *slice, d *dest) (read bool) {
	before, aged := s.before(s.r.Dead.Age)
	if d.counts.dead == 0 || !aged || !d.mayBeOlder(tabDead, before) {
		return false
	}
	n := 0
	t.eachOldest(d, tabDead, func(p sortKey) bool {
		if p.at >= before {
			return false
		}
		if n++; n > sliceEvents {
			s.more = true
			return false
		}
		t.dropDeadLetter(d, p, s)
		return true
	})
	return true
}

// dropDeadLetter ends a dead letter; its record stays with its event.
func (t *tx) dropDeadLetter(d *dest, p sortKey, s *slice) {
	o := t.owed(d.tenant, p.pos, p.suffix)
	if o == nil || o.State != state.Dead {
		return
	}
	t.list(d, o, -1)
	o.State = state.Dropped
	t.val = appendOwed(t.val[:0], o)
	t.put(owedKey(t.key, o.pos, o.suffix), t.val)
	t.noteUnreferenced(o.pos)
	s.done.Dead++
}

// noteUnreferenced has sweep check an event that may have lost its last reference.
func (t *tx) noteUnreferenced(pos uint64) {
	if w := &t.s.w; pos < w.counters.first {
		w.unreferenced = append(w.unreferenced, pos)
	}
}

func trimHistory(t *tx, s *slice, d *dest, table byte) (read bool) {
	before, aged := s.before(s.r.History.Age)
	total := d.counts.history
	if table == tabFailures {
		total = d.counts.failures
	}
	extra := int64(0)
	if most := int64(s.r.History.PerDestination); most > 0 {
		extra = total - most
	}
	if total == 0 || extra <= 0 && !(aged && d.mayBeOlder(table, before)) {
		return false
	}
	n := int64(0)
	var last sortKey
	from := d.low[table-tabWaiting]
	t.eachOldest(d, table, func(p sortKey) bool {
		if n >= extra && !(aged && p.at < before) {
			return false
		}
		if n == 4*sliceList {
			s.more = true
			return false
		}
		last = p
		n++
		return true
	})
	if n == 0 {
		return true
	}
	must(t.b.DeleteRange(listKey(nil, table, d.tenant, d.name, from), listKey(nil, table, d.tenant, d.name, last.after()), nil))
	t.s.due.setLow(&d.low[table-tabWaiting], last.after())
	c := t.counts(d)
	if table == tabFailures {
		c.failures -= n
	} else {
		c.history -= n
	}
	s.done.Attempts += int(n)
	return true
}

// trimOnce removes reservations that have ended.
func trimOnce(t *tx, s *slice) {
	w := &t.s.w
	from := appendTime([]byte{tabOnceEnd}, math.MinInt64)
	if w.onceFrom != nil {
		from = w.onceFrom
	}
	n := 0
	var last []byte
	must(ignoreStop(between(t.s.db, from, appendTime([]byte{tabOnceEnd}, s.over+1), func(key, _ []byte) error {
		tenant, rest, ok := cutText(key[9:])
		name, _, ok2 := cutText(rest)
		if !ok || !ok2 {
			return state.ErrCorrupt
		}
		t.drop(textKey(tabOnce, tenant, name))
		last = append(append(last[:0], key...), 0)
		if n++; n == sliceList {
			s.more = true
			return errStop
		}
		return nil
	})))
	if n > 0 {
		must(t.b.DeleteRange(from, last, nil))
		w.onceFrom = last
	}
}

// trimLists removes list items that have ended, of some lists in each slice.
func trimLists(t *tx, s *slice) {
	w, n := &t.s.w, 0
	if w.listsFrom == nil {
		w.listsFrom = []byte{tabList}
	}
	must(ignoreStop(between(t.s.db, w.listsFrom, []byte{tabList + 1}, func(key, value []byte) error {
		if n++; n > sliceList {
			s.more = true
			w.listsFrom = append(w.listsFrom[:0], key...)
			return errStop
		}
		r := readerOf(value)
		first, next := r.Uint(), r.Uint()
		rest := key[1:]
		items := append([]byte{tabListItem}, rest...)
		was := first
		for ; first < next; first++ {
			key := appendU64(append([]byte(nil), items...), first)
			if v := t.get(key); len(v) >= 8 && keyTime(v) > s.over {
				break
			}
			t.del(key)
		}
		switch key := append([]byte{tabList}, rest...); {
		case first == next:
			t.drop(key) // the next item begins the list anew
		case first > was:
			t.put(key, appendUint(appendUint(nil, first), next))
		}
		return r.Err()
	})))
	if !s.more {
		w.listsFrom = nil
	}
	t.s.tidying.Store(s.more)
}
