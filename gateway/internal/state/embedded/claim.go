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

// window is the state of events between their append and their commit. Positions below low are committed. Positions from
// low up to next have a slot each: claimed, released or committed. Positions from next on were never claimed.
type window struct {
	s  *store
	mu sync.Mutex

	low, next      uint64
	slots          []slot
	head           int // index of the slot of low
	released       positions
	suspects       suspects
	claimedSuspect uint64 // the suspect that is claimed; 0: none
	uncertainBelow uint64 // below it an event may be committed already: it was stored before this process opened the store
	formerFrom     uint64 // from here to formerTo: claimed by the process before this one, and not claimed again yet
	formerTo       uint64
	marked         uint64            // claims below it are counted by the mark that is on disk
	claimRecords   map[uint64]claims // to be written with the next batch

	recent     []*event.Event // new events without gaps, the first at recentFrom
	recentFrom uint64
	bytes      int

	wake      chan struct{}
	claimLock chan struct{} // one claimer reads at a time
	marking   bool          // a writeMarks is queued for the writer
	closed    bool          // all claims were released: the marks are final
}

type slot struct {
	state  slotState
	record bool // tabClaims has a record of it
	claims int  // that ended without commit or release
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
	// The oldest are dropped, and read from disk later; the newest stay.
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

// Claim waits until there are unclaimed events, and claims them.
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

// take claims the available events. They come from memory, unless claimers lag behind.
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
	// A first claim is counted by the mark, which is on disk before the claim is handed out.
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
		// Events in memory move from recent to their slots.
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
		// One of them may crash the process at once, so this claim is counted on disk before an event is handed out.
		if err := w.s.do(ctx, &call{op: syncLog{}, sync: true}); err != nil {
			w.unclaimAll(claimed)
			return nil, false, err
		}
	}
	if mark {
		// The next batch writes how far events were claimed. The claimer does not wait for it.
		select {
		case w.s.calls <- &call{op: writeMarks{}, sync: !ahead}:
		default: // the queue is full: a batch is coming anyway
		}
	}
	return claimed, more, nil
}

// writeMarks makes the writer write a batch, and with it the marks.
type writeMarks struct{}

func (writeMarks) stage(*tx) error { return nil }

// stored is an event read for Claim; without ev there is nothing to claim at its position.
type stored struct {
	ev      *event.Event
	bad     error // it cannot be read, and becomes a dead letter
	claims  int
	record  bool
	suspect bool // it is left to ClaimSuspect, which reads it
}

// load reads events from next up to limit. It does not need the window's lock: only the holder of claimLock moves next.
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
			out = append(out, stored{}) // removed
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

// claimsOf returns how many claims of an event ended with earlier processes, and whether a record of them has to be updated
// when it is claimed again.
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
