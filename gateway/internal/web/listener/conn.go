package listener

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// What Conn.waiting is beside the turn since which a connection waits for its client.
const (
	serving = 0  // a complete request is being served: it never gives way
	gone    = -1 // it was closed, or gave way
)

// Conn is one connection. The server calls Read, Write and Close; whoever serves a request says how far it is: Received,
// Reserve, Serve, Served. Those four belong to the goroutine that serves the connection.
type Conn struct {
	net.Conn
	of      *Connections
	address netip.Addr   // counted by; zero: not counted
	waiting atomic.Int64 // serving, gone, or since when it waits for its client
	held    atomic.Int64 // bytes of the body that count in Connections.bodies
	began   atomic.Bool  // bytes came since the last answer
	fresh   atomic.Bool  // nothing was answered yet
	freed   int64        // what was held of the body when it gave way; belongs to whoever took it out
	unread  bool         // the client may still be sending what nobody reads
}

// Received says that a request's header is complete: from now on it is its body that is waited for. False: the connection
// gave way, and nothing can be answered.
func (c *Conn) Received() bool { return c.wait(c.waiting.Load()) }

// wait moves the connection behind all that wait now.
func (c *Conn) wait(since int64) bool {
	return since != gone && c.waiting.CompareAndSwap(since, c.of.turns.Add(1))
}

// Reserve counts so many more bytes of the body in the bound of all bodies, until Served. False: there is no room.
func (c *Conn) Reserve(n int) bool { return c.of.reserve(c, int64(n)) }

// Serve says that the request is complete: until Served the connection does not give way. False: it gave way already,
// and nothing can be answered.
func (c *Conn) Serve() bool {
	since := c.waiting.Load()
	return since != gone && c.waiting.CompareAndSwap(since, serving)
}

// Served says that the answer is made; it is about to be written, and then the next request is waited for.
func (c *Conn) Served() {
	c.of.release(c)
	c.began.Store(false)
	c.fresh.Store(false)
	c.wait(c.waiting.Load())
}

// Unread says that the request was not read to its end: Close takes in a part of the rest, because a client that still
// sends when its connection is closed sees a broken connection and not the answer.
func (c *Conn) Unread() { c.unread = true }

// expects says that an answer can be written that the client expects: it did not just have one that may be half written.
func (c *Conn) expects() bool { return c.began.Load() || c.fresh.Load() }

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.began.Load() {
		c.began.Store(true)
	}
	return n, err
}

func (c *Conn) Write(b []byte) (int, error) {
	if c.waiting.Load() == gone {
		return 0, net.ErrClosed // whoever took it out answers
	}
	return c.Conn.Write(b)
}

// What is taken in of a request that is not read.
const (
	unreadFor   = 3 * time.Second
	unreadBytes = 16 << 20
)

// Close closes the connection, unless it gave way: then whoever took it out does.
func (c *Conn) Close() error {
	if c.unread { // it still counts and may give way meanwhile
		c.unread = false
		c.drain(unreadFor, unreadBytes)
	}
	c.of.release(c)
	if c.waiting.Swap(gone) == gone {
		return nil
	}
	c.of.mu.Lock()
	c.of.forget(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// drain says that nothing more will be written, where the connection can, and reads on until the client closes it or the
// bounds end it.
func (c *Conn) drain(most time.Duration, bytes int64) {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	if c.SetReadDeadline(wall.Now().Add(most)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, bytes)
}
