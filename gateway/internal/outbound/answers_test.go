package outbound_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// TestAnswers plays odd peers. Reason is that of the error, where there is one.
func TestAnswers(t *testing.T) {
	big := strings.Repeat("x", outbound.BodyCap)
	cases := map[string]struct {
		bytes     string
		kind      outbound.Kind
		reason    string
		status    int
		body      string
		truncated bool
		requests  int // of two sends; 0 is not looked at
	}{
		"empty":           {"HTTP/1.1 204 No Content\r\n\r\n", "answered", "", 204, "", false, 2},
		"length":          {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "answered", "", 200, "ok", false, 2},
		"chunked":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\nX-T: 1\r\n\r\n", "answered", "", 200, "ok!", false, 2},
		"no reason":       {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "answered", "", 200, "", false, 2},
		"odd status":      {"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", "answered", "", 599, "", false, 2},
		"many interims":   {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 60) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "answered", "", 200, "ok", false, 2},
		"early hints":     {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "answered", "", 200, "ok", false, 2},
		"redirect":        {"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", "answered", "", 302, "", false, 2},
		"compressed":      {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nzz", "answered", "", 200, "zz", false, 2},
		"at the cap":      {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(big), big), "answered", "", 200, big, false, 2},
		"beyond the cap":  {fmt.Sprintf("HTTP/1.1 500 Oh\r\nContent-Length: %d\r\n\r\n%sy", len(big)+1, big), "answered", "", 500, big, true, 2},
		"chunked, beyond": {fmt.Sprintf("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", len(big), big, len(big), big), "answered", "", 500, big, true, 2},
		"chunked, at cap": {fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(big), big), "answered", "", 200, big, false, 2},
		"no status line":  {strings.Repeat("y", outbound.HeaderCap+1), "protocol", "the answer's header is larger than 16 KiB", 0, "", false, 2},
		"not HTTP":        {"SSH-2.0-OpenSSH_9.6\r\n\r\n", "protocol", "the answer is not HTTP", 0, "", false, 0},
		"upgrade":         {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "protocol", "the peer switched to another protocol", 0, "", false, 2},
	}
	both(t, func(t *testing.T, by outbound.Transport) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := answers(t, c.bytes, false)
				s := sender(t, outbound.Options{Policy: loopback})
				for range 2 { // what is left of one answer must not disturb the next
					res := s.Send(context.Background(), post(p.url), trusted(by))
					if res.Kind != c.kind {
						t.Fatalf("%s: %v", res.Kind, res.Err)
					}
					if res.Err != nil {
						if res.Err.Error() != c.reason || res.Response != nil {
							t.Errorf("reason %q, want %q", res.Err, c.reason)
						}
						if !res.Reached || res.Sent != 7 {
							t.Errorf("sent %d, reached %t", res.Sent, res.Reached)
						}
						continue
					}
					r := res.Response
					if r.Status != c.status || string(r.Body) != c.body || r.Truncated != c.truncated {
						t.Errorf("%d, %d bytes, truncated %t", r.Status, len(r.Body), r.Truncated)
					}
				}
				if n, _ := p.count(); c.requests > 0 && n != c.requests {
					t.Errorf("the peer saw %d requests, want %d", n, c.requests)
				}
			})
		}
	})
}

// TestAnswersThatEnd plays peers that close the connection.
func TestAnswersThatEnd(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		for name, c := range map[string]struct {
			bytes  string
			kind   outbound.Kind
			reason string
			body   string
		}{
			"without an answer":  {"", "protocol", "the connection was closed without an answer", ""},
			"until the end":      {"HTTP/1.1 200 OK\r\n\r\nok", "answered", "", "ok"},
			"old":                {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "answered", "", "ok"},
			"in the status line": {"HTTP/1.1 200 O", "protocol", "the answer broke off", ""},
			"after a 103":        {"HTTP/1.1 103 Early Hints\r\n\r\n", "protocol", "the answer broke off", ""},
			"after the word bye": {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "answered", "", "ok"},
		} {
			p := answers(t, c.bytes, true)
			s := sender(t, outbound.Options{Policy: loopback})
			res := s.Send(context.Background(), post(p.url), trusted(by))
			reason := ""
			if res.Err != nil {
				reason = res.Err.Error()
			}
			if res.Kind != c.kind || reason != c.reason || !res.Reached {
				t.Errorf("%s: %s %q, want %s %q", name, res.Kind, reason, c.kind, c.reason)
			}
			if res.Response != nil && string(res.Response.Body) != c.body {
				t.Errorf("%s: body %q", name, res.Response.Body)
			}
			// A fresh connection that gives no answer is not tried again: the peer may have acted on the request.
			if requests, conns := p.count(); requests != 1 || conns != 1 {
				t.Errorf("%s: %d requests on %d connections", name, requests, conns)
			}
		}
	})
}

// TestStaleConnection lets a peer close a kept connection without a word, once before the next request and once
// after it was read.
func TestStaleConnection(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		for _, reads := range []bool{false, true} {
			closed := make(chan struct{}, 8)
			p := listen(t, func(p *peer, c net.Conn, n int) {
				br := bufio.NewReader(c)
				for i := 0; p.read(br); i++ {
					if reads && n == 1 && i == 1 {
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					if !reads && n == 1 {
						_ = c.Close()
						closed <- struct{}{}
						return
					}
				}
			})
			s := sender(t, outbound.Options{Policy: loopback})
			for i := range 3 {
				res := s.Send(context.Background(), post(p.url), trusted(by))
				if res.Kind != outbound.Answered || string(res.Response.Body) != "ok" {
					t.Fatalf("send %d: %s %v", i, res.Kind, res.Err)
				}
				if i == 0 && !reads {
					<-closed
				}
			}
			if _, conns := p.count(); conns != 2 {
				t.Errorf("%d connections, want 2", conns)
			}
		}
	})
}

// An attempt may ask for more of an answer than deliveries do.
func TestKeep(t *testing.T) {
	body := strings.Repeat("x", outbound.BodyCap+10)
	both(t, func(t *testing.T, by outbound.Transport) {
		for _, chunked := range []bool{true, false} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if !chunked {
					w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				}
				_, _ = io.WriteString(w, body)
			}))
			t.Cleanup(server.Close)
			s := sender(t, outbound.Options{Policy: loopback})
			for keep, want := range map[int]int{0: outbound.BodyCap, 10: 10, outbound.BodyCap + 10: len(body), 1 << 20: len(body)} {
				res := s.Send(t.Context(), connectors.Get(server.URL), outbound.Attempt{Trusted: true, Transport: by, Keep: keep})
				if res.Err != nil || len(res.Response.Body) != want || res.Response.Truncated != (want < len(body)) {
					t.Errorf("chunked %t, keep %d: %v, want %d bytes", chunked, keep, res.Err, want)
				}
			}
		}
	})
}
