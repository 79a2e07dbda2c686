package embedded

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// trimEvents removes the oldest events, but never pending ones: those that are too old, and those of the largest tenants. An
// event that a delivery refers to moves to tabKept. An event of another tenant that is in the way moves to its tenant's share.
func (p *shedding) trimEvents(t *tx, s *slice) {
	c := &t.s.w.counters
	before, aged := s.before(s.r.Events.Age)
	if !aged && !p.exceeded(t, s) {
		return
	}
	db := t.s.db
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: posKey(nil, tabEvent, c.first), UpperBound: posKey(nil, tabEvent, c.low),
	})
	must(err)
	refs := references{t: t, referenced: map[uint64]bool{}}
	owners := map[string]bool{} // tenants of events in the run
	n, size, run := 0, 0, c.first
	ok := it.First()
	for ; ok && n < sliceEvents && size < sliceBytes; ok = it.Next() {
		pos := keyPos(it.Key())
		record, err := it.ValueAndErr()
		must(err)
		e, _, _, err := readEvent(record)
		bad := err != nil // it cannot be read, so its tenant and index entries are unknown
		old := aged && (bad || e.received < before)
		if !old && !p.exceeded(t, s) {
			break
		}
		n++
		size += len(record)
		c.events--
		c.bytes -= int64(len(record))
		if bad {
			s.done.Events++
			c.first = pos + 1
			continue
		}
		u := t.use(e.tenant)
		switch {
		case !old && u.bytes <= p.level:
			t.forgetRun(run, pos, owners)
			run = pos + 1
			t.moveToShare(u, &e, pos, record)
			s.done.Moved++
		case refs.has(pos):
			t.forgetRun(run, pos, owners)
			run = pos + 1
			t.del(posKey(t.key, tabEvent, pos))
			t.put(posKey(t.key, tabKept, pos), record)
			c.kept++
			c.keptBytes += int64(len(record))
			s.done.Kept++
			u.bytes -= int64(len(record))
			p.noteLoss(u.bytes+int64(len(record)), u.bytes)
		default:
			owners[e.tenant] = true
			t.forget(&e, pos, s)
			s.done.Events++
			u.bytes -= int64(len(record))
			p.noteLoss(u.bytes+int64(len(record)), u.bytes)
		}
		c.first = pos + 1
	}
	must(errors.Join(it.Error(), it.Close()))
	if n > 0 {
		t.forgetRun(run, c.first, owners)
		t.s.w.dirty = true
	}
	s.more = ok && n > 0
}

// forgetRun removes all records by position of a run of events. Short runs are common if many events are referred to.
func (t *tx) forgetRun(from, to uint64, owners map[string]bool) {
	if from >= to {
		return
	}
	for tenant := range owners {
		must(t.b.DeleteRange(timelineKey(nil, tenant, from), timelineKey(nil, tenant, to), nil))
		delete(owners, tenant)
	}
	for _, table := range [...]byte{tabEvent, tabOutcome, tabClaims, tabOwed} {
		must(t.b.DeleteRange(posKey(nil, table, from), posKey(nil, table, to), nil))
	}
}

// forget removes an event from the indexes. Its id stays as long as the dedupe window.
func (t *tx) forget(e *terms, pos uint64, s *slice) {
	t.unindex(e, pos)
	if before, ends := s.before(s.r.Dedupe.Age); ends && e.received < before {
		t.drop(idKey(t.key, e.tenant, e.id))
		s.done.Dedupe++
		return
	}
	t.keepRemovedID(e.tenant, e.id, pos, e.received)
}

// references caches which events of a range are referred to: by an open delivery, or as dead letters themselves.
type references struct {
	t          *tx
	referenced map[uint64]bool
	from, to   uint64
}

