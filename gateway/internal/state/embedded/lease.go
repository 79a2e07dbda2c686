package embedded

import (
	"container/heap"
)

type owedName struct {
	pos    uint64
	suffix string
}

// lease is the lease of a delivery. It stays after its end until the delivery is claimed again, because its holder may still
// settle it.
type lease struct {
	name     owedName
	d        *dest
	key      sortKey
	until    int64
	shownEnd int64 // until, by the clock of its holder: the fence
	busy     bool  // the batch under way changes the delivery
}

// leased returns the fence of the lease of a delivery; false: it was not leased since the start.
func (q *dueQueue) leased(pos uint64, suffix string) (word int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.leases[owedName{pos, suffix}]
	if l == nil || l.busy {
		return 0, false
	}
	return l.shownEnd, true
}

// shift moves the ends of leases when the clock steps forward: their holders still need the same time.
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

// hasLease reports whether a delivery is leased at a time, and the batch under way does not change it.
func (q *dueQueue) hasLease(pos uint64, suffix string, now int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.leases[owedName{pos, suffix}]
	return l != nil && !l.busy && l.until > now
}

// seize keeps an unleased delivery from being leased until the batch under way is written; false: it is leased.
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

// busy reports whether the batch under way changes a delivery already.
func (q *dueQueue) busy(o *owed) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.leases[owedName{o.pos, o.suffix}]
	return l != nil && l.busy
}

// release undoes seize.
func (q *dueQueue) release(o *owed, now int64) {
	q.mu.Lock()
	l := q.leases[owedName{o.pos, o.suffix}]
	q.mu.Unlock()
	if l != nil && l.busy {
		q.unlease([]*lease{l}, now)
	}
}

// unlease takes back leases that were not handed out.
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

// isLeased reports whether a delivery is leased, or being changed, at a time. The caller holds mu.
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
