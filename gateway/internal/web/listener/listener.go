package listener

import (
	"errors"
	"net"
	"strings"
	"sync"
	"time"
)

// listener is a net.Listener whose connections are bounded, and whose Accept fails only after Close: an HTTP server takes
// any other error for its end, and a process that is out of descriptors for a moment is not at its end.
type listener struct {
	net.Listener
	of     *Connections
	once   sync.Once
	closed chan struct{}
}

// Listen bounds the connections of a listener.
func (cs *Connections) Listen(ln net.Listener) net.Listener {
	return &listener{Listener: ln, of: cs, closed: make(chan struct{})}
}

// How long nothing is accepted after a failure.
const (
	firstPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// Accept returns the next connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	pause := firstPause
	for {
		inner, err := l.Listener.Accept()
		if err == nil {
			pause = firstPause
			l.of.failed(nil)
			c := &Conn{Conn: inner, of: l.of, address: l.of.addressOf(inner.RemoteAddr())}
			c.fresh.Store(true)
			if l.of.admit(c) {
				return c, nil
			}
			continue
		}
		if l.isClosed(err) {
			return nil, err
		}
		l.of.failed(err)
		l.of.makeRoom()
		after, stop := wall.After(pause)
		select {
		case <-after:
		case <-l.closed:
		}
		stop()
		pause = min(2*pause, mostPause)
	}
}

func (l *listener) isClosed(err error) bool {
	select {
	case <-l.closed:
		return true
	default: // in-memory listeners have an error of their own
		return errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), net.ErrClosed.Error())
	}
}

// Close makes Accept return, and ends the listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// failed remembers why nothing can be accepted, and says so once in a while; nil: it can.
func (cs *Connections) failed(err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.fault = err; err != nil && cs.noise.AllowN(wall.Now(), 1) {
		cs.Log.Warn("a connection could not be accepted; waiting and going on", "err", err)
	}
}
