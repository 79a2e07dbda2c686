package outbound_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// loopback lets trusted destinations reach the tests' own receivers.
var loopback = outbound.Policy{AllowAddresses: []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
}}

// both runs a test over both transports.
func both(t *testing.T, test func(t *testing.T, by outbound.Transport)) {
	t.Helper()
	t.Parallel()
	for _, by := range []outbound.Transport{outbound.Fast, outbound.Std} {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			test(t, by)
		})
	}
}

// quietLog is for receivers that refuse connections on purpose.
var quietLog = log.New(io.Discard, "", 0)

func sender(t testing.TB, o outbound.Options) *outbound.Sender {
	t.Helper()
	s := outbound.New(o)
	t.Cleanup(s.Close)
	return s
}

// trusted is an attempt of a destination from the file.
func trusted(by outbound.Transport) outbound.Attempt {
	return outbound.Attempt{DeliveryID: "dl_1", Transport: by, Trusted: true, Timeout: time.Minute}
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// peer is a receiver that answers with bytes of the test's choice.
type peer struct {
	url string

	mu       sync.Mutex
	requests []string
	conns    int
}

// listen starts a peer. Talk gets each connection and its number, from 1; the connection is closed when it returns.
func listen(t testing.TB, talk func(p *peer, c net.Conn, n int)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listenOn(t, l, "http", talk)
}

func listenOn(t testing.TB, l net.Listener, scheme string, talk func(p *peer, c net.Conn, n int)) *peer {
	t.Helper()
	p := &peer{url: scheme + "://" + l.Addr().String()}
	var open sync.WaitGroup
	var all []net.Conn
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns++
			n := p.conns
			all = append(all, c)
			p.mu.Unlock()
			open.Go(func() {
				defer c.Close()
				talk(p, c, n)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range all {
			_ = c.Close()
		}
		p.mu.Unlock()
		open.Wait()
	})
	return p
}

// read reads one request with a body of the announced length, and remembers it; false at the end of the connection.
func (p *peer) read(br *bufio.Reader) bool {
	req, err := http.ReadRequest(br)
	if err != nil {
		return false
	}
	var b strings.Builder
	if err := req.Write(&b); err != nil {
		return false
	}
	p.mu.Lock()
	p.requests = append(p.requests, b.String())
	p.mu.Unlock()
	return true
}

func (p *peer) count() (requests, conns int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests), p.conns
}

// answers makes a peer that answers every request with the same bytes; with one dying after the first.
func answers(t testing.TB, text string, last bool) *peer {
	t.Helper()
	return listen(t, func(p *peer, c net.Conn, _ int) {
		br := bufio.NewReader(c)
		for p.read(br) {
			if _, err := c.Write([]byte(text)); err != nil || last {
				return
			}
		}
	})
}

func post(url string) *connectors.Request { return connectors.Post(url, []byte(`{"a":1}`)) }

// resolver answers every question for a name with the same addresses; a name without addresses does not exist.
func resolver(t testing.TB, names map[string][]netip.Addr) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(dnsReply(b[:n], names), from)
		}
	})
	t.Cleanup(func() { _ = pc.Close(); done.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// dnsReply answers one question (RFC 1035, section 4).
func dnsReply(q []byte, names map[string][]netip.Addr) []byte {
	at := 12
	var labels []string
	for q[at] != 0 {
		labels = append(labels, string(q[at+1:at+1+int(q[at])]))
		at += 1 + int(q[at])
	}
	kind := binary.BigEndian.Uint16(q[at+1:])
	end := at + 5
	addrs := names[strings.Join(labels, ".")]
	out := append([]byte(nil), q[:end]...)
	out[2], out[3] = 0x81, 0x80 // an answer, recursion available
	if len(addrs) == 0 {
		out[3] |= 3 // no such name
	}
	n := 0
	for _, a := range addrs {
		want := uint16(1)
		if a.Is6() {
			want = 28
		}
		if kind != want {
			continue
		}
		n++
		out = append(out, 0xc0, 12, byte(want>>8), byte(want), 0, 1, 0, 0, 0, 60)
		out = binary.BigEndian.AppendUint16(out, uint16(len(a.AsSlice())))
		out = append(out, a.AsSlice()...)
	}
	for i := 6; i < 12; i++ {
		out[i] = 0
	}
	out[7] = byte(n)
	return out
}
