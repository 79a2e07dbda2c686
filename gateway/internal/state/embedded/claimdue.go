package embedded

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// atOnce is how many deliveries a destination gets at most in one turn while others are ready too.
const atOnce = 32

// round is one ClaimDue: an iterator over tabDue, opened at its first use, and the leases it picked.
type round struct {
	s        *store
	q        *dueQueue
	it       *pebble.Iterator
	now      int64
	until    int64
	shownEnd time.Time // the same, by the caller's clock
	picked   []*lease
	sizes    int
	key      []byte
}

// ClaimDue leases deliveries whose time has come.
func (s *store) ClaimDue(ctx context.Context, ask state.ClaimDue) (due []state.Due, next time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, err
	}
	if err := s.enter(); err != nil {
		return nil, time.Time{}, err
	}
	defer s.leave()
	if err := s.broken(); err != nil {
		return nil, time.Time{}, err
	}
	m := s.clock.look()
	if s.clock.markDue() {
		select {
		case s.calls <- &call{op: writeMarks{}, sync: true}:
		default: // the queue is full: a batch is coming anyway
		}
	}
	r := &round{s: s, q: &s.due, now: m.now, until: m.now + int64(ask.Lease), shownEnd: m.wall.Add(ask.Lease)}
	at, err := r.pick(ask)
	if r.it != nil {
		err = errors.Join(err, r.it.Close())
	}
	if err == nil {
		due, err = r.load()
	}
	if err != nil {
		s.due.unlease(r.picked, r.now)
		return nil, time.Time{}, fmt.Errorf("claim due: %w", err)
	}
	if at != never {
		next = m.wallTime(at)
	}
	return due, next, nil
}

// pick goes round the tenants and the destinations of each, and leases what is due. It returns when to ask again.
func (r *round) pick(ask state.ClaimDue) (next int64, err error) {
	q := r.q
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire(r.now)

	room := map[*dest]int{}
	var full []*dest // ready, but without capacity: queued again at the end
	enough := func() bool {
		return len(r.picked) >= ask.Max || ask.Bytes > 0 && r.sizes >= ask.Bytes
	}
	defer func() {
		for _, d := range full {
			q.put(d, r.now)
		}
	}()
	for len(q.ready) > 0 && !enough() {
		t := q.ready[0]
		q.ready = q.ready[1:]
		if len(t.ready) == 0 {
			q.unqueue(t)
			continue
		}
		d := t.ready[0]
		t.ready[0] = nil
		t.ready = t.ready[1:]
		d.queue = notQueued
		most := ask.Max - len(r.picked)
		if len(t.ready) > 0 || len(q.ready) > 0 {
			most = min(most, atOnce, max(1, most/(len(t.ready)+len(q.ready)+1)))
		}
		left := math.MaxInt
		if ask.Capacity != nil {
			n, asked := room[d]
			if !asked {
				n = ask.Capacity(d.tenant, d.name)
			}
			room[d], left = n, n
		}
		if left <= 0 {
			full = append(full, d)
		} else {
			n, err := r.serve(d, min(most, left), ask.Bytes)
			if err != nil {
				d.stale = true
				q.put(d, r.now)
				q.ready = append(q.ready, t)
				return 0, err
			}
			if room[d] -= n; ask.Capacity != nil && room[d] <= 0 && d.service() <= r.now {
				full = append(full, d)
			} else {
				q.put(d, r.now)
			}
		}
		if len(t.ready) > 0 {
			q.ready = append(q.ready, t)
		} else {
			q.unqueue(t)
		}
	}
	return r.next()
}

