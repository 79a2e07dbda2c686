package embedded

import (
	"encoding/binary"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// decided reports whether the new store has an event, and whether it has its outcome.
func (c *rebuilder) decided(pos uint64) (there, decided bool, err error) {
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

// events copies events with their outcomes, claims, ids and indexes.
func (c *rebuilder) events(table byte) error {
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
				return c.trimmedEvent(pos, append([]byte{}, value...))
			}
			lose(pos)
			expected = pos + 1
		}
		return c.event(table, pos, append([]byte{}, value...))
	})
	lose(c.next)
	return err
}

// trimmedEvent copies an event below the mark of retention if the records that retention wrote about it are lost: it is not
// in tabKept, and its id is not in tabRemovedID. It goes into its tenant's share, as if retention had moved it there.
func (c *rebuilder) trimmedEvent(pos uint64, record []byte) error {
	e, _, _, err := readEvent(record)
	if err != nil {
		return nil //nolint:nilerr // retention passed it, and its tenant is unknown
	}
	for _, key := range [][]byte{posKey(nil, tabKept, pos), tenantKey(nil, tabRemovedID, e.tenant, pos)} {
		if v, err := c.from.get(key); err != nil || v != nil {
			return err
		}
	}
	if err := c.event(tabKept, pos, record); err != nil {
		return err
	}
	return c.share(e.tenant, pos, shareEntry{e.received, int64(len(record))})
}

func (c *rebuilder) event(table byte, pos uint64, record []byte) error {
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
			// Claim does not read this table. Its waiting deliveries go on; as a dead letter the lost decision is visible.
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
			return // Claim makes it a dead letter
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

// deadEvents copies the list of events that are dead letters themselves.
func (c *rebuilder) deadEvents() error {
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

func (c *rebuilder) tenantOf(pos uint64) (string, error) {
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
			return "", nil //nolint:nilerr // the tenant of an event that cannot be decoded is unknown
		}
		return e.tenant, nil
	}
	return "", nil
}

// shares copies the list of kept events that are in their tenant's share.
func (c *rebuilder) shares() error {
	return c.from.each(tabShare, func(key, value []byte) error {
		tenant, rest, ok := cutText(key[1:])
		if !ok || len(rest) != 8 {
			return nil
		}
		sh, err := readShare(value)
		if err != nil {
			return nil //nolint:nilerr // without this record the event is kept as long as a delivery refers to it
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
func (c *rebuilder) share(tenant string, pos uint64, sh shareEntry) error {
	return c.add(0, func(t *tx) {
		n, u := &t.s.w.counters, t.use(tenant)
		t.set(tenantKey(t.key, tabShare, tenant, pos), appendShare(nil, sh))
		n.share, n.shareBytes = n.share+1, n.shareBytes+sh.size
		u.bytes, u.share, u.shareBytes = u.bytes+sh.size, u.share+1, u.shareBytes+sh.size
		u.shareFront.add(pos, sh.received)
		t.s.w.dirty = true
	})
}

// attributeLost counts lost events by tenant, and reports also those below the mark of retention.
func (c *rebuilder) attributeLost() error {
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
		if gone, err := c.has(tenantKey(nil, tabRemovedID, tenant, pos)); err != nil || gone {
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
