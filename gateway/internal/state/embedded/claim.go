package embedded

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// window is where events stand between their append and their commit. Positions below low are committed; those up to
// next are held, released or committed, a slot each; those behind are nobody's yet.
type window struct {
	s  *store
	mu sync.Mutex

	low, next      uint64
	slots          []slot
	head           int // of slots: the slot of low
	released       positions
	suspects       suspects
	claimedSuspect uint64 // the suspect that is held; 0: none
	uncertainBelow uint64 // below it an event may be committed already: it was there when the store was opened
	formerFrom     uint64 // what a dead process held, as far as it was not claimed again
	formerTo       uint64
	marked         uint64            // what lies below it and is claimed counts as claimed by what is on disk
	claimRecords   map[uint64]claims // to be written with the next batch

	recent     []*event.Event // new events in a row, the first at from
	recentFrom uint64
	bytes      int

	wake      chan struct{}
	claimLock chan struct{} // one claimer at a time reads
	marking   bool          // a mark is on its way to the writer
	closed    bool          // everything was released; marks stay as they are
}

type slot struct {
	state  slotState
	record bool // tabClaims has one for it
	claims int  // that ended neither by commit nor release
	ev     *event.Event
}

type slotState byte

const (
	slotDone slotState = iota
	slotClaimed
	slotFree
)

// claims is a record of tabClaims.
type claims struct {
	n    int
	open bool
}

type positions []uint64

func (p positions) Len() int           { return len(p) }
func (p positions) Less(i, j int) bool { return p[i] < p[j] }
func (p positions) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *positions) Push(x any)        { *p = append(*p, x.(uint64)) }
func (p *positions) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

func (w *window) init(s *store, c *counters) {
	w.s = s
	w.low, w.next, w.uncertainBelow, w.recentFrom = c.low, c.low, c.next, c.next
	w.formerFrom, w.formerTo = c.claimedFrom, min(c.claimedTo, c.next) // the mark is ahead also of what there is
	w.claimRecords = map[uint64]claims{}
	w.wake, w.claimLock = make(chan struct{}, 1), make(chan struct{}, 1)
	if c.pending > 0 {
		w.wake <- struct{}{}
	}
}

func (w *window) slot(pos uint64) *slot { return &w.slots[w.head+int(pos-w.low)] }

// publish hands new events to Claim.
func (w *window) publish(news []appendedEvent) {
	w.mu.Lock()
	for _, n := range news {
		if n.pos != w.recentFrom+uint64(len(w.recent)) {
			w.dropRecent(len(w.recent))
			w.recentFrom = n.pos
		}
		w.recent = append(w.recent, n.ev)
		w.bytes += n.ev.Size()
	}
	// What claimers are behind with is read from disk; the newest stay.
	drop := 0
	for drop < len(w.recent)-1 && w.bytes > w.s.opts.Memory {
		w.bytes -= w.recent[drop].Size()
		w.recent[drop] = nil
		drop++
	}
	w.recent, w.recentFrom = w.recent[drop:], w.recentFrom+uint64(drop)
	w.mu.Unlock()
	w.signal()
}

func (w *window) dropRecent(n int) {
	for i, ev := range w.recent[:n] {
		w.bytes -= ev.Size()
		w.recent[i] = nil
	}
	w.recent, w.recentFrom = w.recent[n:], w.recentFrom+uint64(n)
}

func (w *window) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Claim waits until there are events nobody holds.
func (s *store) Claim(ctx context.Context, most, bytes int) ([]state.Claimed, error) {
	w := &s.window
	if most <= 0 {
		return nil, s.check(ctx)
	}
	for {
		select {
		case w.claimLock <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.stopped:
			return nil, s.stopReason()
		}
		claimed, more, err := w.take(ctx, most, bytes)
		<-w.claimLock
		if err != nil {
			return nil, fmt.Errorf("claim: %w", err)
		}
		if more {
			w.signal()
		}
		if len(claimed) > 0 {
			return claimed, nil
		}
		if more {
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.stopped:
			return nil, s.stopReason()
		}
	}
}

