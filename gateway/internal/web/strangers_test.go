package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// talk is a connection that the test writes on by hand.
type talk struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (r *rig) talk(t *testing.T, text string) *talk {
	t.Helper()
	conn, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &talk{t, conn, bufio.NewReader(conn)}
	c.write(text)
	return c
}

func (c *talk) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *talk) answer() told {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	res.Header.Set("Connection", fmt.Sprint(map[bool]string{true: "close"}[res.Close]))
	return told{res.StatusCode, res.Header, string(body)}
}

// until waits for what is to be so soon.
func (r *rig) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

const noRoomSays = `{"status":503,"detail":[{"msg":"there is no room for more requests now","type":"unavailable"}],"request_id":"REQ"}`

// isNoRoom says that an answer is the one for want of room.
func isNoRoom(got told) bool {
	return got.status == 503 && plain(got.body) == noRoomSays && got.header.Get("Retry-After") != "" &&
		got.header.Get("Connection") == "close" && got.header.Get("Content-Type") == "application/json"
}

// More connections than there is room for: the one that has been without a complete request the longest hears why, and a
// fresh client is served.
func TestNoRoomForConnections(t *testing.T) {
	t.Parallel()
	r := (&rig{bounds: Bounds{Connections: 8}}).open(t)
	var slow []*talk
	for range 7 {
		held := r.app.tcp.connections.BodyBytes()
		slow = append(slow, r.talk(t, "POST /in/pollqr HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"+repeat(" ", firstRoom)))
		r.until(t, "its body is read before the next one's", func() bool { return r.app.tcp.connections.BodyBytes() > held })
	}
	for range 3 {
		if got := r.talk(t, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").answer(); got.status != 200 {
			t.Errorf("a fresh client: %d %s", got.status, got.body)
		}
	}
	if got := slow[0].answer(); !isNoRoom(got) {
		t.Errorf("the first slow one: %d %v %s", got.status, got.header, got.body)
	}
	if got := r.ask(t, ask{path: "/readyz"}); got.status != 200 || !strings.Contains(got.body, "there was no room for all connections") {
		t.Errorf("readyz: %d %s", got.status, got.body)
	}
	// The control socket has room of its own.
	if got := r.ask(t, ask{path: "/v1/events", socket: true}); got.status != 200 {
		t.Errorf("control socket: %d %s", got.status, got.body)
	}
}

// All bodies together have a bound, which small ones do not need: beyond it those give way that began earlier, and where
// none can, it is the new one that is asked to come back.
func TestNoRoomForBodies(t *testing.T) {
	t.Parallel()
	r := (&rig{bounds: Bounds{Bodies: 1 << 20}}).open(t)
	head := func(length int) string {
		return fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", publishToken, length)
	}
	event := func(pad int) string {
		return `{"type":"response.completed","feedback":"` + repeat("x", pad) + `"}`
	}
	held := r.talk(t, head(900<<10)+repeat(" ", 800<<10))
	r.until(t, "it is read", func() bool { return r.app.tcp.connections.BodyBytes() >= 800<<10 })
	body := event(600 << 10)
	late := r.talk(t, head(len(body))+body[:300<<10])
	if got := held.answer(); !isNoRoom(got) {
		t.Errorf("the earlier body: %d %s", got.status, got.body)
	}
	late.write(body[300<<10:])
	if got := late.answer(); got.status != 200 {
		t.Errorf("the later body: %d %s", got.status, got.body)
	}
	// One alone that is larger than all may be has nobody to give way to it.
	if got := r.talk(t, head(3<<20)+repeat(" ", 3<<20)).answer(); !isNoRoom(got) {
		t.Errorf("a body larger than the bound: %d %s", got.status, got.body)
	}
	small := event(1 << 10)
	if got := r.talk(t, head(len(small))+small).answer(); got.status != 200 {
		t.Errorf("a small one: %d %s", got.status, got.body)
	}
}

