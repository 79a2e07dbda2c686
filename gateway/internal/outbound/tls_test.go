package outbound_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// pems are a certificate and its key as files have them.
func pems(t testing.TB, c tls.Certificate) (cert, key []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// mutual is a receiver that wants a certificate of the authority, and answers with the name in it and the connection's.
func mutual(t testing.TB, ca *authority, version uint16, http2 bool, want tls.ClientAuthType) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		_, _ = fmt.Fprintf(w, "%s %s", name, r.RemoteAddr)
	}))
	s.EnableHTTP2 = http2
	s.Config.ErrorLog = quietLog
	s.TLS = &tls.Config{
		MinVersion: version, MaxVersion: version, Certificates: []tls.Certificate{ca.issue("127.0.0.1")},
		ClientCAs: ca.pool(), ClientAuth: want,
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func clientTLS(t testing.TB, ca *authority, name string) *outbound.ClientTLS {
	t.Helper()
	cert, key := pems(t, ca.issue(name))
	own, err := outbound.NewClientTLS([]byte(ca.pem()), cert, key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// A receiver that wants a client certificate gets the destination's; without one the reason says what it wants.
func TestClientCertificates(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, http2 := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, HTTP/2 %t", tls.VersionName(version), http2), func(t *testing.T) {
					t.Parallel()
					ca := newAuthority(t)
					s := sender(t, outbound.Options{Policy: loopback})
					server := mutual(t, ca, version, http2, tls.RequireAndVerifyClientCert)
					a := trusted(by)
					a.Destination, a.TLS = "a", clientTLS(t, ca, "client a")
					if res := s.Send(context.Background(), post(server.URL), a); res.Kind != outbound.Answered || !strings.HasPrefix(string(res.Response.Body), "client a ") {
						t.Errorf("with a certificate: %s %v", res.Kind, res.Err)
					}
					onlyCA, err := outbound.NewClientTLS([]byte(ca.pem()), nil, nil, time.Now())
					if err != nil {
						t.Fatal(err)
					}
					a.Destination, a.TLS = "b", onlyCA
					res := s.Send(context.Background(), post(server.URL), a)
					if res.Kind != outbound.TLS || !strings.Contains(res.Err.Error(), "client certificate") || !strings.Contains(res.Err.Error(), "`tls: {cert, key}`") {
						t.Errorf("without one: %s %v", res.Kind, res.Err)
					}
					a.Destination, a.TLS = "c", clientTLS(t, newAuthority(t), "stranger")
					other := mutual(t, ca, version, http2, tls.RequireAndVerifyClientCert)
					cert, key := pems(t, newAuthority(t).issue("stranger"))
					if a.TLS, err = outbound.NewClientTLS([]byte(ca.pem()), cert, key, time.Now()); err != nil {
						t.Fatal(err)
					}
					res = s.Send(context.Background(), post(other.URL), a)
					if res.Kind != outbound.TLS || !strings.Contains(res.Err.Error(), "client certificate") {
						t.Errorf("with another authority's: %s %v", res.Kind, res.Err)
					}
				})
			}
		}
	})
}

// No destination's requests go over what was made with another's certificate: neither its connections nor its sessions, on
// one host, at the same time, and whatever the transport pools.
func TestCertificatesAreNotShared(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, http2 := range []bool{false, true} {
				ca := newAuthority(t)
				server := mutual(t, ca, version, http2, tls.VerifyClientCertIfGiven)
				s := sender(t, outbound.Options{Policy: loopback, RootCAs: ca.pool()})
				identities := map[string]*outbound.ClientTLS{
					"acme/hook": clientTLS(t, ca, "acme/hook"), "globex/hook": clientTLS(t, ca, "globex/hook"), "nobody": nil,
				}
				same := clientTLS(t, ca, "same")
				identities["acme/same"], identities["globex/same"] = same, same
				var mu sync.Mutex
				of := map[string]string{} // whose a connection is
				var group sync.WaitGroup
				for range 10 {
					for destination, own := range identities {
						group.Go(func() {
							a := trusted(by)
							a.Destination, a.TLS = destination, own
							res := s.Send(context.Background(), post(server.URL), a)
							if res.Kind != outbound.Answered {
								t.Errorf("%s: %s %v", destination, res.Kind, res.Err)
								return
							}
							name, conn, _ := strings.Cut(string(res.Response.Body), " ")
							if want := destination; !strings.HasSuffix(want, "/same") && name != want || strings.HasSuffix(want, "/same") && name != "same" {
								t.Errorf("a request of %s came as %s", destination, name)
							}
							mu.Lock()
							defer mu.Unlock()
							if first, ok := of[conn]; ok && first != destination {
								t.Errorf("a request of %s went over the connection of %s", destination, first)
							}
							of[conn] = destination
						})
					}
					group.Wait()
				}
			}
		}
	})
}

