package deliver

import "sync"

// turns are things to do that belong to tenants. Tenants take turns: one goroutine at a time has those of a tenant, in the order in
// which they were added, so that one tenant's delay no other's.
type turns[T any] struct {
	mu     sync.Mutex // guards everything
	more   sync.Cond
	queues map[string]*queue[T]
	ready  []*queue[T] // in the order of their turns
	n      int
	closed bool
}

// queue is what one tenant waits for. It is in ready, or a goroutine has it.
type queue[T any] struct {
	tenant string
	items  []T
}

func (u *turns[T]) init() {
	u.more.L = &u.mu
	u.queues = map[string]*queue[T]{}
}

// add puts things behind those of their tenants. It may keep the slice.
func (u *turns[T]) add(batch []T, tenantOf func(T) string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n += len(batch)
	for from := 0; from < len(batch); {
		tenant, to := tenantOf(batch[from]), from+1
		for to < len(batch) && tenantOf(batch[to]) == tenant {
			to++
		}
		q := u.queues[tenant]
		if q == nil {
			q = &queue[T]{tenant: tenant}
			u.queues[tenant] = q
			u.ready = append(u.ready, q)
			u.more.Signal()
		}
		if q.items == nil {
			q.items = batch[from:to:to]
		} else {
			q.items = append(q.items, batch[from:to]...)
		}
		from = to
	}
}

// next waits for a tenant whose turn it is, and takes what it has. It returns false after close.
func (u *turns[T]) next() (q *queue[T], items []T, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.ready) == 0 && !u.closed {
		u.more.Wait()
	}
	if u.closed {
		return nil, nil, false
	}
	q = u.ready[0]
	u.ready[0] = nil
	u.ready = u.ready[1:]
	items, q.items = q.items, nil
	return q, items, true
}

// done ends a tenant's turn, in which n things were done. Those that are left come before those that were added meanwhile.
func (u *turns[T]) done(q *queue[T], n int, left []T) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n -= n
	if len(left) > 0 {
		q.items = append(left, q.items...)
	}
	if len(q.items) == 0 {
		delete(u.queues, q.tenant)
		return
	}
	u.ready = append(u.ready, q)
	u.more.Signal()
}

// close ends every wait for a turn.
func (u *turns[T]) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	u.more.Broadcast()
}

// takeAll removes and returns everything.
func (u *turns[T]) takeAll() (items []T) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, q := range u.queues {
		items = append(items, q.items...)
	}
	u.queues, u.ready, u.n = map[string]*queue[T]{}, nil, 0
	return items
}

func (u *turns[T]) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.n
}