// take holds what is there. Events come from memory unless the claimers are behind.
func (w *window) take(ctx context.Context, most, bytes int) (claimed []state.Claimed, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if err := w.s.enter(); err != nil {
		return nil, false, err
	}
	defer w.s.leave()
	select {
	case <-w.s.stopped:
		return nil, false, w.s.stopReason()
	default:
	}
	w.mu.Lock()
	if len(w.released) == 0 && w.next >= w.marked && w.next < w.recentFrom+uint64(len(w.recent)) {
		w.mu.Unlock()
		if err := w.s.do(ctx, &call{op: syncLog{}, sync: true}); err != nil {
			return nil, false, err
		}
		w.mu.Lock()
	}
	var bad []*unreadableEvent
	size, full, counted := 0, false, false
	add := func(pos uint64, ev *event.Event, n int) {
		claimed = append(claimed, state.Claimed{Event: ev, Position: pos, Claims: n})
		size += ev.Size()
		full = len(claimed) >= most || bytes > 0 && size >= bytes
	}
	for len(w.released) > 0 && !full {
		pos := heap.Pop(&w.released).(uint64)
		if pos < w.low {
			continue
		}
		if sl := w.slot(pos); sl.state == slotFree {
			sl.state, sl.record = slotClaimed, true
			w.claimRecords[pos] = claims{sl.claims, true}
			counted = true
			add(pos, sl.ev, sl.claims+1)
		}
	}
	// A first claim counts by the mark, which is on disk before the claim is handed out.
	end := min(w.recentFrom+uint64(len(w.recent)), w.marked)
	for !full && w.next < end {
		if w.next < w.recentFrom {
			limit := min(w.recentFrom, end)
			w.mu.Unlock()
			read, err := w.load(limit, most-len(claimed), bytes-size)
			if err != nil {
				w.unclaimAll(claimed)
				return nil, false, err
			}
			w.mu.Lock()
			for _, r := range read {
				w.slots = append(w.slots, slot{})
				if r.bad != nil {
					w.slot(w.next).state = slotFree
					bad = append(bad, &unreadableEvent{pos: w.next, reason: "unreadable: " + r.bad.Error()})
				}
				if r.suspect {
					*w.slot(w.next) = slot{state: slotFree, claims: r.claims, record: true}
					heap.Push(&w.suspects, suspect{r.claims, w.next})
				}
				if r.ev != nil {
					*w.slot(w.next) = slot{state: slotClaimed, claims: r.claims, record: r.record, ev: r.ev}
					if r.record {
						w.claimRecords[w.next] = claims{r.claims, true}
						counted = true
					}
					add(w.next, r.ev, r.claims+1)
				}
				w.next++
			}
			w.advance()
			end = min(w.recentFrom+uint64(len(w.recent)), w.marked)
			continue
		}
		// Everything at hand is taken in one go, and forgotten there: the slot holds it now.
		ev := w.recent[w.next-w.recentFrom]
		w.slots = append(w.slots, slot{state: slotClaimed, ev: ev})
		add(w.next, ev, 1)
		w.next++
		if w.next == w.recentFrom+uint64(len(w.recent)) {
			w.dropRecent(len(w.recent))
		}
	}
	more = len(w.released) > 0 || w.next < w.recentFrom+uint64(len(w.recent))
	mark := len(claimed) > 0 && !counted && !w.marking
	w.marking = w.marking || mark
	ahead := w.marked >= w.next+markAhead/2
	w.mu.Unlock()
	for _, b := range bad {
		if err := w.s.do(ctx, &call{op: b}); err != nil {
			w.unclaimAll(claimed)
			return nil, false, err
		}
	}
	if counted {
		// One of them may kill the process at once: that this claim counts is on disk before anybody sees the event.
		if err := w.s.do(ctx, &call{op: syncLog{}, sync: true}); err != nil {
			w.unclaimAll(claimed)
			return nil, false, err
		}
	}
	if mark {
		// The next batch carries how far events were claimed; nobody waits for it.
		select {
		case w.s.calls <- &call{op: writeMarks{}, sync: !ahead}:
		default: // the queue is full: a batch is coming anyway
		}
	}
	return claimed, more, nil
}

// note makes the writer write a batch, which carries the marks.
type writeMarks struct{}

func (writeMarks) stage(*tx) error { return nil }

// stored is an event read for Claim; without ev its position is done.
type stored struct {
	ev      *event.Event
	bad     error // it cannot be read: a dead letter
	claims  int
	record  bool
	suspect bool // it is left to ClaimSuspect, which reads it
}

// load reads events from next up to limit, without the window's lock: only the claimer in turn moves next.
func (w *window) load(limit uint64, most, bytes int) (out []stored, err error) {
	db, pos := w.s.db, w.next
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: posKey(nil, tabEvent, pos), UpperBound: posKey(nil, tabEvent, limit),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var key, val []byte
	size, found := 0, 0
	for ok := it.First(); ok; ok = it.Next() {
		at := keyPos(it.Key())
		for ; pos < at; pos++ {
			out = append(out, stored{}) // nothing there any more
		}
		if found >= most || bytes > 0 && size >= bytes || len(out) >= 4096 {
			return out, nil
		}
		pos++
		st := stored{}
		if at < w.uncertainBelow {
			key = posKey(key, tabOutcome, at)
			if val, err = w.s.read(db, key, val); err != nil {
				return nil, err
			}
			if val != nil {
				out = append(out, stored{})
				continue
			}
			if st.claims, st.record, err = w.claimsOf(at); err != nil {
				return nil, err
			}
			if state.IsSuspect(st.claims) {
				st.suspect = true
				out = append(out, st)
				continue
			}
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		if st.ev, st.bad = decodeEvent(v); st.bad == nil {
			size += st.ev.Size()
			found++
		}
		out = append(out, st)
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	for ; pos < limit; pos++ {
		out = append(out, stored{})
	}
	return out, nil
}

// claimsOf are the claims of an event that a process which is no more has had, and whether there is a record of them
// to be changed now that it is claimed again.
func (w *window) claimsOf(pos uint64) (n int, record bool, err error) {
	v, err := w.s.read(w.s.db, posKey(nil, tabClaims, pos), nil)
	if err != nil {
		return 0, false, err
	}
	c := claims{open: pos >= w.formerFrom && pos < w.formerTo}
	if v != nil {
		if c, err = readClaims(v); err != nil {
			return 0, false, err
		}
	}
	if c.open {
		c.n++
	}
	return c.n, v != nil || c.n > 0, nil
}

func (c claims) append(b []byte) []byte {
	open := uint64(0)
	if c.open {
		open = 1
	}
	return appendUint(appendUint(b, uint64(c.n)), open)
}

func readClaims(b []byte) (c claims, err error) {
	r := readerOf(b)
	c.n = int(r.Uint())
	c.open = r.Uint() == 1
	return c, r.Err()
}
