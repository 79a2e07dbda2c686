package listener

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// Values of Conn.waitingSince other than a turn.
const (
	serving = 0  // a complete request is being served: it is never evicted
	gone    = -1 // it was closed or evicted
)

// Conn is one connection. The server calls Read, Write and Close. The goroutine that serves it, and no other, calls for each
// request, in this order: HeaderRead, Reserve (for each part of the body), BeginServing, EndServing.
type Conn struct {
	net.Conn
	set          *Connections
	address      netip.Addr   // address under which Options.PerAddress counts it; zero: not counted
	waitingSince atomic.Int64 // serving, gone, or the turn at which it began to wait for its client
	bodyBytes    atomic.Int64 // bytes of its body that count in Connections.bodies
	requestBegun atomic.Bool  // bytes of the next request have arrived
	unanswered   atomic.Bool  // nothing was answered yet
	evictedBytes int64        // bodyBytes at its eviction; only the goroutine that evicted it reads this
	drainOnClose bool         // the client may still be sending a request that is not read
}

// HeaderRead reports to the set that a request's header is complete, and that its body is awaited from now on. False: the
// connection was evicted, and nothing can be answered.
func (c *Conn) HeaderRead() bool { return c.wait(c.waitingSince.Load()) }

// wait gives the connection a new turn, behind all that wait now. False: it was evicted.
func (c *Conn) wait(since int64) bool {
	return since != gone && c.waitingSince.CompareAndSwap(since, c.set.turns.Add(1))
}

// Reserve counts n more bytes of the body against Options.Bodies, until EndServing. False: they exceed that bound.
func (c *Conn) Reserve(n int) bool { return c.set.reserve(c, int64(n)) }

// BeginServing reports to the set that the request is complete: the connection is not evicted until EndServing. False: it was
// evicted before, and nothing can be answered.
func (c *Conn) BeginServing() bool {
	since := c.waitingSince.Load()
	return since != gone && c.waitingSince.CompareAndSwap(since, serving)
}

// EndServing reports to the set that the answer is made. The server then writes it and waits for the next request.
func (c *Conn) EndServing() {
	c.set.release(c)
	c.requestBegun.Store(false)
	c.unanswered.Store(false)
	c.wait(c.waitingSince.Load())
}

// DrainOnClose makes Close read a part of the rest of a request that was not read to its end. A client that is still sending
// when its connection is closed sees a broken connection and not the answer.
func (c *Conn) DrainOnClose() { c.drainOnClose = true }

// expectsAnswer reports whether the client can read a refusal: it has begun a request, or had no answer yet. Otherwise its last
// answer may be half written.
func (c *Conn) expectsAnswer() bool { return c.requestBegun.Load() || c.unanswered.Load() }

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.requestBegun.Load() {
		c.requestBegun.Store(true)
	}
	return n, err
}

func (c *Conn) Write(b []byte) (int, error) {
	if c.waitingSince.Load() == gone {
		return 0, net.ErrClosed // the goroutine that evicted it answers
	}
	return c.Conn.Write(b)
}

// Bounds of what Close reads of the rest of a request.
const (
	unreadFor   = 3 * time.Second
	unreadBytes = 16 << 20
)

// Close closes the connection. One that was evicted is closed by the goroutine that evicted it.
func (c *Conn) Close() error {
	if c.drainOnClose { // it still counts, and may be evicted meanwhile
		c.drainOnClose = false
		c.drain(unreadFor, unreadBytes)
	}
	c.set.release(c)
	if c.waitingSince.Swap(gone) == gone {
		return nil
	}
	c.set.mu.Lock()
	c.set.uncount(c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}

// drain closes the writing side, if the connection has one, and reads until the client closes it or a bound is reached.
func (c *Conn) drain(most time.Duration, bytes int64) {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	if c.SetReadDeadline(wall.Now().Add(most)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, bytes)
}
