package embedded

import (
	"encoding/binary"
)

// removedIDs copies the ids of removed events that are still deduplicated.
func (c *rebuilder) removedIDs() error {
	return c.from.each(tabRemovedID, func(key, value []byte) error {
		tenant, rest, ok := cutText(key[1:])
		if !ok || len(rest) != 8 {
			return nil
		}
		g, err := readRemovedID(value)
		if err != nil {
			c.leftOut("ids of removed events: a repeat of one is accepted as new")
			return nil
		}
		return c.remember(tenant, g, binary.BigEndian.Uint64(rest))
	})
}

// formerIDs copies them from the table that former versions wrote.
func (c *rebuilder) formerIDs() error {
	return c.from.each(tabDedupe, func(key, value []byte) error {
		f, err := readFormerID(value)
		if err != nil || len(key) != 9 {
			c.leftOut("ids of removed events: a repeat of one is accepted as new")
			return nil
		}
		return c.remember(f.tenant, f.removedID, keyPos(key))
	})
}

func (c *rebuilder) remember(tenant string, g removedID, pos uint64) error {
	if pos >= c.counters.first {
		return nil // the event of such a position is expected in tabEvent
	}
	kept, err := c.from.get(idKey(nil, tenant, g.id))
	if err != nil {
		return err
	}
	if at, _, err := readIDRecord(kept); err != nil || at != pos {
		kept = appendIDRecord(nil, pos, g.at)
	}
	return c.add(len(kept), func(t *tx) {
		t.keepRemovedID(tenant, g.id, pos, g.at)
		t.set(idKey(t.key, tenant, g.id), kept)
	})
}

// countLostIDs counts ids that could not be copied: a repeat of such an event is accepted as new.
func (c *rebuilder) countLostIDs() error {
	return c.from.each(tabID, func(key, _ []byte) error {
		if there, err := c.has(key); err != nil || there {
			return err
		}
		c.leftOut("ids of events that cannot be read: a repeat of one is accepted as new")
		return nil
	})
}
