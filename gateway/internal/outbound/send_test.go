package outbound_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

// TestOnTheWire compares every byte but the order of headers, which net/http chooses itself.
func TestOnTheWire(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		raw := make(chan string, 1)
		p := listen(t, func(_ *peer, c net.Conn, _ int) {
			b := make([]byte, 64<<10)
			n, _ := c.Read(b)
			for !strings.HasSuffix(string(b[:n]), "{\"a\":1}") {
				m, err := c.Read(b[n:])
				if n += m; err != nil {
					break
				}
			}
			raw <- string(b[:n])
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		})
		s := sender(t, outbound.Options{Policy: loopback, Version: "1.2.3"})
		req := post(p.url+"/a/../b//c%2Fd;e?x=%2f&y=a b&z=ü").With("x-lower", " spaced ").As(connectors.Bearer(connectors.NewSecret("tok")))
		res := s.Send(context.Background(), req, trusted(by))
		if res.Kind != outbound.Answered || res.Response.Status != 200 || res.Sent != 7 || !res.Reached {
			t.Fatalf("result %+v, %v", res, res.Err)
		}
		head, body, _ := strings.Cut(<-raw, "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		slices.Sort(lines[1:])
		want := []string{
			"POST /a/../b//c%2Fd;e?x=%2f&y=a%20b&z=%C3%BC HTTP/1.1",
			"Authorization: Bearer tok",
			"Content-Length: 7",
			"Content-Type: application/json",
			"Host: " + strings.TrimPrefix(p.url, "http://"),
			"User-Agent: surveygate/1.2.3",
			"x-lower: spaced",
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("head (-want +got):\n%s", diff)
		}
		if body != `{"a":1}` {
			t.Errorf("body %q", body)
		}
	})
}

// A URL whose holes are filled arrives as it was escaped, and the policy holds for it as for any other.
func TestFilledURL(t *testing.T) {
	ev, err := event.ParseOne([]byte(`{"type":"response.completed","response":{"id":"a/../b?c#d%"},"email":"a+b@example.com"}`),
		event.Defaults{Received: time.Unix(1767225600, 0), Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, by outbound.Transport) {
		p := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		filled := func(text string) connectors.URL {
			u, err := connectors.NewURL(text)
			if err != nil {
				t.Fatal(err)
			}
			if u, err = u.Fill(ev); err != nil {
				t.Fatal(err)
			}
			return u
		}
		s := sender(t, outbound.Options{Policy: loopback})
		req := post("").To(filled(p.url + "/in/{{ lower('A/b?c#d%') }}?e={{ email }}"))
		if res := s.Send(context.Background(), req, trusted(by)); res.Kind != outbound.Answered || res.Response.Status != 200 {
			t.Fatalf("result %+v, %v", res, res.Err)
		}
		if p.mu.Lock(); !strings.HasPrefix(p.requests[0], "POST /in/a%2Fb%3Fc%23d%25?e=a%2Bb%40example.com HTTP/1.1\r\n") {
			t.Errorf("sent %q", p.requests[0])
		}
		p.mu.Unlock()
		refused := sender(t, outbound.Options{})
		if res := refused.Send(context.Background(), req, trusted(by)); res.Kind != outbound.Refused || res.Reached {
			t.Errorf("a private address is reached: %+v, %v", res, res.Err)
		}
	})
}

