package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// appendedEvent is an event of the batch, for Claim.
type appendedEvent struct {
	pos uint64
	ev  *event.Event
}

// appending is the operation of Append. The caller encodes the records, so that the writer only copies them.
type appending struct {
	events  []*event.Event
	results []state.Appended
	items   []item
	buf     []byte
}

// item is one event's record: offsets in buf.
type item struct {
	terms    terms
	id       [2]int
	better   [][2]int // ids of better proved events, as keys
	record   [2]int
	timeline [2]int
}

var appendings = sync.Pool{New: func() any { return new(appending) }}

// Append makes events durable.
func (s *store) Append(ctx context.Context, events []*event.Event) ([]state.Appended, error) {
	if len(events) == 0 {
		return nil, s.check(ctx)
	}
	a := appendings.Get().(*appending)
	if err := a.prepare(s, events); err != nil {
		appendings.Put(a)
		return nil, err
	}
	err := s.do(ctx, &call{op: a, size: len(a.buf), sync: true, grows: true})
	if err != nil {
		// The writer may still use it, so it does not go back into the pool.
		return nil, fmt.Errorf("append: %w", err)
	}
	results := a.results
	a.events, a.results = nil, nil
	clear(a.items)
	if cap(a.buf) <= 1<<20 {
		appendings.Put(a)
	}
	return results, nil
}

func (a *appending) prepare(s *store, events []*event.Event) error {
	a.events, a.results = events, make([]state.Appended, len(events))
	a.items, a.buf = a.items[:0], a.buf[:0]
	if err := state.CheckEvents(events); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	for _, ev := range events {
		it := item{terms: termsOf(ev)}
		it.terms.persons = s.people.Hashes(ev)
		from := len(a.buf)
		a.buf = append(a.buf, tabID)
		a.buf = appendID(appendText(a.buf, ev.Tenant), ev.ID)
		it.id = [2]int{from, len(a.buf)}
		for _, id := range ev.StrongerIDs() {
			from = len(a.buf)
			a.buf = append(a.buf, tabID)
			a.buf = appendID(appendText(a.buf, ev.Tenant), id)
			it.better = append(it.better, [2]int{from, len(a.buf)})
		}
		from = len(a.buf)
		a.buf = appendEvent(a.buf, &it.terms, ev.Envelope(), ev.Raw.Body)
		it.record = [2]int{from, len(a.buf)}
		from = len(a.buf)
		a.buf = appendTimeline(a.buf, &it.terms, it.record[1]-it.record[0])
		it.timeline = [2]int{from, len(a.buf)}
		a.items = append(a.items, it)
	}
	return nil
}

func (a *appending) stage(t *tx) error {
	c := &t.s.w.counters
	for i := range a.items {
		it := &a.items[i]
		id := a.buf[it.id[0]:it.id[1]]
		if better, pos := a.betterKnown(t, it); better >= 0 {
			a.results[i] = state.Appended{Duplicate: true, Position: pos, OriginalID: a.events[i].StrongerIDs()[better]}
			continue
		}
		if pos, ok := t.known(id); ok {
			a.results[i] = state.Appended{Duplicate: true, Position: pos}
			continue
		}
		pos := c.next
		c.next++
		record := a.buf[it.record[0]:it.record[1]]
		t.set(posKey(t.key, tabEvent, pos), record)
		t.val = appendIDRecord(t.val[:0], pos, nanos(t.wall))
		must(t.part(partIDs).Set(id, t.val, nil))
		t.ids[string(id)] = pos
		must(t.part(partTimeline).Set(timelineKey(t.key, it.terms.tenant, pos), a.buf[it.timeline[0]:it.timeline[1]], nil))
		if r := it.terms.response; r != "" {
			must(t.part(partResponses).Set(appendU64(responsePrefix(t.key, it.terms.tenant, r), pos), nil, nil))
		}
		for _, p := range it.terms.persons {
			must(t.part(partPersons).Set(appendU64(personPrefix(t.key, it.terms.tenant, p), pos), nil, nil))
		}
		c.events++
		c.bytes += int64(len(record))
		t.use(it.terms.tenant).bytes += int64(len(record))
		c.pending++
		a.results[i] = state.Appended{Position: pos}
		t.appended = append(t.appended, appendedEvent{pos, a.events[i]})
		t.s.w.dirty = true
	}
	return nil
}

// betterKnown returns which of an event's better ids is known, and the position of that event; -1: none is.
func (a *appending) betterKnown(t *tx, it *item) (which int, pos uint64) {
	for which, at := range it.better {
		if pos, ok := t.known(a.buf[at[0]:at[1]]); ok {
			return which, pos
		}
	}
	return -1, 0
}

// known reports whether an id is known, from this batch or before it, and the position of its event, 0 if that is not kept.
func (t *tx) known(id []byte) (pos uint64, ok bool) {
	if pos, ok := t.ids[string(id)]; ok {
		return pos, true
	}
	return t.seenBefore(id)
}

// unindex removes an event from the indexes of its response and its persons.
func (t *tx) unindex(e *terms, pos uint64) {
	if e.response != "" {
		t.del(appendU64(responsePrefix(t.key, e.tenant, e.response), pos))
	}
	for _, p := range e.persons {
		t.del(appendU64(personPrefix(t.key, e.tenant, p), pos))
	}
}

// seenBefore reports whether an id was known before this batch, and the position of its event, 0 if that is not kept.
func (t *tx) seenBefore(id []byte) (pos uint64, ok bool) {
	v, closer, err := t.s.db.Get(id)
	if err != nil {
		if !isNotFound(err) {
			must(err)
		}
		return 0, false
	}
	pos, _, err = readIDRecord(v)
	must(errors.Join(err, closer.Close()))
	if pos < t.s.w.counters.first && t.get(posKey(t.key, tabKept, pos)) == nil {
		pos = 0
	}
	return pos, true
}
