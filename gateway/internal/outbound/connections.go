package outbound

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// connections bounds the connections to all destinations together, because each needs a file descriptor. If none is free,
// the next one goes to the destination with the fewest, so that slow receivers with many do not keep the others waiting.
// A nil *connections bounds nothing.
type connections struct {
	// dialing bounds the dials under way: one may need two sockets, for two addresses or two look-ups of its name.
	dialing chan struct{}
	// reclaim closes an idle connection if there is one.
	reclaim func()

	waiting atomic.Int32 // len(waiters), readable without the lock

	mu      sync.Mutex
	free    int
	open    map[string]int // by destination
	waiters []*waiter      // the oldest first
}

// waiter is a request that waits for a free connection. Its channel is closed when it gets one.
type waiter struct {
	destination string
	ready       chan struct{}
}

// newConnections returns a bound of so many descriptors, and nil for 0.
func newConnections(descriptors int, reclaim func()) *connections {
	if descriptors == 0 {
		return nil
	}
	dialing := max(descriptors/8, 2)
	return &connections{
		dialing: make(chan struct{}, dialing), reclaim: reclaim,
		free: max(descriptors-dialing, 1), open: map[string]int{},
	}
}

// errBusy means that no connection is free, which is not the destination's fault.
var errBusy = errors.New("no connection is free")

// waitShare is the fraction of its remaining time, one in so many, that a request may wait for a connection.
const waitShare = 4

// dial makes a connection and counts it until it is closed.
func (cs *connections) dial(ctx context.Context, destination string, deadline time.Time, dial func() (net.Conn, error)) (net.Conn, error) {
	if cs == nil {
		return dial()
	}
	ctx, cancel := context.WithTimeout(ctx, deadline.Sub(wall.Now())/waitShare)
	defer cancel()
	if err := cs.enter(ctx, destination); err != nil {
		return nil, err
	}
	select {
	case cs.dialing <- struct{}{}:
	case <-ctx.Done():
		cs.leave(destination)
		return nil, busy(ctx)
	}
	nc, err := dial()
	<-cs.dialing
	if err != nil {
		cs.leave(destination)
		return nil, err
	}
	return &counted{Conn: nc, leave: sync.OnceFunc(func() { cs.leave(destination) })}, nil
}

// busy says why the wait ended: the caller's cancellation, or no free connection in time.
func busy(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return errBusy
}

// enter waits until a connection may be made.
func (cs *connections) enter(ctx context.Context, destination string) error {
	cs.mu.Lock()
	if cs.free > 0 {
		cs.free--
		cs.open[destination]++
		cs.mu.Unlock()
		return nil
	}
	w := &waiter{destination, make(chan struct{})}
	cs.waiters = append(cs.waiters, w)
	cs.waiting.Add(1)
	cs.mu.Unlock()
	cs.reclaim()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	cs.mu.Lock()
	at := slices.Index(cs.waiters, w)
	if at >= 0 {
		cs.drop(at)
	}
	cs.mu.Unlock()
	if at < 0 { // it got one at the last moment
		cs.leave(destination)
	}
	return busy(ctx)
}

// leave passes a connection's slot to the waiter whose destination has the fewest.
func (cs *connections) leave(destination string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open[destination]--; cs.open[destination] <= 0 {
		delete(cs.open, destination)
	}
	if len(cs.waiters) == 0 {
		cs.free++
		return
	}
	next := 0
	for i, w := range cs.waiters {
		if cs.open[w.destination] < cs.open[cs.waiters[next].destination] {
			next = i
		}
	}
	w := cs.waiters[next]
	cs.drop(next)
	cs.open[w.destination]++
	close(w.ready)
}

// wanted reports whether a request waits, so that an idle connection is better closed than reused.
func (cs *connections) wanted() bool { return cs != nil && cs.waiting.Load() > 0 }

// drop removes a waiter. The caller holds cs.mu.
func (cs *connections) drop(at int) {
	cs.waiters = slices.Delete(cs.waiters, at, at+1)
	cs.waiting.Add(-1)
}

// counted is a connection that gives its slot back when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// SyscallConn gives access to the socket.
func (c *counted) SyscallConn() (syscall.RawConn, error) {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return sc.SyscallConn()
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}
