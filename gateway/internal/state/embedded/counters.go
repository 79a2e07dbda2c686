package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

var (
	metaLayout     = metaKey("layout")
	metaCounters   = metaKey("counters")
	metaGeneration = "generation/"
)

// counters are marks and totals. They are written in the batch that changes them, so a crash cannot make them wrong.
type counters struct {
	next    uint64 // position of the next event
	first   uint64 // no event below it is in tabEvent; those still referred to are in tabKept
	low     uint64 // no event below it is pending
	dedupe  uint64 // no record below it is in tabDedupe, which former versions wrote
	version uint64 // newest version of any setting

	// Events between these two positions count as claimed, unless they have a record in tabClaims. After a crash they count
	// as claimed once.
	claimedFrom, claimedTo uint64

	events, bytes            int64 // in tabEvent
	kept, keptBytes          int64 // in tabKept
	share, shareBytes        int64 // of these, in tabShare
	pending                  int64
	waiting, dead            int64
	dedupeCount, dedupeBytes int64 // in tabDedupe

	mu        sync.Mutex
	published published // for Health and readers
}

// published are the counters that other goroutines than the writer may read.
type published struct {
	events, bytes, pending, waiting, dead int64
	first, dedupe, next                   uint64
}

func (c *counters) append(b []byte) []byte {
	b = append(b, 1)
	for _, n := range [...]uint64{c.next, c.first, c.low, c.dedupe, c.version, c.claimedFrom, c.claimedTo} {
		b = binary.AppendUvarint(b, n)
	}
	for _, n := range [...]int64{c.events, c.bytes, c.kept, c.keptBytes, c.pending, c.waiting, c.dead, c.dedupeCount, c.dedupeBytes} {
		b = binary.AppendVarint(b, n)
	}
	// Former versions read and write only up to here. If one of them wrote last, what follows is missing.
	return binary.AppendVarint(binary.AppendVarint(b, c.share), c.shareBytes)
}

// read returns in whole whether this version wrote them last. A former version did not count by tenant.
func (c *counters) read(b []byte) (whole bool, err error) {
	r := readerOf(b)
	r.Version(1)
	for _, n := range [...]*uint64{&c.next, &c.first, &c.low, &c.dedupe, &c.version, &c.claimedFrom, &c.claimedTo} {
		*n = r.Uint()
	}
	for _, n := range [...]*int64{&c.events, &c.bytes, &c.kept, &c.keptBytes, &c.pending, &c.waiting, &c.dead, &c.dedupeCount, &c.dedupeBytes} {
		*n = r.Int()
	}
	if whole = len(r.Rest) > 0; whole {
		c.share, c.shareBytes = r.Int(), r.Int()
	}
	return whole, r.Err()
}

func (c *counters) publish() {
	c.mu.Lock()
	c.published = published{
		events: c.events + c.kept, bytes: c.bytes + c.keptBytes, pending: c.pending, waiting: c.waiting, dead: c.dead,
		first: c.first, dedupe: c.dedupe, next: c.next,
	}
	c.mu.Unlock()
}

func (c *counters) snapshot() published {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.published
}

// load reads what a start needs: marks, tenants, destinations, holds. Its duration does not depend on the number of events,
// except at the first start after a former version, which did not count by tenant.
func (s *store) load() error {
	layout, err := s.read(s.db, metaLayout, nil)
	if err != nil {
		return err
	}
	c := &s.w.counters
	whole := true
	if layout == nil {
		c.next, c.first, c.low, c.dedupe = 1, 1, 1, 1
		b := s.db.NewBatch()
		defer func() { _ = b.Close() }()
		if err := errors.Join(
			b.Set(metaLayout, binary.AppendUvarint(nil, layoutVersion), nil),
			b.Set(metaCounters, c.append(nil), nil),
			b.Commit(pebble.Sync),
		); err != nil {
			return err
		}
	} else {
		if v, n := binary.Uvarint(layout); n <= 0 || v != layoutVersion {
			return fmt.Errorf("the folder holds layout %d, this version reads layout %d", v, layoutVersion)
		}
		kept, err := s.read(s.db, metaCounters, nil)
		if err != nil {
			return err
		}
		if whole, err = c.read(kept); err != nil {
			return fmt.Errorf("counters: %w", err)
		}
	}
	seen, err := s.read(s.db, metaTime, nil)
	if err != nil {
		return err
	}
	if err := s.clock.load(seen); err != nil {
		return fmt.Errorf("time: %w", err)
	}
	if err := s.w.tenants.load(s, whole); err != nil {
		return fmt.Errorf("tenants: %w", err)
	}
	if err := s.loadCounts(); err != nil {
		return err
	}
	c.publish()
	if err := s.generations.load(s); err != nil {
		return err
	}
	s.window.init(s, c)
	return s.due.load(s)
}

// scan calls each for all keys with a prefix, in order.
func scan(from pebble.Reader, prefix []byte, each func(rest, value []byte) error) error {
	return between(from, prefix, prefixEnd(prefix), func(key, value []byte) error { return each(key[len(prefix):], value) })
}

// between calls each for all keys from lower up to upper, in order.
func between(from pebble.Reader, lower, upper []byte, each func(key, value []byte) error) error {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = each(it.Key(), v)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// backwards calls each for the values of all keys with a prefix, last first.
func backwards(from pebble.Reader, prefix []byte, each func(value []byte) error) error {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return err
	}
	for ok := it.Last(); ok; ok = it.Prev() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = each(v)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}