// next is the time of the next service. Destinations without capacity do not count: the caller knows when they have some.
func (r *round) next() (int64, error) {
	q := r.q
	for _, t := range q.ready {
		if len(t.ready) > 0 {
			return r.now, nil
		}
	}
	at := int64(never)
	if len(q.ends) > 0 {
		at = q.ends[0].until
	}
	for len(q.future) > 0 {
		d := q.future[0]
		if !d.stale || d.at >= at {
			return min(at, d.at), nil
		}
		// Its head was settled, dropped or moved. The next one is looked up only now that it matters.
		if _, err := r.serve(d, 0, 0); err != nil {
			return 0, err
		}
		q.put(d, r.now)
		if d.queue == inReady {
			return r.now, nil
		}
	}
	return at, nil
}

// serve leases up to most due deliveries of a destination and finds its next head. The caller holds q.mu.
func (r *round) serve(d *dest, most, bytesAtMost int) (n int, err error) {
	if r.it == nil {
		if r.it, err = r.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tabDue}, UpperBound: []byte{tabDue + 1}}); err != nil {
			return 0, err
		}
	}
	prefix := destPrefix(nil, tabDue, d.tenant, d.name)
	r.key = d.cursor.append(append(r.key[:0], prefix...))
	d.hasHead, d.stale = false, false
	for ok := r.it.SeekGE(r.key); ok && bytes.HasPrefix(r.it.Key(), prefix); ok = r.it.Next() {
		p, valid := cutSortKey(r.it.Key()[len(prefix):])
		if !valid {
			return n, state.ErrCorrupt
		}
		name := owedName{p.pos, p.suffix}
		if r.q.isLeased(name, r.now) {
			d.cursor = p.after()
			continue
		}
		if p.at > r.now || n >= most || bytesAtMost > 0 && r.sizes >= bytesAtMost {
			d.head, d.hasHead = p, true
			return n, nil
		}
		size, err := r.it.ValueAndErr()
		if err != nil {
			return n, err
		}
		l := &lease{name: name, d: d, key: p, until: r.until, shownEnd: nanos(r.shownEnd)}
		r.q.leases[name] = l
		heap.Push(&r.q.ends, l)
		r.picked = append(r.picked, l)
		v := readerOf(size)
		r.sizes += int(v.Uint())
		d.cursor = p.after()
		n++
	}
	return n, r.it.Error()
}

// after is the smallest sort key greater than p.
func (p sortKey) after() sortKey {
	p.suffix += "\x00"
	return p
}

// load reads the picked deliveries. Those that were settled or dropped meanwhile are left out.
func (r *round) load() ([]state.Due, error) {
	due := make([]state.Due, 0, len(r.picked))
	var key, val []byte
	var gone []*lease
	for _, l := range r.picked {
		key = owedKey(key, l.name.pos, l.name.suffix)
		var err error
		if val, err = r.s.read(r.s.db, key, val); err != nil {
			return nil, err
		}
		if val == nil {
			gone = append(gone, l)
			continue
		}
		o, err := readOwed(l.d.tenant, l.name.pos, l.name.suffix, val)
		if err != nil {
			return nil, err
		}
		if o.State != state.Waiting || o.at != l.key.at {
			gone = append(gone, l)
			continue
		}
		record, err := r.s.eventRecord(r.s.db, l.name.pos)
		if err != nil {
			return nil, err
		}
		if record == nil {
			// Only an event with a wrong count of references can be missing: log it, and try again when the lease ends.
			r.s.log.Error("the event of a waiting delivery is missing", "delivery", o.ID, "tenant", o.Tenant)
			continue
		}
		ev, err := decodeEvent(record)
		if err != nil {
			return nil, err
		}
		o.Leased = true
		due = append(due, state.Due{Delivery: o.Delivery, Event: ev, Lease: r.shownEnd})
	}
	if len(gone) > 0 {
		r.s.due.unlease(gone, r.now)
	}
	return due, nil
}

// eventRecord is the record of an event, in whichever table it is; nil: it is not kept.
func (s *store) eventRecord(from pebble.Reader, pos uint64) ([]byte, error) {
	v, err := s.read(from, posKey(nil, tabEvent, pos), nil)
	if v != nil || err != nil {
		return v, err
	}
	return s.read(from, posKey(nil, tabKept, pos), nil)
}
