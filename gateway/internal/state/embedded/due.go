package embedded

import (
	"container/heap"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// dueQueue is the part of the due-queue in memory: when each destination is served next, and which deliveries are leased.
// The deliveries themselves are in tabDue. When a lease ends unsettled, its delivery is due again.
type dueQueue struct {
	mu     sync.Mutex
	dests  map[destName]*dest
	of     map[string]map[string]*dest // the same, by tenant and name
	future byService                   // served later, by time
	ready  []*tenant                   // with a destination that can be served now; the first is next
	tenant map[string]*tenant
	leases map[owedName]*lease
	ends   byEnd
}

type destName struct{ tenant, name string }

// tenant has the destinations of a tenant that can be served now; the first is next. It is in the queue's map while it is
// queued.
type tenant struct {
	name   string
	ready  []*dest
	queued bool // it is in ready of the queue
}

// dest is a destination.
type dest struct {
	tenant, name string
	counts       destCounts // written by the writer, under mu

	// Every entry of tabDue before cursor is leased or removed, so that no scan begins before it.
	cursor  sortKey
	head    sortKey // the first unleased entry, or a key before it; only with hasHead
	hasHead bool    // there is an unleased entry
	stale   bool    // head may have been removed, or was never looked up

	// Lower bounds of the entries of waiting, dead, history and failures; under mu.
	low [listTableCount]sortKey
	// When their newest entries are; under mu.
	newest [listTableCount]newest
	rules  destRules

	hold    state.Hold
	onHold  bool
	holdEnd int64 // when the hold ends, by the store's clock; never: not by itself
	queue   queueState
	index   int   // in future
	at      int64 // of service, while in future

	forgotten bool // it is no longer in dests; another may have its name
}

type queueState byte

const (
	notQueued queueState = iota
	inFuture
	inReady
)

const never = math.MaxInt64

var start = sortKey{at: math.MinInt64}

// service is when a destination is to be served next: the later of its earliest due and the end of its hold.
func (d *dest) service() int64 {
	if !d.hasHead {
		return never
	}
	at := d.head.at
	if d.onHold {
		at = max(at, d.holdEnd)
	}
	return at
}

func (q *dueQueue) load(s *store) error {
	q.dests, q.of = map[destName]*dest{}, map[string]map[string]*dest{}
	q.tenant, q.leases = map[string]*tenant{}, map[owedName]*lease{}
	err := scan(s.db, []byte{tabDest}, func(rest, value []byte) error {
		d, err := q.named(rest)
		if err != nil {
			return err
		}
		d.counts, d.rules.unknownTo, err = readDest(value)
		if d.counts.waiting > 0 {
			d.hasHead, d.stale, d.head = true, true, start
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := q.loadRules(s); err != nil {
		return err
	}
	err = scan(s.db, []byte{tabHold}, func(rest, value []byte) error {
		d, err := q.named(rest)
		if err != nil {
			return err
		}
		d.onHold = true
		d.hold, d.holdEnd, err = readHold(value)
		return err
	})
	now := s.clock.look().now
	for _, d := range q.dests {
		q.put(d, now)
	}
	return err
}

func (q *dueQueue) named(key []byte) (*dest, error) {
	d, rest, err := q.cut(key)
	if err == nil && len(rest) > 0 {
		err = state.ErrCorrupt
	}
	return d, err
}

// cut reads a destination from the beginning of the rest of a key.
func (q *dueQueue) cut(key []byte) (d *dest, rest []byte, err error) {
	tenant, rest, ok := cutText(key)
	name, rest, ok2 := cutText(rest)
	if !ok || !ok2 {
		return nil, nil, state.ErrCorrupt
	}
	return q.dest(tenant, name), rest, nil
}

// dest returns the destination of a name, and adds it if it is new. The caller holds mu.
func (q *dueQueue) dest(tenant, name string) *dest {
	n := destName{tenant, name}
	d := q.dests[n]
	if d == nil {
		d = &dest{tenant: tenant, name: name, cursor: start}
		for i := range d.low {
			d.low[i] = start
			d.newest[i].at = math.MinInt64
		}
		d.rules.unknownTo = noTime
		q.dests[n] = d
		if q.of[tenant] == nil {
			q.of[tenant] = map[string]*dest{}
		}
		q.of[tenant][name] = d
	}
	return d
}

// widen moves the bounds of a list so that they include an entry that is being written.
func (q *dueQueue) widen(d *dest, table byte, p sortKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if low := &d.low[table-tabWaiting]; p.less(*low) {
		*low = p
	}
	if n := &d.newest[table-tabWaiting]; p.at > n.at {
		n.at = p.at
	}
}

func (q *dueQueue) setLow(low *sortKey, p sortKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	*low = p
}

func (q *dueQueue) find(tenant, name string) *dest {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dest(tenant, name)
}

// listLength is the length of one list of a destination.
func (q *dueQueue) listLength(d *dest, table byte) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch table {
	case tabWaiting:
		return d.counts.waiting
	case tabDead:
		return d.counts.dead
	case tabFailures:
		return d.counts.failures
	}
	return d.counts.history
}

// destinations are those of a tenant; "*" means all tenants.
func (q *dueQueue) destinations(tenant string) []*dest {
	q.mu.Lock()
	defer q.mu.Unlock()
	if tenant == "*" {
		return slices.Collect(maps.Values(q.dests))
	}
	return slices.Collect(maps.Values(q.of[tenant]))
}

// withName are the destinations of a tenant that have a name; "*" means all tenants, and "" all names.
func (q *dueQueue) withName(tenant, name string) (all []*dest) {
	if name == "" {
		return q.destinations(tenant)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if tenant != "*" {
		if d := q.of[tenant][name]; d != nil {
			all = append(all, d)
		}
		return all
	}
	for _, of := range q.of {
		if d := of[name]; d != nil {
			all = append(all, d)
		}
	}
	return all
}

// put moves a destination to the queue that its next service belongs to.
func (q *dueQueue) put(d *dest, now int64) {
	at := d.service()
	switch {
	case d.forgotten || at == never:
		q.remove(d)
	case at <= now:
		if d.queue == inReady {
			return
		}
		q.remove(d)
		t := q.tenant[d.tenant]
		if t == nil {
			t = &tenant{name: d.tenant}
			q.tenant[t.name] = t
		}
		t.ready = append(t.ready, d)
		d.queue = inReady
		if !t.queued {
			t.queued = true
			q.ready = append(q.ready, t)
		}
	default:
		if d.queue == inFuture {
			d.at = at
			heap.Fix(&q.future, d.index)
			return
		}
		q.remove(d)
		d.at, d.queue = at, inFuture
		heap.Push(&q.future, d)
	}
}

// unqueue removes a tenant that has no destination to be served now.
func (q *dueQueue) unqueue(t *tenant) {
	t.queued = false
	delete(q.tenant, t.name)
}

func (q *dueQueue) remove(d *dest) {
	switch d.queue {
	case inFuture:
		heap.Remove(&q.future, d.index)
	case inReady:
		t := q.tenant[d.tenant]
		for i, r := range t.ready {
			if r == d {
				t.ready = append(t.ready[:i], t.ready[i+1:]...)
				break
			}
		}
	}
	d.queue = notQueued
}

// insert adds an entry of tabDue.
func (q *dueQueue) insert(d *dest, p sortKey) {
	if p.less(d.cursor) {
		d.cursor = p
	}
	if !d.hasHead || p.less(d.head) {
		d.head, d.hasHead = p, true
		d.stale = q.leases[owedName{p.pos, p.suffix}] != nil // leased between its batch and this call
	}
}

// dueChange is an entry of tabDue that was added or removed.
type dueChange struct {
	d        *dest
	key      sortKey
	added    bool
	settled  bool // its lease has ended
	leased   bool // this process holds it, until the time of its key
	shownEnd int64
}

// apply applies the changes of a written batch.
func (q *dueQueue) apply(changes []dueChange, deltas map[*dest]*destCounts, now int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for d, c := range deltas {
		d.counts = *c
	}
	for _, c := range changes {
		name := owedName{c.key.pos, c.key.suffix}
		if c.settled {
			delete(q.leases, name)
		}
		if c.added {
			q.insert(c.d, c.key)
			if c.leased {
				l := &lease{name: name, d: c.d, key: c.key, until: c.key.at, shownEnd: c.shownEnd}
				q.leases[name] = l
				heap.Push(&q.ends, l)
			}
		} else if c.d.hasHead && c.key == c.d.head {
			c.d.stale = true
		}
		q.put(c.d, now)
	}
}

// expire makes deliveries due again whose leases ended unsettled.
func (q *dueQueue) expire(now int64) {
	for len(q.ends) > 0 && q.ends[0].until <= now {
		l := heap.Pop(&q.ends).(*lease)
		if q.leases[l.name] == l {
			q.insert(l.d, l.key)
			q.put(l.d, now)
		}
	}
	for len(q.future) > 0 && q.future[0].at <= now {
		q.put(q.future[0], now)
	}
}

type byService []*dest

func (h byService) Len() int           { return len(h) }
func (h byService) Less(i, j int) bool { return h[i].at < h[j].at }
func (h byService) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *byService) Push(x any) {
	d := x.(*dest)
	d.index = len(*h)
	*h = append(*h, d)
}

func (h *byService) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
