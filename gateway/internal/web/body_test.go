package web

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// deadlines is a connection that remembers how long it was given.
type deadlines struct {
	net.Conn
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// A body that comes in drops gets no more time for them; one that makes headway does, until its time as a whole is over.
func TestSlowBodiesEnd(t *testing.T) {
	t.Parallel()
	slow := &deadlines{}
	p := progress{conn: slow}
	began := wall.Now()
	for range 1000 {
		if err := p.read(1); err != nil {
			t.Fatal(err)
		}
	}
	if len(slow.set) != 1 || slow.set[0].Sub(began) > window+time.Minute {
		t.Errorf("drops were given %v", slow.set)
	}
	steady := &deadlines{}
	p = progress{conn: steady}
	for range 1000 {
		if err := p.read(windowBytes); err != nil {
			t.Fatal(err)
		}
	}
	if len(steady.set) != 998 {
		t.Errorf("windows: %d", len(steady.set))
	}
	p.end = wall.Now().Add(-time.Second)
	if _ = p.read(windowBytes); !steady.set[len(steady.set)-1].Equal(p.end) {
		t.Error("a body goes on beyond its time")
	}
}

// Room for a body follows what came of it, whatever was announced.
func TestBodiesGrowWithWhatCame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sent int
		held int64 // beyond the room that every body has
	}{{10 << 10, 12 << 10}, {100 << 10, 252 << 10}} {
		r := newRig(t)
		stalled := r.talk(t, "POST /in/pollqr HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n"+repeat("x", c.sent))
		for end := time.Now().Add(time.Minute); r.app.tcp.connections.BodyBytes() != c.held; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%d bytes that came hold %d, want %d", c.sent, r.app.tcp.connections.BodyBytes(), c.held)
			}
		}
		if err := stalled.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := stalled.answer(); got.status != 400 || r.app.tcp.connections.BodyBytes() != 0 {
			t.Errorf("%d %s; %d bytes are still held", got.status, got.body, r.app.tcp.connections.BodyBytes())
		}
	}
}

// Metrics that many ask for at once are made once for those who waited, and never twice at the same time.
func TestScrapesAreShared(t *testing.T) {
	t.Parallel()
	var s scrapes
	var runs, running atomic.Int64
	begun, goOn := make(chan struct{}), make(chan struct{})
	scrape := func() ([]byte, error) {
		if running.Add(1) > 1 {
			t.Error("two at once")
		}
		defer running.Add(-1)
		n := runs.Add(1)
		if n == 1 {
			close(begun)
			<-goOn
		}
		return fmt.Appendf(nil, "%d", n), nil
	}
	var group sync.WaitGroup
	group.Go(func() { _, _ = s.text(scrape) })
	<-begun
	texts := make(chan string, 100)
	for range cap(texts) {
		group.Go(func() {
			text, err := s.text(scrape)
			if err != nil {
				t.Error(err)
			}
			texts <- string(text)
		})
	}
	close(goOn)
	group.Wait()
	close(texts)
	for text := range texts {
		if text == "1" {
			t.Error("who asked after it was begun shares it")
		}
	}
}

// A stop does not wait for clients that say nothing, or do not come to an end.
func TestStopEndsSlowConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	silent, half := r.talk(t, ""), r.talk(t, "GET /healthz HTTP/1.1\r\nX: ")
	if got := r.ask(t, ask{path: "/healthz"}); got.status != 200 { // both are accepted by then
		t.Fatal(got.body)
	}
	began := time.Now()
	if err := r.app.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*talk{"silent": silent, "half": half} {
		text, err := io.ReadAll(c.in)
		if err != nil || !bytes.Contains(text, []byte(`"status":503`)) {
			t.Errorf("%s heard %s, %v", name, text, err)
		}
	}
	if r.app.tcp.connections.Count() != 0 {
		t.Errorf("%d are open", r.app.tcp.connections.Count())
	}
	t.Logf("stopped after %s", time.Since(began))
}
