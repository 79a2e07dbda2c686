package embedded

import (
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// addOwed stores a waiting or dead delivery, and lists it.
func (t *tx) addOwed(d *dest, o *owed) {
	if o.State == state.Waiting {
		o.at = t.moment.due(o.Due)
	}
	t.val = appendOwed(t.val[:0], o)
	t.put(owedKey(t.key, o.pos, o.suffix), t.val)
	t.list(d, o, 1)
}

// list adds a waiting or dead delivery to the lists of its destination (by is 1), or removes it from them (-1).
func (t *tx) list(d *dest, o *owed, by int64) {
	c := t.counts(d)
	n := &t.s.w.counters
	if by > 0 {
		t.noteRule(d, o.Origin.Name)
		switch o.State {
		case state.Waiting:
			t.s.due.widen(d, tabWaiting, o.waitingSortKey())
		case state.Dead:
			t.s.due.widen(d, tabDead, o.deadSortKey())
		}
	}
	write := t.set
	if by < 0 {
		write = func(key, _ []byte) { t.del(key) }
	}
	switch o.State {
	case state.Waiting:
		due := o.dueSortKey()
		t.val = appendUint(t.val[:0], uint64(o.size))
		write(listKey(t.key, tabDue, d.tenant, d.name, due), t.val)
		write(listKey(t.key, tabWaiting, d.tenant, d.name, o.waitingSortKey()), nil)
		if o.Leased {
			write(leasedKey(t.key, o.pos, o.suffix), []byte(d.tenant))
		}
		change := dueChange{d: d, key: due, added: by > 0, settled: by < 0}
		if o.Leased {
			change.leased, change.shownEnd = by > 0, nanos(o.Due)
		}
		t.due = append(t.due, change)
		c.waiting += by
		c.waitingBytes += by * int64(o.size)
		n.waiting += by
	case state.Dead:
		write(listKey(t.key, tabDead, d.tenant, d.name, o.deadSortKey()), nil)
		c.dead += by
		c.deadBytes += by * int64(o.size)
		n.dead += by
	}
	t.s.w.dirty = true
}

func (o *owed) dueSortKey() sortKey     { return sortKey{o.at, o.pos, o.suffix} }
func (o *owed) waitingSortKey() sortKey { return sortKey{nanos(o.Created), o.pos, o.suffix} }
func (o *owed) deadSortKey() sortKey    { return sortKey{nanos(o.Updated), o.pos, o.suffix} }

// owed reads the record of a delivery; nil: the commit of its event finished it, or there is none.
func (t *tx) owed(tenant string, pos uint64, suffix string) *owed {
	v := t.get(owedKey(t.key, pos, suffix))
	if v == nil {
		return nil
	}
	o, err := readOwed(tenant, pos, suffix, v)
	must(err)
	return o
}

// position is the position of an event; false: no event of that id is kept.
func (t *tx) position(tenant, id string) (uint64, bool) {
	key := idKey(t.key, tenant, id)
	pos, ok := t.ids[string(key)]
	if !ok {
		pos, ok = t.seenBefore(key)
	}
	return pos, ok && pos != 0
}

// current is a delivery as it is now, from its own record or else from the outcome of its event; nil: there is none.
func (t *tx) current(tenant, eventID string, pos uint64, suffix string) *owed {
	if o := t.owed(tenant, pos, suffix); o != nil {
		return o
	}
	v := t.outcomes[pos]
	if v == nil {
		v = t.get(posKey(t.key, tabOutcome, pos))
	}
	if v == nil {
		return nil
	}
	out, err := readOutcome(tenant, eventID, pos, v)
	must(err)
	return out.delivery(pos, suffix)
}

// settle applies the result of a due delivery, if its fence holds.
func (op *committing) settle(t *tx, s *state.Settled) bool {
	given := &s.Delivery
	eventID, suffix, _ := state.SplitDeliveryID(given.ID)
	pos, ok := t.position(given.Tenant, eventID)
	if !ok {
		return false // the event was removed with its last reference, after another commit ended this delivery
	}
	o := t.owed(given.Tenant, pos, suffix)
	if o == nil || o.State != state.Waiting || !t.fenceHolds(o, nanos(s.Lease)) {
		t.repeat(given.Tenant, eventID, suffix, given)
		return false
	}
	t.free(given.Tenant, eventID, s.Free)
	t.change(o, given)
	return true
}

// fenceHolds reports whether a lease is still the delivery's due time: that of its lease, or its own if it is not leased.
func (t *tx) fenceHolds(o *owed, lease int64) bool {
	if word, ok := t.s.due.leased(o.pos, o.suffix); ok {
		return word == lease
	}
	return nanos(o.Due) == lease
}

// change writes the next state of a delivery: waiting again, finished, dead or dropped.
func (t *tx) change(o *owed, to *state.Delivery) {
	old := t.s.due.find(o.Tenant, o.Destination)
	t.list(old, o, -1)

	o.State, o.Reason, o.MaxBatch = to.State, to.Reason, to.MaxBatch
	o.Attempts, o.Forgiven, o.Ref = to.Attempts, to.Forgiven, to.Ref
	o.Step, o.Destination, o.Connector = to.Step, to.Destination, to.Connector
	o.Updated, o.Log = fromNanos(max(nanos(t.wall), o.newest.at+1)), to.Log
	if o.newest.table == 0 {
		o.Updated = fromNanos(nanos(t.wall))
	}
	o.Due, o.Leased = fromNanos(noTime), false
	if o.State == state.Waiting {
		if o.Due, o.Leased = to.Due, to.Leased; o.Due.IsZero() {
			o.Due = o.Updated
		}
	}
	d := t.s.due.find(o.Tenant, o.Destination)
	if o.EntersHistory() {
		t.enterOwed(d, o, false)
	}
	o.Log = nil
	t.addOwed(d, o)
	if !o.State.Open() {
		t.noteUnreferenced(o.pos)
	}
}

// enterOwed adds an entry for a delivery to history, and links it to the previous one.
func (t *tx) enterOwed(d *dest, o *owed, repeat bool) {
	at := max(nanos(t.wall), o.newest.at+1)
	if o.newest.table == 0 {
		at = nanos(t.wall)
	}
	table := tableFor(&o.Delivery)
	t.val = appendEntry(t.val[:0], &o.Delivery, o.newest, at, repeat)
	t.enter(d, sortKey{at, o.pos, o.suffix}, table, o.Origin.Name, t.val)
	o.newest = link{table, at, d.name}
	if table == tabFailures {
		o.failedAt = at
	}
}

// repeat adds the attempts behind a lost fence to history, marked Repeat; the delivery stays as it is.
func (t *tx) repeat(tenant, eventID, suffix string, given *state.Delivery) {
	if len(given.Log) == 0 {
		return
	}
	pos, ok := t.position(tenant, eventID)
	if !ok {
		return
	}
	if t.erased(pos) {
		return
	}
	o := t.current(tenant, eventID, pos, suffix)
	if o == nil {
		return // the decision that was committed first has no such delivery
	}
	now := o.Delivery
	o.Log = given.Log
	t.enterOwed(t.s.due.find(tenant, o.Destination), o, true)
	o.Delivery = now
	t.val = appendOwed(t.val[:0], o)
	t.put(owedKey(t.key, pos, suffix), t.val)
}

// free removes keys of Once, if the event owns them.
func (t *tx) free(tenant, owner string, keys []string) {
	for _, key := range keys {
		k := textKey(tabOnce, tenant, key)
		v := t.get(k)
		if v == nil {
			continue
		}
		who, end, err := readOnce(v)
		must(err)
		if who == owner {
			t.drop(k)
			t.del(onceEndKey(end, tenant, key))
		}
	}
}
