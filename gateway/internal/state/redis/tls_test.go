package redis

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// certificate makes one that signs itself, for this machine.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis of a test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", secret)
}

// Redis asks for a certificate of ours and shows one of its own: the store works over TLS, and refuses a server that
// nobody vouches for.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
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
	for q, want := range map[string]string{
		"ca=none.pem": "ca in the address of Redis", "ca=" + key: "has no certificate", "cert=" + cert: "cert and key",
	} {
		if _, _, err := parse(address + "?" + q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", q, err)
		}
	}
	if _, _, err := parse("redis://a?ca=" + cert); err == nil || !strings.Contains(err.Error(), "rediss://") {
		t.Errorf("without TLS: %v", err)
	}
}

// Certificates that are renewed while the store is open serve its next connections, whatever is renewed: whom to trust,
// and who we are. Half a pair, as it stands between two writes, changes nothing.
func TestCertificatesAreRenewed(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	port := redistest.Port(t)
	start(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	dir := t.TempDir()
	ours := func(name string) string { return filepath.Join(dir, name) }
	put := func(from, to string) {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(cert, ours("ca"))
	put(cert, ours("cert"))
	put(key, ours("key"))
	address := fmt.Sprintf("rediss://127.0.0.1:%d/0?", port)
	var said bytes.Buffer
	opened, err := Open(Options{
		URL:    address + url.Values{"ca": {ours("ca")}, "cert": {ours("cert")}, "key": {ours("key")}}.Encode(),
		Logger: slog.New(slog.NewTextHandler(&said, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*store)
	// reconnect ends every connection but the one that asks for it, and has new ones made.
	reconnect := func() error {
		admin, _, err := parse(address + url.Values{"ca": {cert}, "cert": {cert}, "key": {key}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(admin)
		defer func() { _ = c.Close() }()
		if err := c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal").Err(); err != nil {
			t.Fatal(err)
		}
		var last error
		for range 50 { // connections that were ended are found one by one
			if last = s.client.Ping(t.Context()).Err(); last == nil {
				return nil
			}
		}
		return last
	}
	if err := reconnect(); err != nil {
		t.Fatal(err)
	}

	put(ours("key"), ours("key.old"))
	if err := os.WriteFile(ours("key"), []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reconnect(); err != nil {
		t.Errorf("with half a pair: %v", err)
	}

	newCert, newKey := certificate(t)
	admin, _, err := parse(address + url.Values{"ca": {cert}, "cert": {cert}, "key": {key}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(admin)
	if err := c.Do(t.Context(), "CONFIG", "SET", "tls-cert-file", newCert, "tls-key-file", newKey, "tls-ca-cert-file", newCert).Err(); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	cert, key = newCert, newKey
	put(newCert, ours("ca"))
	put(newCert, ours("cert"))
	put(newKey, ours("key"))
	if err := reconnect(); err != nil {
		t.Errorf("with renewed certificates: %v", err)
	}
	accept(t, s, "a")
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(said.String(), "the certificates for Redis cannot be used"); n != 1 {
		t.Errorf("said %d times that a certificate cannot be used:\n%s", n, said.String())
	}
}
