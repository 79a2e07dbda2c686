package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// std uses net/http: HTTP/2 if the peer speaks it, and egress proxies.
type std struct {
	all      *connections
	policy   Policy
	resolver *net.Resolver
	// clients are by trust and by plain http, since a connection is checked only when it is made.
	clients [2][2]*http.Transport
}

func newStd(p Policy, r *net.Resolver, t *tls.Config, all *connections) *std {
	s := &std{all: all, policy: p, resolver: r}
	for _, trusted := range []bool{false, true} {
		for _, plain := range []bool{false, true} {
			s.clients[index(trusted)][index(plain)] = s.client(trusted, plain, t)
		}
	}
	return s
}

func (s *std) client(trusted, plain bool, t *tls.Config) *http.Transport {
	return newClient(&guard{policy: s.policy, trusted: trusted, plain: plain}, s.resolver, t.Clone(), s.all)
}

// clientFor returns the client of a request.
func (s *std) clientFor(w *wire) *http.Transport {
	if w.identity == nil {
		return s.clients[index(w.key.trusted)][index(!w.tls)]
	}
	return w.identity.client(w.key.trusted, !w.tls, func(t *tls.Config) *http.Transport { return s.client(w.key.trusted, !w.tls, t) })
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// forDestination is the context key of the destination that a connection is made for.
type forDestination struct{}

// forTrace is the context key of the trace of the request that a connection is made for.
type forTrace struct{}

// countedDial returns a dial function whose connections count in the bound of all.
func countedDial(d *net.Dialer, all *connections) dialContext {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		destination, _ := ctx.Value(forDestination{}).(string)
		deadline, ok := ctx.Deadline()
		if !ok { // net/http dials without its caller's deadline
			deadline = wall.Now().Add(DefaultTimeout)
		}
		return all.dial(ctx, destination, deadline, func() (net.Conn, error) { return d.DialContext(ctx, network, address) })
	}
}

// An HTTP/2 connection outlives a request that times out on it, and carries the next ones. One whose peer has vanished would
// fail them all until the system gives it up, which takes a quarter of an hour; so a silent one is asked for a sign of life.
const (
	pingAfter   = 5 * time.Second
	pingTimeout = 5 * time.Second
)

func newClient(g *guard, r *net.Resolver, t *tls.Config, all *connections) *http.Transport {
	dial := countedDial(&net.Dialer{Timeout: ConnectTimeout, Resolver: r, Control: g.control}, all)
	c := &http.Transport{
		DialContext:            dial.plain,
		DialTLSContext:         dial.secure(t),
		TLSClientConfig:        t,
		TLSHandshakeTimeout:    ConnectTimeout,
		DisableCompression:     true, // a few bytes must not become many
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        IdleTimeout,
		MaxResponseHeaderBytes: HeaderCap,
		ReadBufferSize:         4 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	if g.policy.Proxy.IsZero() {
		return c
	}
	// The proxy is the operator's, at whatever address; it guards what lies behind it.
	proxy, err := g.policy.proxy()
	c.Proxy = func(*http.Request) (*url.URL, error) { return proxy, err }
	c.DialContext, c.DialTLSContext = countedDial(&net.Dialer{Timeout: ConnectTimeout, Resolver: r}, all).plain, nil
	return c
}

func (s *std) close() {
	for _, byPlain := range s.clients {
		for _, c := range byPlain {
			c.CloseIdleConnections()
		}
	}
}

// trace records the progress of one request, which net/http does not report.
type trace struct {
	connected atomic.Bool
	secured   atomic.Bool
	began     atomic.Bool
	reached   atomic.Bool
	conn      atomic.Pointer[watched] // nil: HTTP/2, or TLS through a proxy
	auth      atomic.Uint32           // clientAuth of the connection that was made for it
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		ConnectDone:       func(_, _ string, err error) { t.connected.Store(err == nil) },
		TLSHandshakeStart: func() { t.began.Store(true) },
		TLSHandshakeDone:  func(_ tls.ConnectionState, err error) { t.secured.Store(err == nil) },
		GotConn: func(info httptrace.GotConnInfo) {
			t.connected.Store(true)
			t.secured.Store(true)
			if c, ok := info.Conn.(*watched); ok {
				c.begin()
				t.conn.Store(c)
			}
		},
		WroteHeaders: func() { t.reached.Store(true) },
	}
}

