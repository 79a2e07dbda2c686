package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// forwarder passes connections on to a server. Those that are open at vanish stay open, and carry nothing more.
type forwarder struct {
	net.Listener
	to       string
	conns    sync.WaitGroup
	accepted atomic.Int32
	vanished atomic.Int32 // connections up to this number carry nothing
}

func (f *forwarder) run() {
	for {
		from, err := f.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", f.to)
		if err != nil {
			_ = from.Close()
			return
		}
		n := f.accepted.Add(1)
		f.conns.Go(func() { f.pass(n, to, from) })
		f.conns.Go(func() { f.pass(n, from, to) })
	}
}

// pass copies until either side ends; what a vanished connection says is dropped.
func (f *forwarder) pass(n int32, to, from net.Conn) {
	defer func() { _ = to.Close() }()
	b := make([]byte, 4<<10)
	for {
		got, err := from.Read(b)
		if err != nil {
			return
		}
		if n <= f.vanished.Load() {
			continue
		}
		if _, err := to.Write(b[:got]); err != nil {
			return
		}
	}
}

func (f *forwarder) vanish() { f.vanished.Store(f.accepted.Load()) }

// TestVanishedPeer: an HTTP/2 connection whose peer vanished is given up, and the next request has one of its own.
func TestVanishedPeer(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{Listener: l, to: server.Listener.Addr().String()}
	f.conns.Go(f.run)
	t.Cleanup(func() { _ = f.Close(); f.conns.Wait() })

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	policy := Policy{AllowAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	c := newClient(&guard{policy: policy, trusted: true}, nil, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil)
	t.Cleanup(c.CloseIdleConnections)
	if c.HTTP2.SendPingTimeout <= 0 || c.HTTP2.PingTimeout <= 0 {
		t.Fatalf("%+v", c.HTTP2)
	}
	c.HTTP2.SendPingTimeout, c.HTTP2.PingTimeout = 200*time.Millisecond, 2*time.Second

	ask := func() (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+l.Addr().String(), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.RoundTrip(req)
		if err != nil {
			return "", err
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	if proto, err := ask(); err != nil || proto != "HTTP/2.0" {
		t.Fatal(proto, err)
	}
	f.vanish()
	if _, err := ask(); err == nil {
		t.Error("a peer that vanished answered")
	}
	if proto, err := ask(); err != nil || proto != "HTTP/2.0" {
		t.Error(proto, err)
	}
	if n := f.accepted.Load(); n != 2 {
		t.Errorf("%d connections were made, want 2", n)
	}
}
