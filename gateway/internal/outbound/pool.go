package outbound

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// poolKey identifies connections that are interchangeable. TLS is part of it, because a receiver knows a connection by the
// certificate that it was made with. So is trust: a connection to a private address must not carry a request that may not
// reach one.
type poolKey struct {
	addr        string
	identity    string // of the destination's own TLS
	destination string
	max         int
	tls         bool
	trusted     bool
}

// conn is a connection that may carry one request after another.
type conn struct {
	net.Conn
	// reused is true from the second request on.
	reused bool
	idle   time.Time
	// peek reads ahead without blocking; nil until quiet first needs it.
	peek *peek
}

// pools holds the idle connections by key. The sweep's timer runs only while there are any.
type pools struct {
	all    *connections
	mu     sync.Mutex
	byKey  map[poolKey]*pool
	timer  *time.Timer
	closed bool
}

// pool holds the connections of one key.
type pool struct {
	owner *pools
	slots chan struct{} // nil: no bound
	users int           // requests between acquire and leave; guarded by owner.mu

	mu   sync.Mutex
	idle []*conn // the last one is the freshest
	dead bool
}

func newPools(all *connections) *pools { return &pools{all: all, byKey: make(map[poolKey]*pool)} }

// acquire returns the pool of a key; leave gives it back.
func (ps *pools) acquire(key poolKey) *pool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byKey[key]
	if p == nil {
		p = &pool{owner: ps, dead: ps.closed}
		if key.max > 0 {
			p.slots = make(chan struct{}, key.max)
		}
		ps.byKey[key] = p
	}
	p.users++
	return p
}

// enter waits for a free slot of the pool. On error it gives the pool back.
func (p *pool) enter(ctx context.Context, deadline time.Time) error {
	if p.slots == nil {
		return nil
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	wait, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-wait.Done():
		p.release()
		return &phaseError{phaseWait, wait.Err()}
	}
}

func (p *pool) leave() {
	if p.slots != nil {
		<-p.slots
	}
	p.release()
}

// release decrements users and schedules the idle sweep.
func (p *pool) release() {
	ps := p.owner
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.users--
	if ps.timer == nil && !ps.closed {
		ps.timer = time.AfterFunc(IdleTimeout, ps.sweep)
	}
}

// take removes and returns the freshest idle connection, or nil.
func (p *pool) take() *conn {
	now := wall.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	if now.Sub(c.idle) > IdleTimeout {
		return nil // the sweep closes it and all older ones
	}
	p.idle[len(p.idle)-1] = nil
	p.idle = p.idle[:len(p.idle)-1]
	return c
}

// put keeps a connection for reuse, unless another destination waits for one.
func (p *pool) put(c *conn) {
	if p.owner.all.wanted() {
		_ = c.Close()
		return
	}
	c.reused, c.idle = true, wall.Now()
	p.mu.Lock()
	dead := p.dead
	if !dead {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	switch {
	case dead:
		_ = c.Close()
	case p.owner.all.wanted(): // a waiter that came meanwhile may not have seen it
		p.owner.reclaim()
	}
}

// sweep closes connections that were idle for too long and drops unused pools.
func (ps *pools) sweep() {
	now := wall.Now()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.timer = nil
	if ps.closed {
		return
	}
	left := false
	for key, p := range ps.byKey {
		idle := p.expire(now)
		if idle == 0 && p.users == 0 {
			delete(ps.byKey, key)
		}
		left = left || idle > 0
	}
	if left {
		ps.timer = time.AfterFunc(IdleTimeout/4, ps.sweep)
	}
}

// reclaim closes the connection that has been idle the longest; false if there is none.
func (ps *pools) reclaim() bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var from *pool
	var oldest time.Time
	for _, p := range ps.byKey {
		p.mu.Lock()
		if len(p.idle) > 0 && (from == nil || p.idle[0].idle.Before(oldest)) {
			from, oldest = p, p.idle[0].idle
		}
		p.mu.Unlock()
	}
	if from == nil {
		return false
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	if len(from.idle) == 0 { // it was taken meanwhile
		return false
	}
	_ = from.idle[0].Close()
	from.idle = slices.Delete(from.idle, 0, 1)
	return true
}

// expire closes connections that are idle for too long and returns how many are left.
func (p *pool) expire(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for old < len(p.idle) && now.Sub(p.idle[old].idle) > IdleTimeout {
		_ = p.idle[old].Close()
		old++
	}
	n := copy(p.idle, p.idle[old:])
	clear(p.idle[n:])
	p.idle = p.idle[:n]
	return n
}

// close closes every idle connection; those in use are closed when they come back.
func (ps *pools) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	if ps.timer != nil {
		ps.timer.Stop()
	}
	for _, p := range ps.byKey {
		p.mu.Lock()
		for _, c := range p.idle {
			_ = c.Close()
		}
		p.idle, p.dead = nil, true
		p.mu.Unlock()
	}
}
