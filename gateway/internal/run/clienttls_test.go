package run

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// selfSigned makes a certificate for both ends that is its own authority, and its key, in PEM.
func selfSigned(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// A webhook shows its client certificate, and the next one when the files change, without a restart.
func TestClientCertificateFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serverCert, serverKey := selfSigned(t, "receiver")
	pair, err := tls.X509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.TLS.PeerCertificates[0].Subject.CommonName] = true
	}))
	receiver.Config.ErrorLog = log.New(io.Discard, "", 0)
	receiver.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert}
	receiver.StartTLS()
	t.Cleanup(receiver.Close)

	folder := filepath.Dir(s.options.Config)
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	show := func(name string) {
		cert, key := selfSigned(t, name)
		write("client.pem", cert)
		write("client.key", key)
	}
	write("ca.pem", serverCert)
	show("first")
	s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], ca: ca.pem}
webhooks:
  - {name: hook, url: %q, secrets: ["${HOOK_SECRET}"], events: [response.completed], tls: {cert: client.pem, key: client.key}}
`, receiver.URL))
	s.start()
	n := 0
	for _, name := range []string{"first", "second"} {
		if name == "second" {
			show(name)
		}
		s.until("the receiver sees the certificate", func() bool {
			n++
			s.publish(fmt.Sprintf("e%d", n), 3)
			mu.Lock()
			defer mu.Unlock()
			return seen[name]
		})
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
}
