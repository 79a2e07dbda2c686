package embedded

import (
	"context"
	"encoding/binary"
	"errors"
)

// rebuilder writes what can be read from a damaged store into a new one. Primary records (events, outcomes, deliveries,
// history, settings) are copied as they are, at their positions. Lists, indexes and counts are derived from them by the same
// functions that every write uses.
type rebuilder struct {
	from   *salvage
	to     *store
	report *Repaired

	staged []func(*tx)
	size   int

	next, version uint64
	counters      counters // of the damaged store, as far as they can be read
}

// rebuildStep writes a piece of the new store.
type rebuildStep struct{ steps []func(*tx) }

func (op *rebuildStep) stage(t *tx) error {
	for _, step := range op.steps {
		step(t)
	}
	return nil
}

func (c *rebuilder) add(size int, step func(*tx)) error {
	c.staged = append(c.staged, step)
	if c.size += size + 64; c.size < 1<<20 {
		return nil
	}
	return c.flush()
}

func (c *rebuilder) flush() error {
	if len(c.staged) == 0 {
		return nil
	}
	op := &rebuildStep{c.staged}
	c.staged, c.size = nil, 0
	return c.to.do(context.Background(), &call{op: op, sync: true})
}

func (c *rebuilder) leftOut(what string) { c.report.LeftOut[what]++ }

// rebuild makes the new store.
func (r *Repaired) rebuild(from *salvage, work string) (err error) {
	c := &rebuilder{from: from, report: r}
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
		c.shares, c.removedIDs, c.formerIDs, c.once, c.copyVerbatim, c.counts, c.attributeLost, c.countLostIDs, c.totals,
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

// has reports whether the new store has a key, as of the last flush.
func (c *rebuilder) has(key []byte) (bool, error) {
	v, err := c.to.read(c.to.db, key, nil)
	return v != nil, err
}

// copyVerbatim copies the tables that no other table is derived from.
func (c *rebuilder) copyVerbatim() error {
	numbers := map[string][2]uint64{} // first and next of each list
	last := map[string]uint64{}       // newest version by key of tabLastChange
	for _, table := range []byte{tabHold, tabSetting, tabLastChange, tabListItem, tabList, tabLease, tabStats} {
		if err := c.from.each(table, func(key, value []byte) error {
			if table == tabSetting {
				if len(value) < 8 {
					c.leftOut("settings that cannot be decoded")
					return nil
				}
				version := binary.BigEndian.Uint64(value)
				c.version = max(c.version, version)
				c.report.Settings++
				if of, ok := lastChangeOf(key); ok {
					last[of] = max(last[of], version)
				}
			}
			if table == tabLastChange {
				if len(value) == 8 {
					last[string(key)] = max(last[string(key)], binary.BigEndian.Uint64(value))
				}
				return nil
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
	for key, version := range last {
		c.version = max(c.version, version)
		if err := c.add(len(key)+8, func(t *tx) { t.set([]byte(key), appendU64(nil, version)) }); err != nil {
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

// lastChangeOf returns the key of the last change of a setting's tenant and kind.
func lastChangeOf(setting []byte) (key string, ok bool) {
	tenant, rest, ok := cutText(setting[1:])
	if !ok {
		return "", false
	}
	kind, _, ok := cutText(rest)
	return string(textKey(tabLastChange, kind, tenant)), ok
}

// totals writes what is known only after all tables were read.
func (c *rebuilder) totals() error {
	return c.add(0, func(t *tx) {
		t.s.w.counters.version = max(t.s.w.counters.version, c.version)
		t.s.w.dirty = true
	})
}