// Nothing is read where there is no use for a body: the answer comes without it, and the connection ends.
func TestUnwantedBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		request string
		want    int
	}{
		{"POST /nowhere HTTP/1.1", 404},
		{"POST /in/nobody HTTP/1.1", 404},
		{"POST /in/off HTTP/1.1", 503},
		{"GET /in/pollqr HTTP/1.1", 200},
		{"PUT /in/pollqr HTTP/1.1", 405},
		{"GET /healthz HTTP/1.1", 200},
		{"GET /metrics HTTP/1.1", 200},
		{"POST /v1/events HTTP/1.1", 401},
		{"BREW /v1/events HTTP/1.1", 405},
		{"GET /v1/events HTTP/1.1\r\nAuthorization: Bearer " + readToken, 200},
		{"POST http://elsewhere/nowhere HTTP/1.1", 404},
	} {
		for _, body := range []string{"Content-Length: 2000000\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\nContent-Length: 2000000\r\n"} {
			got := r.talk(t, c.request+"\r\nHost: x\r\n"+body+"\r\n").answer()
			if got.status != c.want || got.header.Get("Connection") != "close" {
				t.Errorf("%s, %s: %d %v %s", c.request, body, got.status, got.header, got.body)
			}
		}
	}
}

// What is wanted is read however it comes, and the connection is kept.
func TestWantedBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := pollqr("r1", 3)
	large := strings.Replace(pollqr("r2", 3), "slow", repeat("slow", 50_000), 1)
	headers := func(path, body string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-PollQR-Signature: " + sign(pollqrSecret, body) + "\r\n"
	}
	chunks := func(body string) string {
		var all strings.Builder
		for len(body) > 0 {
			n := min(len(body), 1000)
			fmt.Fprintf(&all, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		return all.String() + "0\r\n\r\n"
	}
	c := r.talk(t, "")
	for name, body := range map[string]string{"small": body, "large": large} {
		c.write(headers("/in/pollqr", body) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
		if got := c.answer(); got.status != 200 {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		c.write(headers("/in/pollqr/?x=1", body) + "Transfer-Encoding: chunked\r\n\r\n" + chunks(body))
		if got := c.answer(); got.status != 200 || !strings.Contains(got.body, "duplicate") {
			t.Fatalf("%s in chunks: %d %s", name, got.status, got.body)
		}
		c.write(headers("http://x/in/pollqr", body) + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body)))
		if got, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(got, "HTTP/1.1 100 ") {
			t.Fatalf("%s: asked first, it hears %q, %v", name, got, err)
		}
		_, _ = c.in.ReadString('\n')
		c.write(body)
		if got := c.answer(); got.status != 200 || !strings.Contains(got.body, "duplicate") {
			t.Fatalf("%s, asked first: %d %s", name, got.status, got.body)
		}
	}
	// Two at once, and a small body that the API has no use for.
	one := headers("/in/pollqr", body) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	c.write(one + one + "POST /v1/destinations/alarms/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + everyToken + "\r\nContent-Length: 2\r\n\r\n{}")
	for i := range 3 {
		if got := c.answer(); got.status != 200 || got.header.Get("Connection") == "close" {
			t.Fatalf("request %d at once: %d %s", i, got.status, got.body)
		}
	}
}

// Events keep the body that came: what comes next must not be written over it.
func TestBodiesAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.talk(t, "")
	bodies := map[string]string{}
	for i := range 8 {
		body := strings.Replace(pollqr(fmt.Sprintf("kept-%d", i), i), "slow", repeat(fmt.Sprint(i), 1000*i+1), 1)
		c.write(fmt.Sprintf("POST /in/pollqr HTTP/1.1\r\nHost: x\r\nX-PollQR-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", sign(pollqrSecret, body), len(body), body))
		got := c.answer()
		if got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		bodies[ids.FindString(got.body)] = body
	}
	for id, body := range bodies {
		record, err := r.store.Event(context.Background(), "default", id)
		if err != nil || string(record.Event.Raw.Body) != body {
			t.Errorf("%s is kept as %.80s, %v", id, record.Event.Raw.Body, err)
		}
	}
}

// A client that sends all of a body that is too large, before it reads, hears so; and it is kept that it was refused.
func TestTooLargeArrives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, head := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n", 8<<20),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", 8<<20),
	} {
		got := r.talk(t, "POST /in/pollqr HTTP/1.1\r\nHost: x\r\n"+head+repeat("x", 8<<20)).answer()
		if got.status != 413 || !strings.Contains(got.body, "the body is too large") {
			t.Errorf("%s: %d %s", head, got.status, got.body)
		}
	}
	kept, err := intake.RejectedOf(context.Background(), r.store, "default", "pollqr")
	if err != nil || len(kept) != 2 || kept[0].Reason != "too large" || kept[1].Size != 8<<20 {
		t.Errorf("kept: %+v, %v", kept, err)
	}
	for _, h := range kept[0].Headers {
		if h[0] == "Expect" {
			t.Error("the kept request has a header that the client did not send")
		}
	}
}