func TestAuth(t *testing.T) {
	at := time.Unix(1767225600, 0)
	whsec := signature.NewSecret()
	both(t, func(t *testing.T, by outbound.Transport) {
		type seen struct {
			header http.Header
			url    string
			body   string
		}
		got := make(chan seen, 1)
		srv := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got <- seen{r.Header, r.URL.String(), string(b)}
		})
		s := sender(t, outbound.Options{Policy: loopback, Clock: clock.NewManual(at)})
		secret := connectors.NewSecret("s3cret&/")
		for name, c := range map[string]struct {
			auth  connectors.Auth
			check func(seen) string // what stands where the credentials should
			want  string
		}{
			"none":    {nil, func(s seen) string { return s.url + " " + s.body }, `/in?a=1 {"a":1}`},
			"bearer":  {connectors.Bearer(secret), func(s seen) string { return s.header.Get("Authorization") }, "Bearer s3cret&/"},
			"basic":   {connectors.Basic("jo", secret), func(s seen) string { return s.header.Get("Authorization") }, "Basic am86czNjcmV0Ji8="},
			"token":   {connectors.BasicToken(secret), func(s seen) string { return s.header.Get("Authorization") }, "Basic czNjcmV0Ji86"},
			"header":  {connectors.Header("X-Old", secret), func(s seen) string { return strings.Join(s.header["X-Old"], "|") }, "s3cret&/"},
			"scheme":  {connectors.Authorization("Product-Key", secret), func(s seen) string { return strings.Join(s.header["Authorization"], "|") }, "Product-Key s3cret&/"},
			"query":   {connectors.Query("api_secret", secret), func(s seen) string { return s.url }, "/in?a=1&api_secret=s3cret%26%2F"},
			"body":    {connectors.BodyField("api_key", secret), func(s seen) string { return s.body }, `{"a":1,"api_key":"s3cret&/"}`},
			"address": {connectors.Address(connectors.NewSecret(srv.URL + "/services/T0/B0?x=1")), func(s seen) string { return s.url }, "/services/T0/B0?x=1"},
			"signed": {connectors.SignedAuth{Secrets: []connectors.Secret{whsec}}, func(s seen) string {
				if err := signature.Verify(connectors.Signature{}, []connectors.Secret{whsec}, s.header.Get, []byte(s.body), at); err != nil {
					return err.Error()
				}
				return s.header.Get("webhook-id") + " " + s.header.Get("webhook-timestamp")
			}, "dl_1 1767225600"},
			"chattosurvey": {connectors.SignedAuth{Signature: connectors.Signature{Style: "chattosurvey"}, Event: "conversation.started", EventID: "e1"}, func(s seen) string {
				return s.header.Get("User-Agent") + " " + s.header.Get("X-Webhook-Event") + " " + s.header.Get("X-Webhook-ID")
			}, "HS-Webhook/1.0 conversation.started e1"},
		} {
			req := post(srv.URL+"/in?a=1").With("x-old", "replaced by credentials")
			if name == "address" {
				req.URL = ""
			}
			res := s.Send(context.Background(), req.As(c.auth), trusted(by))
			if res.Kind != outbound.Answered {
				t.Errorf("%s: %v", name, res.Err)
				continue
			}
			if got := c.check(<-got); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
			if !res.Response.At.Equal(at) || res.Response.To != req {
				t.Errorf("%s: answered at %v to %p", name, res.Response.At, res.Response.To)
			}
		}
	})
}

func TestTimeouts(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		hang := func(text string) func(*peer, net.Conn, int) {
			return func(p *peer, c net.Conn, _ int) {
				br := bufio.NewReader(c)
				p.read(br)
				_, _ = io.WriteString(c, text)
				_, _ = br.ReadByte() // until the sender gives up
			}
		}
		silent := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		for name, c := range map[string]struct {
			url     string
			reason  string
			reached bool
		}{
			"no answer":   {listen(t, hang("")).url, "no complete answer within 2s", true},
			"half a line": {listen(t, hang("HTTP/1.1 2")).url, "no complete answer within 2s", true},
			"no TLS": {"https" + strings.TrimPrefix(listen(t, func(_ *peer, c net.Conn, _ int) {
				_, _ = io.Copy(io.Discard, c)
			}).url, "http"), "no secure connection within 2s", false},
			"no resolver": {"https://slow.example", "no connection within 2s", false},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := sender(t, outbound.Options{Policy: loopback, Resolver: silent})
				a := trusted(by)
				a.Timeout = 2 * time.Second // enough to come as far as the case says, on a busy machine too
				res := s.Send(context.Background(), post(c.url), a)
				if res.Kind != outbound.Timeout || res.Err.Error() != c.reason || res.Reached != c.reached {
					t.Errorf("%s %v, reached %t", res.Kind, res.Err, res.Reached)
				}
				if res.Took < 2*time.Second || res.Took > 30*time.Second {
					t.Errorf("took %s", res.Took)
				}
			})
		}
	})
}

func TestCancel(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		arrived := make(chan struct{})
		p := listen(t, func(p *peer, c net.Conn, _ int) {
			br := bufio.NewReader(c)
			p.read(br)
			close(arrived)
			_, _ = br.ReadByte()
		})
		s := sender(t, outbound.Options{Policy: loopback})
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-arrived; cancel() }()
		res := s.Send(ctx, post(p.url), trusted(by))
		if res.Kind != outbound.Canceled || !res.Reached || res.Took > 30*time.Second {
			t.Errorf("%s %v, reached %t after %s", res.Kind, res.Err, res.Reached, res.Took)
		}
		kept := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		if res := s.Send(context.Background(), post(kept.url), trusted(by)); res.Kind != outbound.Answered {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
		if res := s.Send(ctx, post(kept.url), trusted(by)); res.Kind != outbound.Canceled || res.Reached {
			t.Errorf("with an ended context: %s %v, reached %t", res.Kind, res.Err, res.Reached)
		}
		over, cancel := context.WithTimeout(context.Background(), -1)
		defer cancel()
		if res := s.Send(over, post(kept.url), trusted(by)); res.Kind != outbound.Timeout || res.Reached {
			t.Errorf("after its time: %s %v, reached %t", res.Kind, res.Err, res.Reached)
		}
		if n, _ := kept.count(); n != 1 {
			t.Errorf("%d requests arrived, want 1", n)
		}
	})
}

