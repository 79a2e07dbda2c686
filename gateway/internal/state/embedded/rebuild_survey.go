package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

// survey finds the first and the last position of the damaged store.
func (c *rebuilder) survey() error {
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
	for _, table := range []byte{tabTimeline, tabRemovedID} {
		if err := c.from.each(table, func(key, _ []byte) error {
			if len(key) > 9 {
				c.next = max(c.next, keyPos(key[len(key)-9:])+1)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	// Single keys of these tables are read later, so their unreadable stretches have to be known.
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

// seed writes the records that the engine reads when it opens the new store.
func (c *rebuilder) seed(work string) (err error) {
	db, err := pebble.Open(filepath.Join(work, "events"), &pebble.Options{Logger: quietLogger{}, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	b := db.NewBatch()
	// Every event counts as possibly pending: its outcome may have been lost.
	m := counters{
		next: c.next, first: c.counters.first, low: c.counters.first, dedupe: c.counters.dedupe, version: c.version,
		claimedFrom: c.counters.claimedFrom, claimedTo: c.counters.claimedTo,
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
	// Outcomes refer to configurations by number, so all numbers stay, also those that cannot be read.
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
