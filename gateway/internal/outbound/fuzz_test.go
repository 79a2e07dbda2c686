package outbound

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// FuzzAnswer lets a peer answer anything: nothing panics, nothing beyond the limits is kept, both transports end.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 103 x\r\n\r\nHTTP/1.0 429\r\nRetry-After: 5\r\nRetry-After: 6\r\n\r\nwait",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 000\r\n\r\n", "HTTP/1.1 1000 x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 -20\r\n\r\n",
		"HTTP/2.0 204 \r\n\r\n", "\r\n\r\n", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
	} {
		f.Add([]byte(text))
	}
	var answer []byte
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, b, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = b.Write(answer)
		_ = b.Flush()
		_ = c.Close()
	}))
	srv.Start()
	defer srv.Close()
	s := New(Options{Policy: Policy{AllowAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	defer s.Close()
	f.Fuzz(func(t *testing.T, text []byte) {
		answer = text
		for _, by := range []Transport{Fast, Std} {
			req := connectors.Post(srv.URL, []byte("{}")).As(connectors.Bearer(connectors.NewSecret("hush-hush")))
			res := s.Send(t.Context(), req, Attempt{Transport: by, Trusted: true})
			switch {
			case (res.Kind == Answered) != (res.Err == nil), (res.Kind == Answered) != (res.Response != nil):
				t.Fatalf("%s: %+v", by, res)
			case res.Response == nil:
				if !res.Reached || res.Kind == Timeout { // the peer closes, so nobody has to wait
					t.Fatalf("%s: %s: %v", by, res.Kind, res.Err)
				}
			case len(res.Response.Body) > BodyCap+len(connectors.Hidden) || res.Response.Status < 200 || res.Response.Status > 999:
				t.Fatalf("%s: status %d, %d bytes", by, res.Response.Status, len(res.Response.Body))
			default:
				_ = res.Response.Transcript()
				_ = connectors.ByStatus(res.Response)
			}
		}
	})
}