func TestNoConnection(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		s := sender(t, outbound.Options{Policy: loopback, Resolver: resolver(t, map[string][]netip.Addr{"none.example": nil})})
		for url, reason := range map[string]string{
			"http://127.0.0.1:1":   "the connection was refused", // a port that no system gives to anybody
			"https://none.example": "the host's name is not known",
		} {
			res := s.Send(context.Background(), post(url), trusted(by))
			if res.Kind != outbound.Connect || res.Err.Error() != reason || res.Reached || res.Sent != 0 {
				t.Errorf("%s: %s %v", url, res.Kind, res.Err)
			}
		}
	})
}

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// local is where the tests' receivers are.
var local = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

func TestTLS(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, r.Proto)
		}))
		srv.EnableHTTP2 = true
		srv.Config.ErrorLog = discard()
		srv.StartTLS()
		t.Cleanup(srv.Close)
		roots := x509.NewCertPool()
		roots.AddCert(srv.Certificate())
		known := sender(t, outbound.Options{Policy: loopback, RootCAs: roots})
		want := map[outbound.Transport]string{outbound.Fast: "HTTP/1.1", outbound.Std: "HTTP/2.0"}[by]
		for range 3 {
			res := known.Send(context.Background(), post(srv.URL), trusted(by))
			if res.Kind != outbound.Answered || string(res.Response.Body) != want {
				t.Fatalf("%s %v", res.Kind, res.Err)
			}
		}
		plain := serve(t, func(http.ResponseWriter, *http.Request) {})
		old := httptest.NewUnstartedServer(nil)
		old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
		old.Config.ErrorLog = discard()
		old.StartTLS()
		t.Cleanup(old.Close)
		for name, c := range map[string]struct {
			s      *outbound.Sender
			url    string
			reason string
		}{
			"unknown authority": {sender(t, outbound.Options{Policy: loopback}), srv.URL, "the certificate is signed by an unknown authority: name it in `outbound.ca` or the destination's `tls: {ca}`"},
			"another name": {
				sender(t, outbound.Options{Policy: loopback, RootCAs: roots, Resolver: resolver(t, map[string][]netip.Addr{"other.test": local})}),
				strings.Replace(srv.URL, "127.0.0.1", "other.test", 1), "the certificate is for another name",
			},
			"no TLS":  {known, "https" + strings.TrimPrefix(plain.URL, "http"), "the peer does not speak TLS"},
			"TLS 1.1": {known, old.URL, "the peer refused the secure connection: protocol version not supported"},
		} {
			res := c.s.Send(context.Background(), post(c.url), trusted(by))
			if res.Kind != outbound.TLS || res.Err.Error() != c.reason || res.Reached {
				t.Errorf("%s: %s %v, reached %t", name, res.Kind, res.Err, res.Reached)
			}
		}
	})
}

