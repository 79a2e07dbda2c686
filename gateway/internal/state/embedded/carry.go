package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// carrier writes what is read from a damaged store into a new one. What others follow from (events, outcomes, deliveries,
// history, settings) is carried over as it is, at its position; lists, indexes and counts are made by the functions
// that every write makes them with.
type carrier struct {
	from   *salvage
	to     *store
	report *Repaired

	staged []func(*tx)
	size   int

	next, version uint64
	counters      counters // of the damaged store, as far as they can be read
}

// carrying is a piece of the new store.
type carrying struct{ steps []func(*tx) }

func (op *carrying) stage(t *tx) error {
	for _, step := range op.steps {
		step(t)
	}
	return nil
}

func (c *carrier) add(size int, step func(*tx)) error {
	c.staged = append(c.staged, step)
	if c.size += size + 64; c.size < 1<<20 {
		return nil
	}
	return c.flush()
}

func (c *carrier) flush() error {
	if len(c.staged) == 0 {
		return nil
	}
	op := &carrying{c.staged}
	c.staged, c.size = nil, 0
	return c.to.do(context.Background(), &call{op: op, sync: true})
}

func (c *carrier) leftOut(what string) { c.report.LeftOut[what]++ }

// carryAll makes the new store.
func (r *Repaired) carryAll(from *salvage, work string) (err error) {
	c := &carrier{from: from, report: r}
	if err := c.survey(); err != nil {
		return err
	}
	if err := c.seed(work); err != nil {
		return err
	}
	if c.to, err = open(Options{Dir: work}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.to.Close()) }()
	for _, step := range []func() error{
		func() error { return c.events(tabEvent) }, func() error { return c.events(tabKept) },
		c.deadEvents, c.deliveries, func() error { return c.history(tabHistory) }, func() error { return c.history(tabFailures) },
		c.shares, c.gone, c.formerIDs, c.once, c.asTheyAre, c.owners, c.ids, c.totals,
	} {
		if err := step(); err != nil {
			return err
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// survey finds out where the damaged store begins and ends.
func (c *carrier) survey() error {
	m := &c.counters
	known := false
	if v, err := c.from.get(metaCounters); err != nil {
		return err
	} else if v != nil {
		_, err := m.read(v)
		known = err == nil
	}
	if !known {
		*m = counters{}
		c.report.Damage = append(c.report.Damage, "the counters cannot be read: they are counted again")
	}
	c.next = max(m.next, 1)
	first := uint64(0)
	for _, table := range []byte{tabEvent, tabKept, tabOutcome, tabOwed} {
		if err := c.from.each(table, func(key, _ []byte) error {
			if len(key) < 9 {
				return nil
			}
			pos := keyPos(key)
			c.next = max(c.next, pos+1)
			if table == tabEvent && first == 0 {
				first = pos
			}
			return nil
		}); err != nil {
			return err
		}
	}
	for _, table := range []byte{tabTimeline, tabGone} {
		if err := c.from.each(table, func(key, _ []byte) error {
			if len(key) > 9 {
				c.next = max(c.next, keyPos(key[len(key)-9:])+1)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	// Single keys of these are asked for: what cannot be read of them is known before.
	for _, table := range []byte{tabClaims, tabID} {
		if err := c.from.each(table, func(_, _ []byte) error { return nil }); err != nil {
			return err
		}
	}
	if !known {
		if m.first = first; first == 0 {
			m.first = c.next
		}
		m.dedupe = 1
	}
	c.version = m.version
	return nil
}

// seed writes what the engine reads when it opens the new store.
func (c *carrier) seed(work string) (err error) {
	db, err := pebble.Open(filepath.Join(work, "events"), &pebble.Options{Logger: quietLogger{}, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	b := db.NewBatch()
	// Every event is looked at once for whether it is pending: an outcome may have been lost.
	m := counters{
		next: c.next, first: c.counters.first, low: c.counters.first, dedupe: c.counters.dedupe, version: c.version,
		heldFrom: c.counters.heldFrom, heldTo: c.counters.heldTo,
	}
	if err := errors.Join(b.Set(metaLayout, binary.AppendUvarint(nil, layoutVersion), nil), b.Set(metaCounters, m.append(nil), nil)); err != nil {
		return err
	}
	for _, key := range [][]byte{metaTime, metaRespondents} {
		v, err := c.from.get(key)
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if err := b.Set(key, v, nil); err != nil {
			return err
		}
	}
	// Outcomes name their configuration by number, so numbers stay, also of those that cannot be read.
	n := uint64(1)
	prefix := metaKey(metaGeneration)
	if err := c.from.each(tabMeta, func(key, value []byte) error {
		if len(key) != len(prefix)+8 || string(key[:len(prefix)]) != string(prefix) {
			return nil
		}
		at := binary.BigEndian.Uint64(key[len(prefix):])
		if at < n || at > n+1<<20 {
			return nil
		}
		for ; n < at; n++ {
			if err := b.Set(appendU64(metaKey(metaGeneration), n), fmt.Appendf(nil, "unreadable-%d", n), nil); err != nil {
				return err
			}
		}
		n++
		return b.Set(append([]byte{}, key...), append([]byte{}, value...), nil)
	}); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// has says whether the new store has a key. What was added is written first.
func (c *carrier) has(key []byte) (bool, error) {
	v, err := c.to.read(c.to.db, key, nil)
	return v != nil, err
}

// decided says whether an event is in the new store, and whether it has an outcome there.
func (c *carrier) decided(pos uint64) (there, decided bool, err error) {
	for _, table := range []byte{tabEvent, tabKept} {
		if !there {
			if there, err = c.has(posKey(nil, table, pos)); err != nil {
				return false, false, err
			}
		}
	}
	if there {
		decided, err = c.has(posKey(nil, tabOutcome, pos))
	}
	return there, decided, err
}

// events carries events over with their outcomes, claims, ids and indexes.
func (c *carrier) events(table byte) error {
	expected := c.counters.first
	lose := func(to uint64) {
		if table == tabEvent && expected < to {
			c.report.LostEvents = append(c.report.LostEvents, Positions{expected, to - 1})
		}
	}
	err := c.from.each(table, func(key, value []byte) error {
		if len(key) != 9 {
			return nil
		}
		pos := keyPos(key)
		if table == tabEvent {
			if pos < c.counters.first {
				return c.passed(pos, append([]byte{}, value...))
			}
			lose(pos)
			expected = pos + 1
		}
		return c.event(table, pos, append([]byte{}, value...))
	})
	lose(c.next)
	return err
}

// passed carries over an event where retention went on and what it wrote about it is lost: neither is the event kept
// elsewhere, nor is its id among those of events that are gone. It goes into its tenant's share, as if it were put aside.
func (c *carrier) passed(pos uint64, record []byte) error {
	e, _, _, err := readEvent(record)
	if err != nil {
		return nil //nolint:nilerr // its time is over, and nobody knows whose it is
	}
	for _, key := range [][]byte{posKey(nil, tabKept, pos), tenantKey(nil, tabGone, e.tenant, pos)} {
		if v, err := c.from.get(key); err != nil || v != nil {
			return err
		}
	}
	if err := c.event(tabKept, pos, record); err != nil {
		return err
	}
	return c.share(e.tenant, pos, shared{e.received, int64(len(record))})
}

func (c *carrier) event(table byte, pos uint64, record []byte) error {
	e, _, _, bad := readEvent(record)
	out, err := c.from.get(posKey(nil, tabOutcome, pos))
	if err != nil {
		return err
	}
	if out != nil && bad == nil {
		if _, err := readOutcome(e.tenant, e.id, pos, out); err != nil {
			out = nil
		}
	}
	claimed, err := c.from.get(posKey(nil, tabClaims, pos))
	if err != nil {
		return err
	}
	if _, err := readClaims(claimed); err != nil {
		claimed = nil
	}
	var idRecord []byte
	if bad == nil {
		if idRecord, err = c.from.get(idKey(nil, e.tenant, e.id)); err != nil {
			return err
		}
		if at, _, err := readIDRecord(idRecord); err != nil || at != pos {
			idRecord = appendIDRecord(nil, pos, e.received)
		}
	}
	c.report.Events++
	dead := false
	if out == nil {
		if table == tabKept {
			// No claimer looks there. What waits of it goes on; that its decision is lost is for somebody to see.
			dead = bad == nil
			out = appendOutcome(nil, &state.Outcome{Dead: "its decision was lost with a damaged store", At: fromNanos(e.received)}, 0, nil, nil)
		} else {
			c.report.Pending++
		}
	}
	return c.add(len(record)+len(out), func(t *tx) {
		n, size := &t.s.w.counters, int64(len(record))
		t.s.w.dirty = true
		t.set(posKey(t.key, table, pos), record)
		if table == tabEvent {
			n.events, n.bytes = n.events+1, n.bytes+size
		} else {
			n.kept, n.keptBytes = n.kept+1, n.keptBytes+size
		}
		if out != nil {
			t.set(posKey(t.key, tabOutcome, pos), out)
		} else {
			n.pending++
		}
		if claimed != nil {
			t.set(posKey(t.key, tabClaims, pos), claimed)
		}
		if bad != nil {
			return // the gateway makes it a dead letter
		}
		if dead {
			t.set(deadEventKey(t.key, e.tenant, e.received, pos), nil)
		}
		if table == tabEvent {
			t.use(e.tenant).bytes += size
		}
		t.set(idKey(t.key, e.tenant, e.id), idRecord)
		t.val = appendTimeline(t.val[:0], &e, len(record))
		t.set(timelineKey(t.key, e.tenant, pos), t.val)
		if e.response != "" {
			t.set(appendU64(responsePrefix(t.key, e.tenant, e.response), pos), nil)
		}
		for _, p := range e.persons {
			t.set(appendU64(personPrefix(t.key, e.tenant, p), pos), nil)
		}
	})
}

// deadEvents carries over which events are dead letters themselves.
func (c *carrier) deadEvents() error {
	return c.from.each(tabDeadEvent, func(key, _ []byte) error {
		if len(key) < 17 {
			return nil
		}
		if _, decided, err := c.decided(keyPos(key[len(key)-9:])); err != nil || !decided {
			return err
		}
		key = append([]byte{}, key...)
		return c.add(len(key), func(t *tx) { t.set(key, nil) })
	})
}

// deliveries carries over what events' commits did not finish. Where the event's outcome is lost it is decided again,
// so its deliveries are made again.
func (c *carrier) deliveries() error {
	last, tenant, there, decided := uint64(0), "", false, false
	return c.from.each(tabOwed, func(key, value []byte) error {
		if len(key) < 10 {
			return nil
		}
		pos, suffix := keyPos(key), string(key[9:])
		if pos != last {
			var err error
			if there, decided, err = c.decided(pos); err != nil {
				return err
			}
			last, tenant = pos, ""
			if there {
				if tenant, err = c.tenantOf(pos); err != nil {
					return err
				}
			}
		}
		value = append([]byte{}, value...)
		o, err := readOwed(tenant, pos, suffix, value)
		switch {
		case !there:
			c.leftOut("deliveries of events that cannot be read")
			return nil
		case !decided:
			c.leftOut("deliveries of events that are decided again")
			return nil
		case err != nil || tenant == "":
			c.leftOut("deliveries that cannot be decoded")
			return nil
		}
		c.report.Deliveries++
		return c.add(len(value), func(t *tx) {
			t.set(owedKey(t.key, pos, suffix), value)
			if o.State.Open() {
				t.list(t.s.due.find(o.Tenant, o.Destination), o, 1)
			}
		})
	})
}

func (c *carrier) tenantOf(pos uint64) (string, error) {
	for _, table := range []byte{tabEvent, tabKept} {
		v, err := c.to.read(c.to.db, posKey(nil, table, pos), nil)
		if err != nil {
			return "", err
		}
		if v == nil {
			continue
		}
		e, _, _, err := readEvent(v)
		if err != nil {
			return "", nil //nolint:nilerr // an event that cannot be decoded belongs to nobody
		}
		return e.tenant, nil
	}
	return "", nil
}

// history carries over what commits said of deliveries.
func (c *carrier) history(table byte) error {
	return c.from.each(table, func(key, value []byte) error {
		tenant, rest, ok := cutText(key[1:])
		name, rest, ok2 := cutText(rest)
		p, ok3 := cutPlace(rest)
		if !ok || !ok2 || !ok3 {
			c.leftOut("entries of history that cannot be decoded")
			return nil
		}
		value = append([]byte{}, value...)
		c.report.History++
		return c.add(len(value), func(t *tx) { t.enter(t.s.due.find(tenant, name), p, table, value) })
	})
}

// shares carries over which kept events are in their tenant's share.
func (c *carrier) shares() error {
	return c.from.each(tabShare, func(key, value []byte) error {
		tenant, rest, ok := cutText(key[1:])
		if !ok || len(rest) != 8 {
			return nil
		}
		sh, err := readShare(value)
		if err != nil {
			return nil //nolint:nilerr // without it the event is one that is kept for what refers to it
		}
		pos := binary.BigEndian.Uint64(rest)
		if there, err := c.has(posKey(nil, tabKept, pos)); err != nil || !there {
			return err
		}
		if known, err := c.has(tenantKey(nil, tabShare, tenant, pos)); err != nil || known {
			return err
		}
		return c.share(tenant, pos, sh)
	})
}

// share adds an event to its tenant's share.
func (c *carrier) share(tenant string, pos uint64, sh shared) error {
	return c.add(0, func(t *tx) {
		n, u := &t.s.w.counters, t.use(tenant)
		t.set(tenantKey(t.key, tabShare, tenant, pos), appendShare(nil, sh))
		n.share, n.shareBytes = n.share+1, n.shareBytes+sh.size
		u.bytes, u.share, u.shareBytes = u.bytes+sh.size, u.share+1, u.shareBytes+sh.size
		u.shareFront.add(pos, sh.received)
		t.s.w.dirty = true
	})
}

// gone carries over ids of events that are gone and still recognised.
func (c *carrier) gone() error {
	return c.from.each(tabGone, func(key, value []byte) error {
		tenant, rest, ok := cutText(key[1:])
		if !ok || len(rest) != 8 {
			return nil
		}
		g, err := readGone(value)
		if err != nil {
			c.leftOut("ids of events that are gone: a repeat of one is accepted as new")
			return nil
		}
		return c.remember(tenant, g, binary.BigEndian.Uint64(rest))
	})
}

// formerIDs carries over the same as former versions wrote it.
func (c *carrier) formerIDs() error {
	return c.from.each(tabDedupe, func(key, value []byte) error {
		f, err := readFormer(value)
		if err != nil || len(key) != 9 {
			c.leftOut("ids of events that are gone: a repeat of one is accepted as new")
			return nil
		}
		return c.remember(f.tenant, f.goneID, keyPos(key))
	})
}

func (c *carrier) remember(tenant string, g goneID, pos uint64) error {
	if pos >= c.counters.first {
		return nil // its event would be looked for
	}
	kept, err := c.from.get(idKey(nil, tenant, g.id))
	if err != nil {
		return err
	}
	if at, _, err := readIDRecord(kept); err != nil || at != pos {
		kept = appendIDRecord(nil, pos, g.at)
	}
	return c.add(len(kept), func(t *tx) {
		t.recall(tenant, g.id, pos, g.at)
		t.set(idKey(t.key, tenant, g.id), kept)
	})
}

// once carries over keys that were used, and makes the list of their ends.
func (c *carrier) once() error {
	return c.from.each(tabOnce, func(key, value []byte) error {
		tenant, rest, ok := cutText(key[1:])
		name, _, ok2 := cutText(rest)
		_, end, err := readOnce(value)
		if !ok || !ok2 || err != nil {
			c.leftOut("keys of once: what they keep from being sent again may be sent again")
			return nil
		}
		value = append([]byte{}, value...)
		return c.add(len(value), func(t *tx) {
			t.set(textKey(tabOnce, tenant, name), value)
			t.set(onceEndKey(end, tenant, name), nil)
		})
	})
}

// asTheyAre carries over what nothing is made from.
func (c *carrier) asTheyAre() error {
	numbers := map[string][2]uint64{} // first and next of each list
	for _, table := range []byte{tabHold, tabSetting, tabListItem, tabList, tabLease, tabStats} {
		if err := c.from.each(table, func(key, value []byte) error {
			if table == tabSetting {
				if len(value) < 8 {
					c.leftOut("settings that cannot be decoded")
					return nil
				}
				c.version = max(c.version, binary.BigEndian.Uint64(value))
				c.report.Settings++
			}
			if table == tabListItem && len(key) > 9 {
				list, n := string(key[1:len(key)-8]), binary.BigEndian.Uint64(key[len(key)-8:])
				span, ok := numbers[list]
				if !ok {
					span[0] = n
				}
				numbers[list] = [2]uint64{span[0], n + 1}
			}
			if table == tabList {
				delete(numbers, string(key[1:]))
			}
			key, value = append([]byte{}, key...), append([]byte{}, value...)
			return c.add(len(key)+len(value), func(t *tx) { t.set(key, value) })
		}); err != nil {
			return err
		}
	}
	for list, span := range numbers {
		if err := c.add(len(list), func(t *tx) {
			t.set(append([]byte{tabList}, list...), appendUint(appendUint(nil, span[0]), span[1]))
		}); err != nil {
			return err
		}
	}
	return nil
}

// owners finds out whose the lost events were, and adds those that retention had passed already.
func (c *carrier) owners() error {
	var more []uint64
	err := c.from.each(tabTimeline, func(key, _ []byte) error {
		tenant, rest, ok := cutText(key[1:])
		if !ok || len(rest) != 8 {
			return nil
		}
		pos := binary.BigEndian.Uint64(rest)
		if there, err := c.has(key); err != nil || there {
			return err
		}
		if gone, err := c.has(tenantKey(nil, tabGone, tenant, pos)); err != nil || gone {
			return err
		}
		c.report.LostByTenant[tenant]++
		if pos < c.counters.first {
			more = append(more, pos)
		}
		return nil
	})
	slices.Sort(more)
	var spans []Positions
	for _, pos := range more {
		if n := len(spans); n > 0 && spans[n-1].To+1 == pos {
			spans[n-1].To = pos
			continue
		}
		spans = append(spans, Positions{pos, pos})
	}
	c.report.LostEvents = append(spans, c.report.LostEvents...)
	return err
}

// ids counts ids that lead to nothing: what cannot be read may be sent once more.
func (c *carrier) ids() error {
	return c.from.each(tabID, func(key, _ []byte) error {
		if there, err := c.has(key); err != nil || there {
			return err
		}
		c.leftOut("ids of events that cannot be read: a repeat of one is accepted as new")
		return nil
	})
}

// totals writes down what only the whole store says.
func (c *carrier) totals() error {
	return c.add(0, func(t *tx) {
		t.s.w.counters.version = max(t.s.w.counters.version, c.version)
		t.s.w.dirty = true
	})
}
