//go:build unix

package outbound

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// peek reads from a socket without blocking.
type peek struct {
	raw   syscall.RawConn
	look  func(fd uintptr) bool // made once, because a closure for each request would be an allocation
	byte  [1]byte
	quiet bool
}

// quiet reports whether a reused connection has nothing to read: unsolicited bytes would be taken for the answer to the
// next request, and a closed connection cannot carry one.
func (c *conn) quiet() bool {
	if c.peek == nil {
		c.peek = newPeek(c.Conn)
	}
	p := c.peek
	if p.raw == nil {
		return true
	}
	p.quiet = false
	return p.raw.Read(p.look) == nil && p.quiet
}

func newPeek(c net.Conn) *peek {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	p := &peek{}
	p.look = func(fd uintptr) bool {
		// Go's sockets are non-blocking. A byte that is read is lost; the connection is then closed.
		_, err := syscall.Read(int(fd), p.byte[:])
		p.quiet = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
		return true
	}
	if sc, ok := c.(syscall.Conn); ok {
		p.raw, _ = sc.SyscallConn()
	}
	return p
}
