// Package listener bounds what the HTTP server holds for its clients before a request is complete: the connections, the
// connections of one address, and the bytes of bodies that are being read.
//
// At a bound, a new connection evicts the one that has waited for its client the longest: that one is answered with
// Options.Refusal and closed. So a flood of slow clients locks nobody out: a client that sends its request without delay is
// served before its connection is the oldest.
package listener

import (
	"cmp"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// Options are the bounds of one set of connections. Max, Bodies and Refusal are required.
type Options struct {
	// Max is the largest number of connections, including those that are being refused.
	Max int
	// PerAddress is the largest number of connections of one address; 0 is no bound. IPv6 addresses of one /64 network count
	// as one address, because a client has such a network for itself. Loopback, private and link-local addresses have no bound.
	PerAddress int
	// Proxy reports whether an address is that of a proxy, which many clients share: PerAddress does not apply to it. nil: none is.
	Proxy func(netip.Addr) bool
	// Bodies is the largest number of bytes of request bodies in memory.
	Bodies int64
	// Refusal returns the complete HTTP response that is written to a connection before it is refused or evicted.
	Refusal func() []byte
	// Log receives problems; nil drops them.
	Log *slog.Logger
}

// Connections are the open connections of one or more listeners. Make them with New; they are safe for concurrent use.
type Connections struct {
	Options
	admitted int           // the bound of all: Max without the slots of refusing
	refusing chan struct{} // a slot for each connection that is refused and not yet closed

	turns    atomic.Int64 // the last turn given: turns number the order in which connections began to wait
	bodies   atomic.Int64 // bytes of bodies in memory
	logLimit *rate.Limiter

	mu         sync.Mutex
	all        map[*Conn]struct{}
	perAddress map[netip.Addr]int
	fullAt     time.Time // when a bound was last reached
	fault      error     // why nothing can be accepted; nil while it can
}

// wall is the machine's clock: deadlines of the network must not depend on the clock of a test.
var wall = clock.System()

// New returns an empty set.
func New(o Options) *Connections {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	places := min(max(o.Max/8, 1), 128)
	return &Connections{
		Options: o, admitted: max(o.Max-places, 1), refusing: make(chan struct{}, places),
		logLimit: rate.NewLimiter(rate.Every(10*time.Second), 1),
		all:      map[*Conn]struct{}{}, perAddress: map[netip.Addr]int{},
	}
}

// warnFull is how long Problems reports that a bound was reached.
const warnFull = time.Minute

// Problems returns sentences for readiness: that a bound was reached in the last minute, or that no connection can be accepted.
func (cs *Connections) Problems() []string {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var all []string
	if !cs.fullAt.IsZero() && wall.Now().Sub(cs.fullAt) < warnFull {
		all = append(all, "there was no room for all connections or bodies in the last minute: clients that had sent no complete request were closed")
	}
	if cs.fault != nil {
		all = append(all, "no connection can be accepted: "+cs.fault.Error())
	}
	return all
}

// Count returns the number of open connections.
func (cs *Connections) Count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.all)
}

// BodyBytes returns the bytes of request bodies in memory.
func (cs *Connections) BodyBytes() int64 { return cs.bodies.Load() }

// admit adds a connection to the set, and evicts others at a bound. False: none can be evicted, and the connection was refused.
func (cs *Connections) admit(c *Conn) bool {
	cs.mu.Lock()
	var evicted []*Conn
	if cs.PerAddress > 0 && c.address.IsValid() && cs.perAddress[c.address] >= cs.PerAddress {
		evicted = cs.evict(cs.PerAddress, func(other *Conn) bool { return other.address == c.address })
	}
	if len(cs.all) >= cs.admitted {
		evicted = append(evicted, cs.evict(cs.admitted, nil)...)
	}
	ok := len(cs.all) < cs.admitted && (cs.PerAddress == 0 || !c.address.IsValid() || cs.perAddress[c.address] < cs.PerAddress)
	if ok {
		c.waitingSince.Store(cs.turns.Add(1))
		cs.all[c] = struct{}{}
		if c.address.IsValid() {
			cs.perAddress[c.address]++
		}
	}
	full := !ok || len(evicted) > 0
	if full {
		cs.fullAt = wall.Now()
	}
	cs.mu.Unlock()
	cs.refuse(evicted)
	if !ok {
		c.waitingSince.Store(gone)
		cs.refuse([]*Conn{c})
	}
	if full && cs.logLimit.AllowN(wall.Now(), 1) {
		cs.Log.Warn("no room for more connections: those without a complete request give way", "open", cs.Count(), "most", cs.Max, "most_of_one_address", cs.PerAddress)
	}
	return ok
}

// evict removes those of the connections selected by among (nil: all) that have waited the longest, and returns them. It removes
// bound/64 + 1 of them, because finding them costs a pass over all connections. cs.mu is held.
func (cs *Connections) evict(bound int, among func(*Conn) bool) (evicted []*Conn) {
	for _, each := range cs.longestWaiting(among) {
		if len(evicted) > bound/64 {
			break
		}
		if cs.remove(each) {
			evicted = append(evicted, each.Conn)
		}
	}
	return evicted
}

// candidate is a connection with its turn when it was read: if the turn has changed, the connection is not evicted.
type candidate struct {
	*Conn
	turn int64
}

// How long a stop waits for connections without any byte of a request, which the client may have sent but which was not read yet,
// and for those whose request is not complete.
const (
	silentGrace     = 100 * time.Millisecond
	incompleteGrace = 4 * time.Second
)

