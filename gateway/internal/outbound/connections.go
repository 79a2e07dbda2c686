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

// connections bounds the connections to all destinations together, because each needs a file descriptor and the process
// has so many. Where none is free, the next one goes to the destination that has the fewest, so that slow receivers with
// many do not keep the others waiting. A nil one bounds nothing.
type connections struct {
	// dialing bounds how many are being made: one may need two sockets, for two addresses or two look-ups of its name.
	dialing chan struct{}
	// reclaim closes a connection that is kept and idle, where there is one.
	reclaim func()

	waiting atomic.Int32 // len(waiters), for who must not wait to know it

	mu      sync.Mutex
	free    int
	had     map[string]int // by destination
	waiters []*waiter      // the oldest first
}

// waiter is a request that waits for a connection to be free. Its channel is closed when it has one.
type waiter struct {
	destination string
	ready       chan struct{}
}

// newConnections bounds descriptors; 0 bounds nothing.
func newConnections(descriptors int, reclaim func()) *connections {
	if descriptors == 0 {
		return nil
	}
	dialing := max(descriptors/8, 2)
	return &connections{
		dialing: make(chan struct{}, dialing), reclaim: reclaim,
		free: max(descriptors-dialing, 1), had: map[string]int{},
	}
}

// errBusy is that no connection is free: no fault of the destination.
var errBusy = errors.New("no connection is free")

// patience is the part of a request's time that may go by before it has a connection.
const patience = 4

// dial makes a connection that counts until it is closed.
func (cs *connections) dial(ctx context.Context, destination string, deadline time.Time, dial func() (net.Conn, error)) (net.Conn, error) {
	if cs == nil {
		return dial()
	}
	ctx, cancel := context.WithTimeout(ctx, deadline.Sub(wall.Now())/patience)
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

// busy is why the waiting ended: the caller's own end, or that there was no connection in time.
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
		cs.had[destination]++
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
	if at < 0 { // it had one at the last moment
		cs.leave(destination)
	}
	return busy(ctx)
}

// leave gives a connection's place to whoever waits for a destination that has the fewest.
func (cs *connections) leave(destination string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.had[destination]--; cs.had[destination] <= 0 {
		delete(cs.had, destination)
	}
	if len(cs.waiters) == 0 {
		cs.free++
		return
	}
	next := 0
	for i, w := range cs.waiters {
		if cs.had[w.destination] < cs.had[cs.waiters[next].destination] {
			next = i
		}
	}
	w := cs.waiters[next]
	cs.drop(next)
	cs.had[w.destination]++
	close(w.ready)
}

// wanted says that somebody waits, so that an idle connection is of more use closed than kept.
func (cs *connections) wanted() bool { return cs != nil && cs.waiting.Load() > 0 }

// drop takes a waiter out. cs.mu is held.
func (cs *connections) drop(at int) {
	cs.waiters = slices.Delete(cs.waiters, at, at+1)
	cs.waiting.Add(-1)
}

// counted is a connection that gives its place back when it is closed.
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
