package listener

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

func bounds(most, perAddress int) Options {
	return Options{Max: most, PerAddress: perAddress, Bodies: 1 << 20, Refusal: func() []byte { return []byte(refusal) }}
}

// failing is a listener whose Accept fails as often as it is told to, and then hands out what comes.
type failing struct {
	fail  []error
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newFailing(fail ...error) *failing {
	return &failing{fail: fail, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.fail) > 0 {
		err := f.fail[0]
		f.fail = f.fail[1:]
		return nil, err
	}
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *failing) Close() error   { f.once.Do(func() { close(f.done) }); return nil }
func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }

// Whatever the system says, Accept waits and goes on; only Close ends it.
func TestAcceptGoesOn(t *testing.T) {
	t.Parallel()
	var errs []error
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO} {
		errs = append(errs, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", errno)})
	}
	inner := newFailing(append(errs, errors.New("anything else"))...)
	cs := New(bounds(8, 0))
	ln := cs.Listen(inner)
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	go func() { inner.conns <- server }()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if cs.Count() != 1 || conn.Close() != nil || cs.Count() != 0 {
		t.Errorf("%d connections are open", cs.Count())
	}
	ended := make(chan error, 1)
	go func() {
		_, err := ln.Accept()
		ended <- err
	}()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A port that accepts nothing is told of until it does.
func TestProblems(t *testing.T) {
	t.Parallel()
	cs := New(bounds(8, 0))
	if got := cs.Problems(); len(got) != 0 {
		t.Errorf("at first: %v", got)
	}
	cs.setFault(syscall.EMFILE)
	if got := strings.Join(cs.Problems(), "\n"); !strings.Contains(got, "no connection can be accepted: too many open files") {
		t.Errorf("out of descriptors: %s", got)
	}
	cs.setFault(nil)
	if got := cs.Problems(); len(got) != 0 {
		t.Errorf("after it: %v", got)
	}
}

// rig is a real listener with bounds; pairs are a client and the connection that the server got for it.
type rig struct {
	t  *testing.T
	cs *Connections
	ln net.Listener
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	var lc net.ListenConfig
	inner, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cs: New(o)}
	r.ln = r.cs.Listen(inner)
	t.Cleanup(func() { _ = r.ln.Close() })
	return r
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "tcp", r.ln.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (r *rig) pair() (net.Conn, *Conn) {
	r.t.Helper()
	client := r.dial()
	server, err := r.ln.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = server.Close() })
	return client, server.(*Conn)
}

// said is all that a client hears until its connection is closed.
func said(t *testing.T, c net.Conn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	text, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("instead of its end: %v", err)
	}
	return string(text)
}

// serve takes a connection through one request.
func serve(t *testing.T, client net.Conn, c *Conn) {
	t.Helper()
	if _, err := io.WriteString(client, "request"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	if !c.HeaderRead() || !c.BeginServing() {
		t.Fatal("it gave way")
	}
	c.EndServing()
}

// Who has been without a complete request the longest gives way; who is being served does not; where all are, the new one
// is refused.
func TestLongestWaitingGivesWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, bounds(4, 0)) // 3 and a place for one that is refused
	first, firstServer := r.pair()
	second, secondServer := r.pair()
	third, thirdServer := r.pair()
	serve(t, first, firstServer) // it now waits the shortest

	_, fourthServer := r.pair()
	if got := said(t, second); got != refusal {
		t.Errorf("the one that waited longest heard %q", got)
	}
	if secondServer.HeaderRead() || secondServer.BeginServing() {
		t.Error("what gave way goes on")
	}
	if _, err := secondServer.Write([]byte("x")); err == nil {
		t.Error("what gave way can be answered")
	}
	for _, c := range []*Conn{thirdServer, fourthServer} {
		if !c.HeaderRead() || !c.BeginServing() {
			t.Fatal("a connection gave way without need")
		}
	}
	_, fifthServer := r.pair() // the first one's: it is kept, and nothing was asked of it
	if got := said(t, first); got != "" {
		t.Errorf("a kept connection heard %q", got)
	}
	if !fifthServer.BeginServing() {
		t.Fatal("a new connection gave way")
	}
	refused := r.dial()
	next := make(chan net.Conn, 1)
	go func() {
		c, _ := r.ln.Accept()
		next <- c
	}()
	if got := said(t, refused); got != refusal {
		t.Errorf("where all are being served, a new one heard %q", got)
	}
	thirdServer.EndServing()
	if err := thirdServer.Close(); err != nil {
		t.Fatal(err)
	}
	if got := said(t, third); got != "" {
		t.Errorf("closed after its answer, it heard %q", got)
	}
	_ = r.dial()
	c := <-next
	if c == nil || r.cs.Count() != 3 {
		t.Fatalf("%d are open", r.cs.Count())
	}
	_ = c.Close()
	if len(r.cs.Problems()) != 1 {
		t.Errorf("readiness says %v", r.cs.Problems())
	}
}

