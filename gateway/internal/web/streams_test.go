package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// feed is the source of the streams of a test, which stand at /test/stream?owner=NAME. /test/slow is an ordinary request that is
// answered when release is closed.
type feed struct {
	events  chan sse.Event
	ended   chan struct{} // receives for each stream that has ended
	asked   chan struct{} // receives for each request to /test/slow
	release chan struct{}
	fail    error // what open returns, where it is set
	flooded atomic.Int64
}

func newFeed() *feed {
	return &feed{events: make(chan sse.Event), ended: make(chan struct{}, 300), asked: make(chan struct{}, 10), release: make(chan struct{})}
}

func (f *feed) routes(a *App, app *fiber.App) {
	app.Get("/test/stream", func(c *fiber.Ctx) error {
		return a.streams.Serve(c, string(c.Request().URI().QueryArgs().Peek("owner")), func(ctx context.Context) (<-chan sse.Event, error) {
			if f.fail != nil {
				return nil, f.fail
			}
			context.AfterFunc(ctx, func() { f.ended <- struct{}{} })
			if string(c.Request().URI().QueryArgs().Peek("owner")) == "stalled" {
				return f.flood(ctx), nil
			}
			return f.events, nil
		})
	})
	app.Get("/test/slow", func(c *fiber.Ctx) error {
		f.asked <- struct{}{}
		<-f.release
		return c.SendString("done")
	})
}

// flood is a source that always has another event.
func (f *feed) flood(ctx context.Context) <-chan sse.Event {
	events := make(chan sse.Event)
	go func() {
		for e := (sse.Event{Data: bytes.Repeat([]byte("x"), 64<<10)}); ; f.flooded.Add(1) {
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events
}

// listening is a client of a stream.
type listening struct {
	t     *testing.T
	res   *http.Response
	lines *bufio.Reader
}

func (r *rig) listen(t *testing.T, owner string) *listening {
	t.Helper()
	res, err := r.tcp.Get("http://gateway/test/stream?owner=" + owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	l := &listening{t, res, bufio.NewReader(res.Body)}
	if res.StatusCode == http.StatusOK {
		if res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("header %v", res.Header)
		}
		l.until(": begin")
	}
	return l
}

// until reads up to a line.
func (l *listening) until(want string) {
	l.t.Helper()
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			l.t.Fatalf("before %q: %v", want, err)
		}
		if strings.TrimRight(line, "\n") == want {
			return
		}
	}
}

// rest reads up to the end.
func (l *listening) rest() (string, error) {
	body, err := io.ReadAll(l.lines)
	return string(body), err
}

