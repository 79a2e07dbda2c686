package embedded

import (
	"container/heap"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

func isNotFound(err error) bool { return errors.Is(err, pebble.ErrNotFound) }

func keyPos(key []byte) uint64 { return binary.BigEndian.Uint64(key[1:]) }

// decodeEvent reads a kept event; it copies the record.
func decodeEvent(record []byte) (*event.Event, error) {
	own := append(make([]byte, 0, len(record)), record...)
	_, envelope, raw, err := readEvent(own)
	if err != nil {
		return nil, err
	}
	return event.Decode(envelope, raw)
}

// claimedEvent is the event at a position if it is claimed, else nil.
func (w *window) claimedEvent(pos uint64) *event.Event {
	if pos < w.low || pos >= w.next {
		return nil
	}
	return w.slot(pos).ev
}

// settle ends a claim. It is the fence of an outcome: the first commit of a pending event wins.
func (w *window) settle(pos uint64, tenant, id string) (size int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ev := w.claimedEvent(pos)
	if ev == nil || ev.ID != id || ev.Tenant != tenant {
		return 0, false
	}
	sl := w.slot(pos)
	if sl.record {
		delete(w.claimRecords, pos)
	}
	*sl = slot{}
	if pos == w.claimedSuspect {
		w.claimedSuspect = 0
	}
	w.advance()
	return ev.Size(), true
}

// releaseEvent ends a claim without counting it. The event can be claimed again when the batch is written.
func (w *window) releaseEvent(pos uint64, tenant, id string) (claims, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ev := w.claimedEvent(pos)
	if ev == nil || ev.ID != id || ev.Tenant != tenant || w.slot(pos).state != slotClaimed {
		return claims{}, false
	}
	w.unclaim(pos)
	delete(w.claimRecords, pos)
	return claims{w.slot(pos).claims, false}, true
}

// unclaimAll undoes a take that failed.
func (w *window) unclaimAll(claimed []state.Claimed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range claimed {
		w.unclaim(c.Position)
		w.claimRecords[c.Position] = claims{w.slot(c.Position).claims, false}
	}
}

// unclaim makes a claimed event available again. The caller holds w.mu.
func (w *window) unclaim(pos uint64) {
	sl := w.slot(pos)
	sl.state, sl.record = slotFree, true
	if pos == w.claimedSuspect {
		w.claimedSuspect = 0
	}
	if state.IsSuspect(sl.claims) {
		sl.ev = nil // ClaimSuspect reads the event again
		heap.Push(&w.suspects, suspect{sl.claims, pos})
		return
	}
	heap.Push(&w.released, pos)
}

// advance moves low past committed events.
func (w *window) advance() {
	for w.low < w.next && w.slots[w.head].state == slotDone {
		w.head++
		w.low++
	}
	if w.head > 1024 && w.head > len(w.slots)/2 {
		n := copy(w.slots, w.slots[w.head:])
		clear(w.slots[n:])
		w.slots, w.head = w.slots[:n], 0
	}
}

// writeMarks writes, in the batch under way, how far events are committed and claimed.
func (w *window) writeMarks(c *counters) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.marking = false
	t := &w.s.w.tx
	for pos, n := range w.claimRecords {
		t.set(posKey(t.key, tabClaims, pos), n.append(nil))
		delete(w.claimRecords, pos)
	}
	to := w.next
	if w.formerFrom < w.formerTo {
		to = max(to, w.formerTo) // claimed by the process before this one, and not claimed again yet
	}
	if c.claimedTo < w.next+markAhead/2 {
		to = max(to, w.next+markAhead)
	} else {
		to = max(to, c.claimedTo)
	}
	if c.low == w.low && c.claimedTo == to {
		return false
	}
	c.low, c.claimedFrom, c.claimedTo = w.low, w.low, to
	return true
}

// synced notes that the marks are on disk.
func (w *window) synced(c *counters) {
	w.mu.Lock()
	w.marked = c.claimedTo
	w.mu.Unlock()
}

// release releases the claims of this process at Close, without counting them. Claims of a dead process that were not repeated
// stay counted.
func (w *window) release(c *counters, t *tx) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for pos := w.low; pos < w.next; pos++ {
		if sl := w.slot(pos); sl.state == slotClaimed && sl.record {
			w.claimRecords[pos] = claims{sl.claims, false}
		}
	}
	from, to := w.next, w.next
	if w.formerFrom < w.formerTo {
		from, to = max(from, w.formerFrom), max(to, w.formerTo)
	}
	for pos, n := range w.claimRecords {
		t.set(posKey(t.key, tabClaims, pos), n.append(nil))
	}
	clear(w.claimRecords)
	c.low, c.claimedFrom, c.claimedTo = w.low, from, to
	w.closed = true
}

// unreadableEvent makes an event a dead letter because it cannot be read, and so cannot be decided.
type unreadableEvent struct {
	pos    uint64
	reason string
}

func (b *unreadableEvent) stage(t *tx) error {
	w, c := &t.s.window, &t.s.w.counters
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.pos < w.low || w.slot(b.pos).state != slotFree {
		return nil
	}
	*w.slot(b.pos) = slot{}
	w.advance()
	t.s.log.Error("an event cannot be read", "err", b.reason)
	o := state.Outcome{Dead: b.reason, At: t.wall}
	t.put(posKey(t.key, tabOutcome, b.pos), appendOutcome(nil, &o, 0, nil, nil))
	c.pending--
	t.s.w.dirty = true
	if record := t.get(posKey(t.key, tabEvent, b.pos)); record != nil {
		if e, _, _, err := readEvent(record); err == nil {
			t.set(deadEventKey(t.key, e.tenant, nanos(t.wall), b.pos), nil)
		}
	}
	return nil
}

func deadEventKey(b []byte, tenant string, at int64, pos uint64) []byte {
	return appendU64(appendTime(appendText(append(b[:0], tabDeadEvent), tenant), at), pos)
}