// End closes the connections that wait for their client, so that a stop does not wait for slow clients: after 100 ms those without
// any byte of a request, after 4 s more those whose request is not complete. It returns early when ended is closed.
func (cs *Connections) End(ended <-chan struct{}) {
	for _, step := range []struct {
		after time.Duration
		among func(*Conn) bool
	}{
		{silentGrace, func(c *Conn) bool { return !c.requestBegun.Load() }},
		{incompleteGrace, nil},
	} {
		after, stop := wall.After(step.after)
		select {
		case <-after:
		case <-ended:
			stop()
			return
		}
		cs.mu.Lock()
		var evicted []*Conn
		for _, each := range cs.longestWaiting(step.among) {
			if cs.remove(each) {
				evicted = append(evicted, each.Conn)
			}
		}
		cs.mu.Unlock()
		cs.refuse(evicted)
	}
}

// longestWaiting returns the connections that wait for their client and are selected by among (nil: all), those that have waited the
// longest first. cs.mu is held.
func (cs *Connections) longestWaiting(among func(*Conn) bool) []candidate {
	all := make([]candidate, 0, len(cs.all))
	for c := range cs.all {
		if turn := c.waitingSince.Load(); turn > 0 && (among == nil || among(c)) {
			all = append(all, candidate{c, turn})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.turn, b.turn) })
	return all
}

// remove evicts a connection if its turn is unchanged. cs.mu is held.
func (cs *Connections) remove(c candidate) bool {
	if !c.waitingSince.CompareAndSwap(c.turn, gone) {
		return false
	}
	cs.uncount(c.Conn)
	c.evictedBytes = c.bodyBytes.Swap(0)
	cs.bodies.Add(-c.evictedBytes)
	return true
}

// uncount removes a connection from the set. cs.mu is held.
func (cs *Connections) uncount(c *Conn) {
	if _, ok := cs.all[c]; !ok {
		return
	}
	delete(cs.all, c)
	if !c.address.IsValid() {
		return
	}
	if cs.perAddress[c.address]--; cs.perAddress[c.address] <= 0 {
		delete(cs.perAddress, c.address)
	}
}

// makeRoom evicts some of the connections that have waited the longest, even below the bounds: the process has no file descriptor left.
func (cs *Connections) makeRoom() {
	cs.mu.Lock()
	evicted := cs.evict(len(cs.all), nil)
	cs.fullAt = wall.Now()
	cs.mu.Unlock()
	cs.refuse(evicted)
}

// reserve adds bytes of a body to bodies. At the bound it evicts connections whose bodies began earlier and are still incomplete.
// False: the bound is exceeded even so, and all bytes of this body were subtracted again.
func (cs *Connections) reserve(c *Conn, n int64) bool {
	c.bodyBytes.Add(n)
	if cs.bodies.Add(n) <= cs.Bodies {
		return true
	}
	cs.mu.Lock()
	var evicted []*Conn
	mine := c.waitingSince.Load()
	for _, each := range cs.longestWaiting(func(other *Conn) bool { return other != c && other.bodyBytes.Load() > 0 }) {
		// Up to a sixteenth of the bound is freed, because finding them costs a pass over all connections.
		if each.turn >= mine || cs.bodies.Load() <= cs.Bodies-cs.Bodies/16 {
			break
		}
		if cs.remove(each) {
			evicted = append(evicted, each.Conn)
		}
	}
	cs.fullAt = wall.Now()
	cs.mu.Unlock()
	cs.refuse(evicted)
	if cs.bodies.Load() <= cs.Bodies {
		return true
	}
	cs.release(c)
	return false
}

func (cs *Connections) release(c *Conn) {
	if held := c.bodyBytes.Swap(0); held != 0 {
		cs.bodies.Add(-held)
	}
}

// Bounds of what is read from a refused connection, so that its client reads the answer.
const (
	refuseFor   = time.Second
	refuseBytes = 256 << 10
)

// refuse answers evicted or refused connections with Options.Refusal, and closes them. It does not wait for their clients.
func (cs *Connections) refuse(evicted []*Conn) {
	for _, c := range evicted {
		if !c.expectsAnswer() {
			_ = c.Conn.Close()
			continue
		}
		_ = c.SetWriteDeadline(wall.Now().Add(time.Second)) // the answer fits the socket's buffer or is given up; a busy machine may take a while to write it
		if _, err := c.Conn.Write(cs.Refusal()); err != nil {
			_ = c.Conn.Close()
			continue
		}
		if c.evictedBytes > 0 { // the goroutine that reads its body ends only when the connection is closed
			_ = c.Conn.Close()
			continue
		}
		select {
		case cs.refusing <- struct{}{}:
			go func() {
				defer func() { <-cs.refusing }()
				c.drain(refuseFor, refuseBytes)
				_ = c.Conn.Close()
			}()
		default:
			_ = c.Conn.Close()
		}
	}
}

// addressOf returns the address under which PerAddress counts a client. It is zero for clients that are not counted: on a unix
// socket, on this machine or a private network, where proxies run, and behind Options.Proxy.
func (cs *Connections) addressOf(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	if a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || cs.Proxy != nil && cs.Proxy(a) {
		return netip.Addr{}
	}
	if a.Is6() {
		network, err := a.Prefix(64)
		if err == nil {
			return network.Masked().Addr()
		}
	}
	return a
}