// addressed is a connection from an address of the test's choice.
type addressed struct {
	net.Conn
	remote net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.remote }

// One address takes no more than its share, and what gives way to it is its own; proxies and private networks, where many
// clients come from one address, have no share.
func TestPerAddress(t *testing.T) {
	t.Parallel()
	o := bounds(64, 2)
	proxies := netip.MustParsePrefix("203.0.113.0/24")
	o.Proxy = proxies.Contains
	cs := New(o)
	inner := newFailing()
	ln := cs.Listen(inner)
	t.Cleanup(func() { _ = ln.Close() })
	from := func(address string) *Conn {
		client, server := net.Pipe()
		t.Cleanup(func() { _ = client.Close() })
		go func() { _, _ = io.Copy(io.Discard, client) }()
		go func() { inner.conns <- addressed{server, &net.TCPAddr{IP: net.ParseIP(address), Port: 1}} }()
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c.(*Conn)
	}
	here := func(c *Conn) bool { return c.waitingSince.Load() != gone }
	other := from("198.51.100.1")
	a, b := from("198.51.100.7"), from("::ffff:198.51.100.7")
	c := from("198.51.100.7")
	if here(a) || !here(b) || !here(c) || !here(other) {
		t.Error("of three from one address it is not the first that gave way")
	}
	v6 := from("2001:db8:1:2::1")
	if _, last := from("2001:db8:1:2::2"), from("2001:db8:1:2:3::3"); here(v6) || !here(last) {
		t.Error("addresses of one IPv6 network count apart")
	}
	for _, shared := range []string{"127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd00::1", "203.0.113.9"} {
		for range 3 {
			if c := from(shared); !here(c) || c.address.IsValid() {
				t.Errorf("%s is counted", shared)
			}
		}
		if cs.Count() > 30 {
			t.Fatalf("%s: %d are open", shared, cs.Count())
		}
	}
	_ = other.Close()
	_, _ = b.Close(), c.Close()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if n := len(cs.perAddress); n != 1 { // the IPv6 network's
		t.Errorf("%d addresses are remembered", n)
	}
}

// Bodies that began to come earlier and are not complete give way to a later one; those of requests that are being served
// do not.
func TestBodiesGiveWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, bounds(16, 0)) // 1 MiB
	slow, slowServer := r.pair()
	_, served := r.pair()
	_, late := r.pair()
	for _, c := range []*Conn{slowServer, served} {
		if !c.HeaderRead() || !c.Reserve(500<<10) {
			t.Fatal("no room for the first two")
		}
	}
	if !served.BeginServing() {
		t.Fatal("it gave way")
	}
	if !late.HeaderRead() || !late.Reserve(500<<10) {
		t.Fatal("no room for a body although another waits for its rest")
	}
	if got := said(t, slow); got != refusal {
		t.Errorf("the body that gave way heard %q", got)
	}
	_, none := r.pair()
	if !late.BeginServing() || !none.HeaderRead() || none.Reserve(500<<10) {
		t.Error("there is room beyond the bound")
	}
	late.EndServing()
	if !none.Reserve(500 << 10) {
		t.Error("what was answered still takes room")
	}
	// What a connection that gave way reserved meanwhile is given back when it is closed.
	_ = slowServer.Reserve(1 << 10)
	for _, c := range []*Conn{slowServer, served, late, none} {
		c.EndServing()
		_ = c.Close()
	}
	if left := r.cs.BodyBytes(); left != 0 {
		t.Errorf("%d bytes are still counted", left)
	}
}

// A client that is still writing when its request is refused reads the answer all the same.
func TestUnreadRequestsAnswerArrives(t *testing.T) {
	t.Parallel()
	r := newRig(t, bounds(16, 0))
	client, server := r.pair()
	wrote := make(chan error, 1)
	go func() {
		_, err := io.Copy(client, io.LimitReader(zeros{}, 8<<20))
		wrote <- err
	}()
	if _, err := server.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	server.DrainOnClose()
	if _, err := io.WriteString(server, refusal); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- server.Close() }()
	if err := <-wrote; err != nil {
		t.Errorf("the client's writing: %v", err)
	}
	line, err := bufio.NewReader(client).ReadString('\n')
	if err != nil || !strings.HasPrefix(refusal, line) {
		t.Errorf("the client reads %q, %v", line, err)
	}
	_ = client.Close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