func (r *references) load(from, to uint64) {
	r.from, r.to = from, to
	clear(r.referenced)
	must(between(r.t.s.db, posKey(nil, tabOwed, from), posKey(nil, tabOwed, to), func(key, value []byte) error {
		pos := keyPos(key)
		if r.referenced[pos] {
			return nil
		}
		o, err := readOwed("", pos, string(key[9:]), value)
		if err == nil && o.State.Open() {
			r.referenced[pos] = true
		}
		return err
	}))
	// Dead events are so few that reading all of them is cheaper than one look-up per event.
	must(scan(r.t.s.db, []byte{tabDeadEvent}, func(rest, _ []byte) error {
		if len(rest) < 16 {
			return state.ErrCorrupt
		}
		if pos := keyPos(rest[len(rest)-9:]); pos >= from && pos < to {
			r.referenced[pos] = true
		}
		return nil
	}))
}

func (r *references) has(pos uint64) bool {
	if pos < r.from || pos >= r.to {
		r.load(pos, pos+4*sliceEvents)
	}
	return r.referenced[pos]
}

// sweeping removes kept events that have lost their last reference.
type sweeping struct{ positions []uint64 }

func (op *sweeping) stage(t *tx) error {
	// The bounds of deduplication are unknown here: the id goes into its list, and Trim removes it later.
	s := &slice{r: &state.Retention{}, now: nanos(t.wall)}
	for _, pos := range op.positions {
		t.sweep(pos, s)
	}
	return nil
}

// sweep removes a kept event that is neither referred to nor in a share.
func (t *tx) sweep(pos uint64, s *slice) {
	record := t.get(posKey(t.key, tabKept, pos))
	if record == nil {
		return
	}
	e, _, _, err := readEvent(record)
	must(err)
	if t.get(tenantKey(t.key, tabShare, e.tenant, pos)) != nil {
		return
	}
	refs := references{t: t, referenced: map[uint64]bool{}}
	if !refs.has(pos) {
		t.removeKept(pos, s)
	}
}

// removeKept removes an event from tabKept.
func (t *tx) removeKept(pos uint64, s *slice) {
	c := &t.s.w.counters
	record := t.get(posKey(t.key, tabKept, pos))
	if record == nil {
		return
	}
	e, _, _, err := readEvent(record)
	must(err)
	t.drop(posKey(t.key, tabKept, pos))
	t.forgetRun(pos, pos+1, map[string]bool{e.tenant: true})
	t.forget(&e, pos, s)
	c.kept--
	c.keptBytes -= int64(len(record))
	t.s.w.dirty = true
	s.done.Events++
}

// overdueKept checks kept events in turn: a crash between losing the last reference and the sweep leaves one behind.
func overdueKept(t *tx, s *slice) {
	w := &t.s.w
	var some []uint64
	must(ignoreStop(between(t.s.db, posKey(nil, tabKept, w.keptAt), []byte{tabKept + 1}, func(key, _ []byte) error {
		some = append(some, keyPos(key))
		if len(some) == sliceEvents {
			return errStop
		}
		return nil
	})))
	w.keptAt = 0
	if len(some) == sliceEvents {
		w.keptAt = some[len(some)-1] + 1
	}
	for _, pos := range some {
		t.sweep(pos, s)
	}
}

// overdueEvents drops events that were dead letters themselves for longer than the bound. It continues in turn over the tenants.
func overdueEvents(t *tx, s *slice) {
	before, aged := s.before(s.r.Dead.Age)
	if !aged {
		return
	}
	w := &t.s.w
	from := []byte{tabDeadEvent}
	if w.deadFrom != nil {
		from = w.deadFrom
	}
	it, err := t.s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{tabDeadEvent + 1}})
	must(err)
	n := 0
	ok := it.First()
	for ; ok && n < sliceEvents; n++ {
		key := it.Key()
		tenant, at, valid := cutText(key[1:])
		if !valid || len(at) != 16 {
			must(state.ErrCorrupt)
		}
		if keyTime(at) >= before {
			ok = it.SeekGE(prefixEnd(textKey(tabDeadEvent, tenant))) // the next tenant
			continue
		}
		pos := keyPos(at[7:])
		t.drop(bytes.Clone(key))
		if pos < w.counters.first {
			w.unreferenced = append(w.unreferenced, pos)
		}
		s.done.Dead++
		ok = it.Next()
	}
	w.deadFrom = nil
	if s.more = ok; ok {
		w.deadFrom = bytes.Clone(it.Key())
	}
	must(errors.Join(it.Error(), it.Close()))
}
