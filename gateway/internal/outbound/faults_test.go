package outbound_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

const broken = "the answer is not valid HTTP behind its status line"

// TestStatusLineCounts plays receivers whose answer is faulty behind its status line. What they said stands, else they
// would get the same event at every attempt. Their connection carries no second request.
func TestStatusLineCounts(t *testing.T) {
	cases := map[string]struct {
		bytes string
		fault string
		body  string
		ends  bool // the peer closes the connection behind the bytes
	}{
		"two equal lengths":      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "the answer repeats Content-Length", "ok", false},
		"a list of equal ones":   {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "the answer repeats Content-Length", "ok", false},
		"two unequal lengths":    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "the answer has several Content-Length that differ", "", false},
		"no number":              {"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", "the answer's Content-Length is not a number", "", false},
		"length and chunks":      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "the answer has both Content-Length and Transfer-Encoding", "ok", false},
		"chunks and length":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n", "the answer has both Content-Length and Transfer-Encoding", "ok", false},
		"an unknown coding":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\nok", broken, "", false},
		"a large header":         {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", outbound.HeaderCap) + "\r\nContent-Length: 0\r\n\r\n", "the answer's header is larger than 16 KiB", "", false},
		"a header without colon": {"HTTP/1.1 200 OK\r\nX-A: 1\r\noops\r\n\r\n", broken, "", false},
		"a control character":    {"HTTP/1.1 200 OK\r\nX-A: \x01\r\n\r\n", broken, "", false},
		"a bad chunk":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", broken, "", false},
		"a bad second chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n", broken, "ok", false},
		"cut in the header":      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", "the answer broke off", "", true},
		"cut in a header's name": {"HTTP/1.1 200 OK\r\nConte", "the answer broke off", "", true},
		"cut after the head":     {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "the answer broke off", "", true},
		"cut in the body":        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "the answer broke off", "ok", true},
		"cut in a chunk":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", "the answer broke off", "ok", true},
		"behind early hints":     {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "the answer broke off", "ok", true},
		"a refusal, cut":         {"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\nok", "the answer has several Content-Length that differ", "", false},
	}
	both(t, func(t *testing.T, by outbound.Transport) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := answers(t, c.bytes, c.ends)
				s := sender(t, outbound.Options{Policy: loopback})
				for range 2 {
					res := s.Send(context.Background(), post(p.url), trusted(by))
					if res.Kind != outbound.Answered {
						t.Fatalf("%s: %v", res.Kind, res.Err)
					}
					r, status := res.Response, 200
					if strings.Contains(c.bytes, "503") {
						status = 503
						if got := r.Header.Get("Retry-After"); got != "7" {
							t.Errorf("Retry-After %q", got)
						}
					}
					if by == outbound.Std && name == "a list of equal ones" { // which net/http does not read
						c.body = ""
					}
					if r.Status != status || r.Fault != c.fault || string(r.Body) != c.body {
						t.Errorf("%d, fault %q, body %q; want fault %q, body %q", r.Status, r.Fault, r.Body, c.fault, c.body)
					}
					if whole := c.body != "" && !c.ends && !strings.Contains(name, "second"); r.Truncated == whole {
						t.Errorf("truncated %t", r.Truncated)
					}
				}
				if requests, conns := p.count(); requests != 2 || conns != 2 {
					t.Errorf("%d requests on %d connections, want each on its own", requests, conns)
				}
			})
		}
	})
}

// A head that ends its lines otherwise than with CR LF is complete all the same: nobody waits for more of it.
func TestHeadOfOtherLines(t *testing.T) {
	for name, text := range map[string]string{
		"line feeds":          "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"line feeds, last":    "HTTP/1.1 200 OK\r\nContent-Length: 2\n\nok",
		"line feeds, no size": "HTTP/1.1 200 OK\nX-A: 1\n\n",
		"one line feed":       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := answers(t, text, false)
			s := sender(t, outbound.Options{Policy: loopback})
			for range 2 {
				a := trusted(outbound.Fast)
				a.Timeout = 10 * time.Second
				res := s.Send(context.Background(), post(p.url), a)
				if res.Kind != outbound.Answered || res.Response.Status != 200 || strings.Contains(res.Response.Fault, "no complete answer") {
					t.Fatalf("%s %v %+v", res.Kind, res.Err, res.Response)
				}
			}
			if requests, _ := p.count(); requests != 2 {
				t.Errorf("%d requests, want 2", requests)
			}
		})
	}
}

// A receiver that sends a status line and then nothing more has answered when the time is over, or the gateway stops.
func TestStatusLineCountsAfterATimeout(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		for name, text := range map[string]string{
			"in the header": "HTTP/1.1 200 OK\r\nX-A: 1\r\n",
			"in the body":   "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
			"in a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := answers(t, text, false)
				s := sender(t, outbound.Options{Policy: loopback})
				a := trusted(by)
				a.Timeout = 2 * time.Second // enough to come as far as the case says, on a busy machine too
				res := s.Send(context.Background(), post(p.url), a)
				if res.Kind != outbound.Answered || res.Response.Status != 200 || res.Response.Fault != "no complete answer within 2s" || !res.Response.Truncated {
					t.Errorf("%s %v %+v", res.Kind, res.Err, res.Response)
				}
			})
		}
	})
}

// HTTP/2 has frames of its own: a stream that is reset behind its status has answered too.
func TestStatusCountsOnHTTP2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	s := sender(t, outbound.Options{Policy: loopback, RootCAs: rootsOf(server)})
	res := s.Send(context.Background(), post(server.URL), trusted(outbound.Std))
	if res.Kind != outbound.Answered || res.Response.Status != 200 || res.Response.Fault == "" || string(res.Response.Body) != "ok" {
		t.Errorf("%s %v %+v", res.Kind, res.Err, res.Response)
	}
}

// TestNoAnswerForTheNextRequest lets a receiver send a second answer that nobody asked for, while the connection is idle:
// it is not taken for the answer to the next request, whose event the receiver never saw. net/http has a guard of its own.
func TestNoAnswerForTheNextRequest(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		more, sent := make(chan struct{}), make(chan struct{})
		talk := func(p *peer, c net.Conn, n int) {
			br := bufio.NewReader(c)
			for i := 0; p.read(br); i++ {
				if i > 0 || n > 1 {
					_, _ = io.WriteString(c, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
					continue
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				<-more
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				close(sent)
			}
		}
		options, scheme := outbound.Options{Policy: loopback}, "http"
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			ca := newAuthority(t)
			l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{ca.issue("127.0.0.1")}, MinVersion: tls.VersionTLS12})
			options.RootCAs, scheme = ca.pool(), "https"
		}
		p := listenOn(t, l, scheme, talk)
		s := sender(t, options)
		if res := s.Send(context.Background(), post(p.url), trusted(outbound.Fast)); res.Kind != outbound.Answered || res.Response.Status != 200 {
			t.Fatalf("%s %v", res.Kind, res.Err)
		}
		close(more)
		<-sent
		res := s.Send(context.Background(), post(p.url), trusted(outbound.Fast))
		if res.Kind != outbound.Answered || res.Response.Status != 503 {
			t.Errorf("secure %t: the second request has the answer %+v, %v", secure, res.Response, res.Err)
		}
	}
}

func rootsOf(server *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return pool
}
