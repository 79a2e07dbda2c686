package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
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
