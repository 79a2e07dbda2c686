package embedded

import (
	"container/heap"
)

type owedName struct {
	pos    uint64
	suffix string
}

// lease is a delivery's holder. It stays after its end until the delivery is claimed again: its holder may still settle it.
type lease struct {
	name     owedName
	d        *dest
	key      sortKey
	until    int64
	shownEnd int64 // the end as its holder was told
	busy     bool  // the writer is about to change the delivery
}

// leased is the word for the lease of a delivery; ok is false where there was none since the start.
func (q *dueQueue) leased(pos uint64, suffix string) (word int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.leases[owedName{pos, suffix}]
	if l == nil || l.busy {
		return 0, false
	}
	return l.shownEnd, true
}

// shift moves the ends of leases along with a clock that steps forward: their holders need as long as before.
func (q *dueQueue) shift(by int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.leases {
		if !l.busy {
			l.until += by
		}
	}
	heap.Init(&q.ends)
}

// has says whether somebody has a delivery at a time, which it will keep.
func (q *dueQueue) hasLease(pos uint64, suffix string, now int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.leases[owedName{pos, suffix}]
	return l != nil && !l.busy && l.until > now
}

// seize keeps an unleased delivery from being claimed until the batch under way is written; false: it is leased.
func (q *dueQueue) seize(d *dest, p sortKey, now int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	name := owedName{p.pos, p.suffix}
	if l := q.leases[name]; l != nil && !l.busy && l.until > now {
		return false
	}
	q.leases[name] = &lease{name: name, d: d, key: p, until: never, busy: true}
	return true
}

// busy says whether the batch under way changes a delivery already.
func (q *dueQueue) busy(o *owed) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.leases[owedName{o.pos, o.suffix}]
	return l != nil && l.busy
}

// release gives back what seize took.
func (q *dueQueue) release(o *owed, now int64) {
	q.mu.Lock()
	l := q.leases[owedName{o.pos, o.suffix}]
	q.mu.Unlock()
	if l != nil && l.busy {
		q.unlease([]*lease{l}, now)
	}
}

// unlease takes leases back that nobody got.
func (q *dueQueue) unlease(leases []*lease, now int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range leases {
		if q.leases[l.name] != l {
			continue
		}
		delete(q.leases, l.name)
		q.insert(l.d, l.key)
		l.d.stale = true
		q.put(l.d, now)
	}
}

// taken says whether somebody has a delivery at a time.
func (q *dueQueue) isLeased(name owedName, now int64) bool {
	l := q.leases[name]
	return l != nil && l.until > now
}

type byEnd []*lease

func (h byEnd) Len() int { return len(h) }

func (h byEnd) Less(i, j int) bool { return h[i].until < h[j].until }

func (h byEnd) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *byEnd) Push(x any) { *h = append(*h, x.(*lease)) }

func (h *byEnd) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
