package redis

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// Redis asks for a certificate of ours and shows one of its own: the store works over TLS, and refuses a server that
// nobody vouches for.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := redistest.Certificate(t)
	port := redistest.Port(t)
	start(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	address := fmt.Sprintf("rediss://127.0.0.1:%d/0", port)
	s := gate(t, address+"?"+url.Values{"ca": {cert}, "cert": {cert}, "key": {key}}.Encode())
	accept(t, s, "a")
	commit(t, s, decided(hold(t, s, 1)[0]))
	if h := s.Health(t.Context()); h.Err != nil || h.Events != 1 {
		t.Errorf("%d events, %v", h.Events, h.Err)
	}
	if _, err := Open(Options{URL: address}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}
