// Package listener bounds what the HTTP server holds for its clients before a request is complete: connections, those of
// one address, and the bytes of bodies that are being read.
//
// Where a bound is reached, the connection that has been without a complete request the longest gives way to the new one.
// So a flood of slow clients keeps nobody out: a client that sends its request is served before it is its turn to go.
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
	// Max is how many connections there are at most, those included that are being refused.
	Max int
	// PerAddress is how many of them one address may have; 0 is no bound. An IPv6 address stands for its /64 network,
	// which one client has for itself.
	PerAddress int
	// Proxy names addresses that many clients share, and that PerAddress is not for; nil is none.
	Proxy func(netip.Addr) bool
	// Bodies is how many bytes of request bodies may be held at once.
	Bodies int64
	// Refusal is a whole HTTP response that is written to a connection before it is closed for want of room.
	Refusal func() []byte
	// Log is where problems go; nil drops them.
	Log *slog.Logger
}

// Connections are the open connections of one or more listeners. Make them with New; they are safe for concurrent use.
type Connections struct {
	Options
	admitted int           // Max without the places for refused connections
	refusing chan struct{} // places for connections that are refused and not yet closed

	turns  atomic.Int64 // counts up: the order in which connections began to wait
	bodies atomic.Int64 // bytes of bodies that are held
	noise  *rate.Limiter

	mu         sync.Mutex
	all        map[*Conn]struct{}
	perAddress map[netip.Addr]int
	short      time.Time // when there was last no room without closing another connection
	fault      error     // why nothing can be accepted; nil while it can
}

// The clock of the network, which a test's own clock must not change.
var wall = clock.System()

// New makes an empty set.
func New(o Options) *Connections {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	places := min(max(o.Max/8, 1), 128)
	return &Connections{
		Options: o, admitted: max(o.Max-places, 1), refusing: make(chan struct{}, places),
		noise: rate.NewLimiter(rate.Every(10*time.Second), 1),
		all:   map[*Conn]struct{}{}, perAddress: map[netip.Addr]int{},
	}
}

// shortFor is how long readiness warns after a connection was closed for want of room.
const shortFor = time.Minute

// Problems are what an operator should know: that connections are closed for want of room, or none can be accepted.
func (cs *Connections) Problems() []string {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var all []string
	if !cs.short.IsZero() && wall.Now().Sub(cs.short) < shortFor {
		all = append(all, "there was no room for all connections or bodies in the last minute: clients that had sent no complete request were closed")
	}
	if cs.fault != nil {
		all = append(all, "no connection can be accepted: "+cs.fault.Error())
	}
	return all
}

// Open is how many connections there are.
func (cs *Connections) Open() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.all)
}

// Held is how many bytes of bodies are held.
func (cs *Connections) Held() int64 { return cs.bodies.Load() }

// admit counts a connection in, and makes room where there is none. False: nothing can give way, and it was refused.
func (cs *Connections) admit(c *Conn) bool {
	cs.mu.Lock()
	var leaving []*Conn
	if cs.PerAddress > 0 && c.address.IsValid() && cs.perAddress[c.address] >= cs.PerAddress {
		leaving = cs.takeOut(cs.PerAddress, func(other *Conn) bool { return other.address == c.address })
	}
	if len(cs.all) >= cs.admitted {
		leaving = append(leaving, cs.takeOut(cs.admitted, nil)...)
	}
	ok := len(cs.all) < cs.admitted && (cs.PerAddress == 0 || !c.address.IsValid() || cs.perAddress[c.address] < cs.PerAddress)
	if ok {
		c.waiting.Store(cs.turns.Add(1))
		cs.all[c] = struct{}{}
		if c.address.IsValid() {
			cs.perAddress[c.address]++
		}
	}
	full := !ok || len(leaving) > 0
	if full {
		cs.short = wall.Now()
	}
	cs.mu.Unlock()
	cs.refuse(leaving)
	if !ok {
		c.waiting.Store(gone)
		cs.refuse([]*Conn{c})
	}
	if full && cs.noise.AllowN(wall.Now(), 1) {
		cs.Log.Warn("no room for more connections: those without a complete request give way", "open", cs.Open(), "most", cs.Max, "most_of_one_address", cs.PerAddress)
	}
	return ok
}

// takeOut takes those out that have waited the longest: some at once, because to find them all have to be looked at.
// cs.mu is held.
func (cs *Connections) takeOut(bound int, among func(*Conn) bool) (leaving []*Conn) {
	for _, each := range cs.longest(among) {
		if len(leaving) > bound/64 {
			break
		}
		if cs.remove(each) {
			leaving = append(leaving, each.Conn)
		}
	}
	return leaving
}