// A stream goes on far beyond the write timeout of the server, and ends as a whole answer.
func TestStreamOutlivesTheWriteTimeout(t *testing.T) {
	t.Parallel()
	f := newFeed()
	r := (&rig{routes: f.routes, writeTimeout: 100 * time.Millisecond, streams: sse.Options{Heartbeat: 20 * time.Millisecond}}).open(t)
	l := r.listen(t, "a")
	for range 50 { // a second
		l.until(":")
		l.until("")
	}
	f.events <- sse.Event{ID: "7", Name: "tick\nid: forged", Data: []byte("one\r\ntwo\rthree\nfour")}
	l.until("id: 7")
	for _, line := range []string{"event: tick id: forged", "data: one", "data: two", "data: three", "data: four", ""} {
		if got, err := l.lines.ReadString('\n'); err != nil || got != line+"\n" {
			t.Fatalf("%q, %v, want %q", got, err, line)
		}
	}
	close(f.events)
	if _, err := l.rest(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	<-f.ended
}

// A client that left is noticed by the heartbeat, and its place is free.
func TestStreamClientLeft(t *testing.T) {
	t.Parallel()
	f := newFeed()
	r := (&rig{routes: f.routes, streams: sse.Options{Heartbeat: 10 * time.Millisecond}}).open(t)
	l := r.listen(t, "a")
	if err := l.res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	<-f.ended
	r.until(t, "its place is free", func() bool { return r.app.streams.Open() == 0 })
}

// A stream ends after its lifetime.
func TestStreamLifetime(t *testing.T) {
	t.Parallel()
	f := newFeed()
	r := (&rig{routes: f.routes, streams: sse.Options{Lifetime: 50 * time.Millisecond}}).open(t)
	if _, err := r.listen(t, "a").rest(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	<-f.ended
}

// Streams are bounded by owner and in all, and what cannot be opened takes no place.
func TestStreamBounds(t *testing.T) {
	t.Parallel()
	f := newFeed()
	r := (&rig{routes: f.routes, streams: sse.Options{Heartbeat: 10 * time.Millisecond, Max: 3, MaxPerOwner: 2}}).open(t)
	f.fail = errors.New("cannot look")
	for range 4 {
		if l := r.listen(t, "a"); l.res.StatusCode != http.StatusInternalServerError || l.res.Header.Get("Content-Type") == "text/event-stream" {
			t.Errorf("%d %v", l.res.StatusCode, l.res.Header)
		}
	}
	f.fail = nil
	if got := r.ask(t, ask{method: http.MethodHead, path: "/test/stream"}); got.status != http.StatusOK || got.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%+v", got)
	}
	opened := func(owner string, want int) *listening {
		t.Helper()
		l := r.listen(t, owner)
		if l.res.StatusCode != want {
			t.Errorf("stream of %s: %d, want %d", owner, l.res.StatusCode, want)
		}
		if want != http.StatusOK && l.res.Header.Get("Retry-After") == "" {
			t.Errorf("stream of %s: %v", owner, l.res.Header)
		}
		return l
	}
	first := opened("a", http.StatusOK)
	second := opened("a", http.StatusOK)
	opened("a", http.StatusOK) // in place of the first
	<-f.ended
	if _, err := io.Copy(io.Discard, first.lines); err != nil { // its client sees the end
		t.Error(err)
	}
	if n := r.app.streams.Open(); n != 2 {
		t.Errorf("%d streams are open", n)
	}
	opened("b", http.StatusOK)
	opened("b", http.StatusServiceUnavailable)
	if err := second.res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	<-f.ended
	r.until(t, "a place is free", func() bool { return r.app.streams.Open() == 2 })
	opened("a", http.StatusOK)
}

// A flood of connections takes no stream's place.
func TestStreamIsNotEvicted(t *testing.T) {
	t.Parallel()
	f := newFeed()
	r := (&rig{routes: f.routes, bounds: Bounds{Connections: 8}, streams: sse.Options{Heartbeat: 10 * time.Millisecond}}).open(t)
	l := r.listen(t, "a")
	for range 30 {
		conn, err := r.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	r.until(t, "connections gave way", func() bool { return len(r.app.tcp.connections.Problems()) > 0 })
	f.events <- sse.Event{Data: []byte("still here")}
	l.until("data: still here")
}

// A stop ends all streams at once, also that of a client which reads nothing, while ordinary requests are still answered.
func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	f := newFeed()
	r := (&rig{routes: f.routes}).open(t)
	var all []*listening
	for i := range 40 {
		all = append(all, r.listen(t, fmt.Sprint("owner", i/8)))
	}
	stalled := r.stall(t, f)
	slow := make(chan told, 1)
	go func() { slow <- r.ask(t, ask{path: "/test/slow"}) }()
	<-f.asked

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // less than the write timeout
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- r.app.Shutdown(ctx) }()
	for _, l := range all {
		if _, err := l.rest(); err != nil {
			t.Errorf("a stream ended with %v", err)
		}
	}
	for range len(all) + 1 {
		<-f.ended
	}
	select {
	case err := <-down:
		t.Fatalf("it did not wait for the ordinary request: %v", err)
	default:
	}
	close(f.release)
	if got := <-slow; got.status != http.StatusOK || got.body != "done" {
		t.Errorf("the ordinary request: %+v", got)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	_ = stalled.Close()
}

// stall opens a stream whose client reads nothing, and fills it until the server's write blocks.
func (r *rig) stall(t *testing.T, f *feed) net.Conn {
	t.Helper()
	conn, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /test/stream?owner=stalled HTTP/1.1\r\nHost: gateway\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	last, since := int64(0), time.Now()
	r.until(t, "the stream is stalled", func() bool {
		if now := f.flooded.Load(); now == 0 || now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 100*time.Millisecond
	})
	return conn
}

// A server that is stopped before it serves does not serve.
func TestShutdownBeforeServe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.app.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.app.Serve(ln)(); err != nil {
		t.Fatal(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}
