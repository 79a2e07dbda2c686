package listener

import (
	"errors"
	"net"
	"strings"
	"sync"
	"time"
)

// listener is a net.Listener whose connections are bounded. Its Accept fails only after Close: an HTTP server stops at any error,
// but a process that is out of file descriptors for a moment must go on.
type listener struct {
	net.Listener
	set    *Connections
	once   sync.Once
	closed chan struct{}
}

// Listen returns a listener whose connections belong to the set. They are of type *Conn.
func (cs *Connections) Listen(ln net.Listener) net.Listener {
	return &listener{Listener: ln, set: cs, closed: make(chan struct{})}
}

// Bounds of the pause after a failed Accept, which doubles at each failure.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

// Accept returns the next connection that admit accepts.
func (l *listener) Accept() (net.Conn, error) {
	pause := firstPause
	for {
		inner, err := l.Listener.Accept()
		if err == nil {
			pause = firstPause
			l.set.setFault(nil)
			c := &Conn{Conn: inner, set: l.set, address: l.set.addressOf(inner.RemoteAddr())}
			c.unanswered.Store(true)
			if l.set.admit(c) {
				return c, nil
			}
			continue
		}
		if l.isClosed(err) {
			return nil, err
		}
		l.set.setFault(err)
		l.set.makeRoom()
		after, stop := wall.After(pause)
		select {
		case <-after:
		case <-l.closed:
		}
		stop()
		pause = min(2*pause, maxPause)
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

// setFault stores why no connection can be accepted, and logs it at most once in 10 s; nil: connections are accepted.
func (cs *Connections) setFault(err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.fault = err; err != nil && cs.logLimit.AllowN(wall.Now(), 1) {
		cs.Log.Warn("a connection could not be accepted; waiting and going on", "err", err)
	}
}
