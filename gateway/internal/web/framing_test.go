package web

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// A body that is too large is read before it is refused: a client that sends all of it before it reads hears why, and no
// client sees its connection closed while it still sends.
func TestTooLargeIsReadFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const size = intake.MaxRead + 1<<20
	for _, head := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n", size),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size),
	} {
		c := r.talk(t, "")
		var sent atomic.Bool
		early := make(chan bool, 1)
		go func() {
			_, _ = c.in.Peek(1)
			early <- !sent.Load()
		}()
		c.write("POST /in/pollqr HTTP/1.1\r\nHost: x\r\n" + head)
		part := repeat("x", size/64)
		for range 64 {
			c.write(part)
		}
		end := repeat("x", size-64*len(part))
		if strings.HasPrefix(head, "Transfer") {
			end += "\r\n0\r\n\r\n"
		}
		sent.Store(true)
		c.write(end)
		if <-early {
			t.Errorf("%.20s: answered before the body was sent", head)
		}
		if got := c.answer(); got.status != 413 || got.header.Get("Connection") != "close" {
			t.Errorf("%.20s: %d %s", head, got.status, got.body)
		}
	}
}

// limited is a stream that counts what is read of it.
type limited struct{ read int }

func (l *limited) Read(b []byte) (int, error) { l.read += len(b); return len(b), nil }

// What is read of a refused body is bounded in bytes, in time as a whole, and by the pauses of its client.
func TestDiscardIsBounded(t *testing.T) {
	t.Parallel()
	conn, endless := &deadlines{}, &limited{}
	p := progress{conn: conn}
	began := wall.Now()
	p.discard(endless)
	if endless.read < discardMost || endless.read > discardMost+1<<20 {
		t.Errorf("%d bytes are read of an endless body, want %d", endless.read, discardMost)
	}
	for _, at := range conn.set {
		if at.Before(began.Add(discardPause)) || at.After(wall.Now().Add(discardPause)) {
			t.Fatalf("a pause may last until %s, begun at %s", at, began)
		}
	}
	over := began.Add(-time.Second)
	p, conn.set = progress{conn: conn, end: over}, nil
	if p.discard(&limited{}); !conn.set[0].Equal(over) {
		t.Error("a body goes on beyond its time")
	}
}

// A request that frames its body in two ways is answered, and nothing behind it on its connection is: who stands between may
// have read another end of it.
func TestAmbiguousFramingCloses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := pollqr("r1", 3)
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	head := func(version string) string {
		return "POST /in/pollqr HTTP/" + version + "\r\nHost: x\r\nX-PollQR-Signature: " + sign(pollqrSecret, body) + "\r\n"
	}
	for name, request := range map[string]string{
		"length and chunks":  head("1.1") + "Content-Length: 4\r\ntransfer-ENCODING: chunked\r\n\r\n" + chunked,
		"chunks and length":  head("1.1") + "Transfer-Encoding: chunked\r\nCONTENT-length: 4\r\n\r\n" + chunked,
		"chunks in old":      head("1.0") + "Connection: keep-alive\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"where none is read": "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		c := r.talk(t, request+"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := c.answer(); got.header.Get("Connection") != "close" {
			t.Errorf("%s: %d %s: the connection is kept", name, got.status, got.body)
		}
		if rest, _ := io.ReadAll(c.in); len(rest) > 0 {
			t.Errorf("%s: what stands behind the request is answered: %s", name, rest)
		}
	}
	if got := r.talk(t, head("1.1")+"Transfer-Encoding: chunked\r\n\r\n"+chunked).answer(); got.header.Get("Connection") == "close" {
		t.Errorf("chunks alone close the connection: %d", got.status)
	}
}