func (s *std) send(ctx context.Context, w *wire, deadline time.Time) (answer, error) {
	var got answer
	var t trace
	ctx, cancel := context.WithDeadline(context.WithValue(context.WithValue(ctx, forDestination{}, w.key.destination), forTrace{}, &t), deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, t.hooks()), w.method, "http://x", bytes.NewReader(w.body))
	if err != nil {
		return got, invalid("the request cannot be made")
	}
	req.URL, req.Host = w.url, w.url.Host
	for _, f := range w.fields {
		name := f.Name
		if strings.EqualFold(name, "User-Agent") {
			name = "User-Agent" // else net/http adds its own
		}
		req.Header[name] = append(req.Header[name], f.Value)
	}
	if _, ok := req.Header["Idempotency-Key"]; !ok {
		// Without a value it is not sent: it only tells net/http that it may repeat the request on a new connection
		// if a reused one had been closed.
		req.Header["Idempotency-Key"] = []string{}
	}
	res, err := s.clientFor(w).RoundTrip(req)
	got.reached = t.reached.Load()
	conn := t.conn.Load()
	if err != nil {
		if conn != nil && got.reached {
			head := conn.head()
			salvage(head, &got)
			if headEnd(head) == 0 && len(head) > 0 && len(head) < HeaderCap && !isTimeout(err) && ctx.Err() == nil {
				err = io.ErrUnexpectedEOF // net/http reports half a line as malformed
			}
		}
		if conn == nil && t.secured.Load() && !isTimeout(err) {
			err = errors.Join(io.EOF, err) // HTTP/2 has many errors for a connection that ended
		}
		err = withClientAuth(clientAuth(t.auth.Load()), err)
		return got, &phaseError{t.phase(w, err), err}
	}
	defer func() { _ = res.Body.Close() }()
	got.reached = true
	got.response.Status, got.response.Header = res.StatusCode, res.Header
	if conn != nil {
		got.response.Fault = conn.fault()
	}
	if err := got.read(res, w.keep); err != nil {
		return got, &phaseError{phaseExchange, err}
	}
	if s.all.wanted() {
		s.close() // idle connections
		if w.identity != nil {
			w.identity.close()
		}
	}
	return got, nil
}

// phase returns the phase in which a request failed.
func (t *trace) phase(w *wire, err error) phase {
	var certificate *tls.CertificateVerificationError
	var name x509.HostnameError
	switch {
	case t.reached.Load():
		return phaseExchange
	case errors.As(err, &certificate), errors.As(err, &name):
		return phaseTLS
	case !t.connected.Load():
		return phaseConnect
	case w.tls && !t.secured.Load():
		return phaseTLS
	}
	return phaseExchange
}

// read keeps so many bytes and reads a little further, so that the connection can be reused.
func (got *answer) read(res *http.Response, keep int) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return errProtocol("the peer switched to another protocol")
	}
	var b bytes.Buffer
	if res.ContentLength > 0 {
		b.Grow(int(min(res.ContentLength, int64(keep))) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(res.Body, int64(keep)+1))
	got.received = int(n)
	if b.Len() > 0 {
		got.response.Body = b.Bytes()[:min(b.Len(), keep)]
	}
	if err != nil {
		return err
	}
	if int(n) > keep {
		got.response.Truncated = true
		if res.ContentLength >= 0 && res.ContentLength-n <= drainBelow {
			rest, _ := io.Copy(io.Discard, res.Body)
			got.received += int(rest)
		}
	}
	return nil
}