// A certificate that is replaced is shown by the next request.
func TestReplacedCertificate(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		ca := newAuthority(t)
		server := mutual(t, ca, tls.VersionTLS13, false, tls.RequireAndVerifyClientCert)
		s := sender(t, outbound.Options{Policy: loopback})
		for _, name := range []string{"old", "new"} {
			a := trusted(by)
			a.Destination, a.TLS = "hook", clientTLS(t, ca, name)
			for range 2 {
				if res := s.Send(context.Background(), post(server.URL), a); res.Kind != outbound.Answered || !strings.HasPrefix(string(res.Response.Body), name+" ") {
					t.Errorf("%s: %s %v %+v", name, res.Kind, res.Err, res.Response)
				}
			}
		}
	})
}

// outbound.ca is trusted by every destination, beside the machine's authorities.
func TestMoreAuthorities(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		ca := newAuthority(t)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
		server.Config.ErrorLog = quietLog
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.issue("127.0.0.1")}}
		server.StartTLS()
		t.Cleanup(server.Close)
		policy := loopback
		without := sender(t, outbound.Options{Policy: policy}).Send(context.Background(), post(server.URL), trusted(by))
		if without.Kind != outbound.TLS || without.Err.Error() != "the certificate is signed by an unknown authority: name it in `outbound.ca` or the destination's `tls: {ca}`" {
			t.Errorf("unknown: %s %v", without.Kind, without.Err)
		}
		policy.CA = ca.pem()
		if res := sender(t, outbound.Options{Policy: policy}).Send(context.Background(), post(server.URL), trusted(by)); res.Kind != outbound.Answered {
			t.Errorf("known: %s %v", res.Kind, res.Err)
		}
	})
}

// What cannot be used is refused when it is loaded, and told without what it holds.
func TestClientTLSFaults(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := pems(t, ca.issue("a"))
	_, other := pems(t, ca.issue("b"))
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	now := time.Now()
	for name, c := range map[string]struct {
		ca, cert, key []byte
		now           time.Time
		setting, want string
	}{
		"no PEM":              {[]byte("hello"), nil, nil, now, "ca", "`ca` is not PEM"},
		"a key for a CA":      {key, nil, nil, now, "ca", "`ca` holds no certificate"},
		"an old CA":           {[]byte(ca.pem()), nil, nil, now.Add(2 * time.Hour), "ca", "the certificate in `ca` expired on "},
		"no key":              {nil, cert, nil, now, "key", "`cert` has no `key` beside it"},
		"no certificate":      {nil, nil, key, now, "cert", "`key` has no `cert` beside it"},
		"expired":             {nil, cert, key, now.Add(2 * time.Hour), "cert", "the certificate in `cert` expired on "},
		"not yet":             {nil, cert, key, now.Add(-2 * time.Hour), "cert", "the certificate in `cert` is valid from "},
		"another's key":       {nil, cert, other, now, "key", "`key` does not belong to the certificate in `cert`"},
		"a certificate twice": {nil, cert, cert, now, "key", "`key` holds no private key"},
		"a locked key":        {nil, cert, locked, now, "key", "`key` is protected by a passphrase"},
		"a key that is none":  {nil, cert, []byte("s3cret"), now, "key", "`key` is not PEM"},
		"broken":              {nil, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), key, now, "cert", "`cert` holds a certificate that cannot be read"},
	} {
		_, err := outbound.NewClientTLS(c.ca, c.cert, c.key, c.now)
		fault, ok := errors.AsType[*outbound.TLSError](err)
		if !ok || fault.Setting != c.setting || !strings.HasPrefix(fault.Message, c.want) || fault.Remedy == "" || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