// TestMaxConns sends more than may go at once.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	release := make(chan struct{})
	srv := serve(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		now.Add(-1)
	})
	s := sender(t, outbound.Options{Policy: loopback})
	a := trusted(outbound.Fast)
	a.Destination, a.MaxConns = "crm", 2
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if res := s.Send(context.Background(), post(srv.URL), a); res.Kind != outbound.Answered {
				t.Errorf("%s %v", res.Kind, res.Err)
			}
		})
	}
	// Another destination of the same host has connections of its own.
	other := a
	other.Destination = "wh"
	all.Go(func() {
		if res := s.Send(context.Background(), post(srv.URL), other); res.Kind != outbound.Answered {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
	})
	for range 9 {
		release <- struct{}{}
	}
	all.Wait()
	if m := most.Load(); m > 3 {
		t.Errorf("%d requests at once, want at most 3", m)
	}
	go func() { release <- struct{}{} }()
	a.MaxConns = 1
	hold := make(chan outbound.Result, 1)
	busy := listen(t, func(p *peer, c net.Conn, _ int) {
		br := bufio.NewReader(c)
		p.read(br)
		late := a
		late.Timeout = 2 * time.Second
		hold <- s.Send(context.Background(), post(p.url), late)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	if res := s.Send(context.Background(), post(busy.url), a); res.Kind != outbound.Answered {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	if res := <-hold; res.Kind != outbound.Timeout || res.Reached || res.Err.Error() != "no free connection within 2s" {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	if res := s.Send(context.Background(), post(srv.URL), a); res.Kind != outbound.Answered {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
}

// A policy that is set once more keeps the connections; another one is obeyed by the next request, on a new connection.
func TestSetPolicyKeepsConnections(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		var made atomic.Int64
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				made.Add(1)
			}
		}
		srv.Start()
		t.Cleanup(srv.Close)
		policy := func(http bool, addresses ...string) outbound.Policy {
			p := outbound.Policy{AllowHTTP: http}
			for _, a := range addresses {
				p.AllowAddresses = append(p.AllowAddresses, netip.MustParsePrefix(a))
			}
			return p
		}
		s := sender(t, outbound.Options{Policy: policy(true, "127.0.0.0/8")})
		for i, step := range []struct {
			policy outbound.Policy
			kind   outbound.Kind
			made   int64
		}{
			{policy(true, "127.0.0.0/8"), outbound.Answered, 1},
			{policy(true, "127.0.0.0/8"), outbound.Answered, 1},
			{policy(true, "127.0.0.0/8", "10.0.0.0/8"), outbound.Answered, 2},
			{policy(true, "10.0.0.0/8"), outbound.Refused, 2},
			{policy(true, "127.0.0.0/8"), outbound.Answered, 3},
			{policy(false, "127.0.0.0/8"), outbound.Answered, 4},
		} {
			s.SetPolicy(step.policy)
			for range 3 {
				if res := s.Send(context.Background(), post(srv.URL), trusted(by)); res.Kind != step.kind {
					t.Fatalf("step %d: %s %v", i, res.Kind, res.Err)
				}
			}
			if n := made.Load(); n != step.made {
				t.Errorf("step %d: %d connections were made, want %d", i, n, step.made)
			}
		}
	})
}

func TestClosed(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		srv := serve(t, func(http.ResponseWriter, *http.Request) {})
		s := outbound.New(outbound.Options{Policy: loopback})
		if res := s.Send(context.Background(), post(srv.URL), trusted(by)); res.Kind != outbound.Answered {
			t.Fatal(res.Err)
		}
		s.Close()
		s.Close()
		s.SetPolicy(outbound.Policy{})
		var e *outbound.Error
		res := s.Send(context.Background(), post(srv.URL), trusted(by))
		if !errors.As(res.Err, &e) || e.Kind != outbound.Canceled || res.Kind != outbound.Canceled {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
	})
}

// TestInvalid sends what cannot be sent: nothing reaches anybody, and nothing is repeated in the reason.
func TestInvalid(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		s := sender(t, outbound.Options{Policy: loopback})
		url := "https://127.0.0.1:1/hush"
		for name, c := range map[string]struct {
			req    *connectors.Request
			reason string
		}{
			"line break":   {post(url).With("X-Name", "Jo\r\nX-Admin: 1"), "the value of header X-Name has a line break or another control character"},
			"header name":  {post(url).With("X Name", "Jo"), "a header's name is not a valid HTTP token"},
			"host":         {post(url).With("Host", "hush"), "header Host is not one to set"},
			"length":       {post(url).With("content-length", "1"), "header content-length is not one to set"},
			"encoding":     {post(url).With("Transfer-Encoding", "chunked"), "header Transfer-Encoding is not one to set"},
			"method":       {&connectors.Request{Method: "GET /", URL: url}, "the method is not a valid HTTP token"},
			"no method":    {&connectors.Request{URL: url}, "the method is not a valid HTTP token"},
			"URL":          {post("https://%zz/hush"), "the URL cannot be read"},
			"two URLs":     {post(url).As(connectors.Address(connectors.NewSecret(url))), "the request has a URL beside the one that is its secret"},
			"no object":    {connectors.Post(url, []byte("[]")).As(connectors.BodyField("k", connectors.NewSecret("hush"))), "the credentials belong into the body, which is no JSON object"},
			"body":         {connectors.Post(url, make([]byte, 4<<20)), "the request has 4194360 bytes, and the gateway sends 4194304 at most; send less of the event"},
			"headers":      {post(url).With("X-Hush", strings.Repeat("a", 4<<20)), "the request has 4194377 bytes, and the gateway sends 4194304 at most; send less of the event"},
			"event's name": {post(url).As(connectors.SignedAuth{Signature: connectors.Signature{Style: "chattosurvey"}, Event: "a\nb"}), "the value of header X-Webhook-Event has a line break or another control character"},
		} {
			res := s.Send(context.Background(), c.req, trusted(by))
			if res.Kind != outbound.Invalid || res.Err.Error() != c.reason || res.Reached || res.Response != nil {
				t.Errorf("%s: %s %v", name, res.Kind, res.Err)
			}
			if strings.Contains(res.Err.Error(), "hush") {
				t.Errorf("%s: the reason tells too much: %v", name, res.Err)
			}
		}
	})
}