// candidate is a connection and since when it waited when it was looked at.
type candidate struct {
	*Conn
	turn int64
}

// How long a stop waits for connections on which nothing of a request came, which is the time that what a client has sent
// takes to be seen, and for those whose request is not complete.
const (
	silentFor     = 100 * time.Millisecond
	incompleteFor = 4 * time.Second
)

// End closes what waits for its client, so that a stop need not wait for clients that are slow: first those that say
// nothing, a little later those whose request is still not complete. It returns early when ended is closed.
func (cs *Connections) End(ended <-chan struct{}) {
	for _, step := range []struct {
		after time.Duration
		among func(*Conn) bool
	}{
		{silentFor, func(c *Conn) bool { return !c.began.Load() }},
		{incompleteFor, nil},
	} {
		after, stop := wall.After(step.after)
		select {
		case <-after:
		case <-ended:
			stop()
			return
		}
		cs.mu.Lock()
		var leaving []*Conn
		for _, each := range cs.longest(step.among) {
			if cs.remove(each) {
				leaving = append(leaving, each.Conn)
			}
		}
		cs.mu.Unlock()
		cs.refuse(leaving)
	}
}

// longest are the connections that wait for their client, those that have waited the longest first. cs.mu is held.
func (cs *Connections) longest(among func(*Conn) bool) []candidate {
	all := make([]candidate, 0, len(cs.all))
	for c := range cs.all {
		if turn := c.waiting.Load(); turn > 0 && (among == nil || among(c)) {
			all = append(all, candidate{c, turn})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.turn, b.turn) })
	return all
}

// remove makes a connection gone if it still waits as it did when it was looked at. cs.mu is held.
func (cs *Connections) remove(c candidate) bool {
	if !c.waiting.CompareAndSwap(c.turn, gone) {
		return false
	}
	cs.forget(c.Conn)
	c.freed = c.held.Swap(0)
	cs.bodies.Add(-c.freed)
	return true
}

// forget counts a connection out. cs.mu is held.
func (cs *Connections) forget(c *Conn) {
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

// makeRoom closes some of those that have waited the longest, whatever the bounds: the process has no descriptor left.
func (cs *Connections) makeRoom() {
	cs.mu.Lock()
	leaving := cs.takeOut(len(cs.all), nil)
	cs.short = wall.Now()
	cs.mu.Unlock()
	cs.refuse(leaving)
}

// reserve counts bytes of a body in, and makes room where there is none: bodies that began to come earlier and are still
// not complete give way. False: there is none.
func (cs *Connections) reserve(c *Conn, n int64) bool {
	c.held.Add(n)
	if cs.bodies.Add(n) <= cs.Bodies {
		return true
	}
	cs.mu.Lock()
	var leaving []*Conn
	mine := c.waiting.Load()
	for _, each := range cs.longest(func(other *Conn) bool { return other != c && other.held.Load() > 0 }) {
		// A little more than is needed, because to find them all have to be looked at.
		if each.turn >= mine || cs.bodies.Load() <= cs.Bodies-cs.Bodies/16 {
			break
		}
		if cs.remove(each) {
			leaving = append(leaving, each.Conn)
		}
	}
	cs.short = wall.Now()
	cs.mu.Unlock()
	cs.refuse(leaving)
	if cs.bodies.Load() <= cs.Bodies {
		return true
	}
	cs.release(c)
	return false
}

func (cs *Connections) release(c *Conn) {
	if held := c.held.Swap(0); held != 0 {
		cs.bodies.Add(-held)
	}
}

// What a refused connection may cost: the time to take in what its client is still sending, so that it reads the answer.
const (
	refuseFor   = time.Second
	refuseBytes = 256 << 10
)

// refuse answers connections that are gone, and closes them. It does not wait for their clients.
func (cs *Connections) refuse(leaving []*Conn) {
	for _, c := range leaving {
		if !c.expects() {
			_ = c.Conn.Close()
			continue
		}
		_ = c.SetWriteDeadline(wall.Now().Add(time.Second)) // there is room in its buffer, or it is no use; a busy machine may take a while until it is written
		if _, err := c.Conn.Write(cs.Refusal()); err != nil {
			_ = c.Conn.Close()
			continue
		}
		if c.freed > 0 { // whoever reads its body lets go of it only when the connection is closed
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

// addressOf is what PerAddress counts a client by; none where it is not counted: on a unix socket, from this machine and
// private networks, where proxies stand, and from the proxies that are named.
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
