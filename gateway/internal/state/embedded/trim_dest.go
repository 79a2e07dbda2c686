package embedded

import (
	"bytes"
	"cmp"
	"container/heap"
	"errors"
	"maps"
	"math"
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

// trimDest trims the lists of one destination.
func trimDest(t *tx, s *slice, d *dest) {
	trimWaiting(t, s, d)
	trimDead(t, s, d)
	trimHistory(t, s, d, tabHistory)
	trimHistory(t, s, d, tabFailures)
	trimForgotten(t, s, d)
}

// trimWaiting makes the oldest waiting deliveries over the bound dead letters. Leased ones are skipped until the next Trim.
func trimWaiting(t *tx, s *slice, d *dest) {
	b := s.r.Waiting
	before, aged := s.before(b.Age)
	left := d.counts
	if left.waiting == 0 {
		return
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
		s.done.Overdue++
		return true
	})
}

// trimDead drops dead letters that are too old.
func trimDead(t *tx, s *slice, d *dest) {
	before, aged := s.before(s.r.Dead.Age)
	if d.counts.dead == 0 || !aged {
		return
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

func trimHistory(t *tx, s *slice, d *dest, table byte) {
	before, aged := s.before(s.r.History.Age)
	total := d.counts.history
	if table == tabFailures {
		total = d.counts.failures
	}
	if total == 0 {
		return
	}
	extra := int64(0)
	if most := int64(s.r.History.PerDestination); most > 0 {
		extra = total - most
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
		return
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
}

// trimDeadBytes bounds the bytes of events that dead letters refer to: the largest tenants lose their oldest dead letters, over
// all their destinations.
func trimDeadBytes(t *tx, s *slice) {
	used, total := map[string]int64{}, int64(0)
	for _, d := range t.s.due.destinations("*") {
		used[d.tenant] += d.counts.deadBytes
		total += d.counts.deadBytes
	}
	if total <= s.r.Dead.Bytes {
		return
	}
	level, _ := state.Level(slices.SortedFunc(maps.Values(used), func(a, b int64) int { return cmp.Compare(b, a) }), total-s.r.Dead.Bytes)
	var h deadHeads
	for _, d := range t.s.due.destinations("*") {
		if d.counts.dead == 0 || used[d.tenant] <= level {
			continue
		}
		head := deadHead{d: d}
		t.eachOldest(d, tabDead, func(p sortKey) bool {
			head.at = append(head.at, p)
			return len(head.at) < sliceEvents
		})
		if len(head.at) > 0 {
			h = append(h, head)
		}
	}
	heap.Init(&h)
	for n := 0; total > s.r.Dead.Bytes && len(h) > 0; {
		d, p := h[0].d, h[0].at[0]
		if used[d.tenant] <= level {
			heap.Pop(&h)
			continue
		}
		if n++; n > sliceEvents {
			s.more = true
			return
		}
		if o := t.owed(d.tenant, p.pos, p.suffix); o != nil {
			total -= int64(o.size)
			used[d.tenant] -= int64(o.size)
		}
		t.dropDeadLetter(d, p, s)
		if h[0].at = h[0].at[1:]; len(h[0].at) == 0 {
			heap.Pop(&h)
			s.more = true
		} else {
			heap.Fix(&h, 0)
		}
	}
	s.more = s.more && total > s.r.Dead.Bytes
}

type deadHead struct {
	d  *dest
	at []sortKey
}

type deadHeads []deadHead

func (h deadHeads) Len() int           { return len(h) }
func (h deadHeads) Less(i, j int) bool { return h[i].at[0].less(h[j].at[0]) }
func (h deadHeads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *deadHeads) Push(x any)        { *h = append(*h, x.(deadHead)) }
func (h *deadHeads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
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

// trimStats removes minutes that are older than history.
func trimStats(t *tx, s *slice) {
	before, aged := s.before(s.r.History.Age)
	if !aged {
		return
	}
	seen := map[string]bool{}
	for _, d := range t.s.due.destinations("*") {
		if seen[d.tenant] {
			continue
		}
		seen[d.tenant] = true
		prefix := textKey(tabStats, d.tenant)
		must(t.b.DeleteRange(prefix, appendTime(append([]byte(nil), prefix...), before), nil))
	}
}

// trimLists removes list items that have ended.
func trimLists(t *tx, s *slice) {
	must(scan(t.s.db, []byte{tabList}, func(rest, value []byte) error {
		r := readerOf(value)
		first, next := r.Uint(), r.Uint()
		items := append([]byte{tabListItem}, rest...)
		was := first
		for ; first < next; first++ {
			key := appendU64(append([]byte(nil), items...), first)
			if v := t.get(key); len(v) >= 8 && keyTime(v) > s.over {
				break
			}
			t.del(key)
		}
		if first > was {
			t.put(append([]byte{tabList}, rest...), appendUint(appendUint(nil, first), next))
		}
		return r.Err()
	}))
}
