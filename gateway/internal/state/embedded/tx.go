package embedded

import (
	"github.com/cockroachdb/pebble/v2"
)

// The parts of a batch.
const (
	partTimeline = iota
	partIDs
	partResponses
	partPersons
	partOutcomes
	partHistory
	parts
)

// tx is the batch under way. get returns what put wrote in the same batch.
type tx struct {
	s    *store
	b    *pebble.Batch // reused
	open bool          // something is being staged
	moment
	sync bool

	// parts are batches of one table each, for tables with many writes: keys that are inserted into the memtable in order, table
	// by table, cost a third of alternating ones.
	parts [parts]*pebble.Batch

	seen     map[string][]byte // written in this batch; nil is deleted
	ids      map[string]uint64 // events appended in this batch
	outcomes map[uint64][]byte // committed in this batch
	deltas   map[*dest]*destCounts
	appended []appendedEvent // appended, for Claim
	freed    bool            // claims were released
	due      []dueChange     // to be applied when written
	after    []func()
	key      []byte
	val      []byte
}

func (t *tx) begin(s *store) {
	t.s, t.open, t.moment, t.sync = s, true, s.clock.look(), false
	if t.b == nil {
		t.b = s.db.NewBatch(pebble.WithMaxRetainedSizeBytes(keptBatch))
		t.key = make([]byte, 0, 512)
		t.seen, t.ids, t.deltas = map[string][]byte{}, map[string]uint64{}, map[*dest]*destCounts{}
		t.outcomes = map[uint64][]byte{}
	}
}

// keptBatch is the maximum size of a batch whose memory is reused.
const keptBatch = 8 << 20

// part is the batch of one table.
func (t *tx) part(n int) *pebble.Batch {
	if t.parts[n] == nil {
		t.parts[n] = t.s.db.NewBatch(pebble.WithMaxRetainedSizeBytes(keptBatch))
	}
	return t.parts[n]
}

// finish adds the records that depend on the whole batch.
func (t *tx) finish() {
	s := t.s
	for _, p := range t.parts {
		if p != nil && !p.Empty() {
			must(t.b.Apply(p, nil))
			p.Reset()
		}
	}
	for d, delta := range t.deltas {
		delta.add(&d.counts)
		t.val = appendDest(t.val[:0], delta, d.rules.unknownTo)
		t.set(destPrefix(t.key, tabDest, d.tenant, d.name), t.val)
	}
	s.w.tenants.flush(t)
	s.clock.write(t)
	s.generations.flush(t)
	if s.window.writeMarks(&s.w.counters) || s.w.dirty {
		t.val = s.w.counters.append(t.val[:0])
		t.set(metaCounters, t.val)
		s.w.dirty = false
	}
}

// end publishes what was written, and resets the tx.
func (t *tx) end() {
	s := t.s
	if len(t.due)+len(t.deltas) > 0 {
		s.due.apply(t.due, t.deltas, t.now)
	}
	if len(t.appended) > 0 || t.freed {
		s.window.publish(t.appended)
	}
	s.w.counters.publish()
	for _, f := range t.after {
		f()
	}
	t.b.Reset()
	clear(t.seen)
	clear(t.ids)
	clear(t.outcomes)
	clear(t.deltas)
	clear(t.appended)
	clear(t.due)
	clear(t.after)
	t.open, t.freed = false, false
	t.appended, t.due, t.after = t.appended[:0], t.due[:0], t.after[:0]
}

// must ends the writer on an error: a store that cannot be read must not be written.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// set writes a value that is not read again within the batch.
func (t *tx) set(key, value []byte) { must(t.b.Set(key, value, nil)) }

func (t *tx) del(key []byte) { must(t.b.Delete(key, nil)) }

// put writes a value that get may read within the batch.
func (t *tx) put(key, value []byte) {
	t.set(key, value)
	t.seen[string(key)] = append([]byte{}, value...)
}

func (t *tx) drop(key []byte) {
	t.del(key)
	t.seen[string(key)] = nil
}

// get reads a value as this batch leaves it; nil: there is none. The caller owns the value.
func (t *tx) get(key []byte) []byte {
	if v, ok := t.seen[string(key)]; ok {
		return v
	}
	v, err := t.s.read(t.s.db, key, nil)
	must(err)
	return v
}

// counts are the changes of this batch to the counts of a destination.
func (t *tx) counts(d *dest) *destCounts {
	c := t.deltas[d]
	if c == nil {
		c = &destCounts{}
		t.deltas[d] = c
	}
	return c
}
