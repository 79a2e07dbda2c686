package redis

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/redistest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// quiet parses an address without a log.
func quiet(address string) (*Address, error) { return Parse(address, slog.New(slog.DiscardHandler)) }

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "localhost", "http://x", "redis://", "redis://a:1,b:2", "redis://a/x", "redis://a?pool=1", "redis://a?timeout=x",
		"redis://a?unknown=1", "redis://a?sentinel=m&cluster=true", "redis://a/1?cluster=true", "redis://:secret@a:b",
		"redis://a?cluster=yes", "redis://:12?secret@a:1/0", "redis://user:1?secret=x@a", "redis://a:0", "redis://a:99999,b:1?cluster=true", "redis://a:1,b:0?sentinel=m",
	} {
		if _, err := quiet(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	a, err := quiet("rediss://u:p@a,b:7?sentinel=main&sentinel_password=q")
	if err != nil || a.Form != Sentinel {
		t.Fatalf("%+v, %v", a, err)
	}
	o := a.Options
	if o.MasterName != "main" || o.Username != "u" || o.Password != "p" || o.SentinelPassword != "q" || o.TLSConfig == nil {
		t.Errorf("%+v", o)
	}
	if diff := cmp.Diff([]string{"a:26379", "b:7"}, o.Addrs); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestCertificateFaults(t *testing.T) {
	t.Parallel()
	cert, key := redistest.Certificate(t)
	for q, want := range map[string]string{
		"ca=none.pem": "ca in the address of Redis", "ca=" + key: "has no certificate", "cert=" + cert: "cert and key",
	} {
		if err := Check("rediss://a?"+q, os.ReadFile); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", q, err)
		}
	}
	if err := Check("redis://a?ca="+cert, os.ReadFile); err == nil || !strings.Contains(err.Error(), "rediss://") {
		t.Errorf("without TLS: %v", err)
	}
}

// Certificates that are renewed while a client is open serve its next connections: the authorities to trust and the
// client's own pair. A pair of which only one file is written changes nothing.
func TestCertificatesAreRenewed(t *testing.T) {
	t.Parallel()
	cert, key := redistest.Certificate(t)
	port := redistest.Port(t)
	redistest.Start(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
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
	var logged bytes.Buffer
	a, err := Parse(address+url.Values{"ca": {ours("ca")}, "cert": {ours("cert")}, "key": {ours("key")}}.Encode(),
		slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	client := a.Client()
	admin := func() goredis.UniversalClient {
		a, err := quiet(address + url.Values{"ca": {cert}, "cert": {cert}, "key": {key}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		return a.Client()
	}
	// reconnect ends every connection but the one that asks for it, and has new ones made.
	reconnect := func() error {
		c := admin()
		defer func() { _ = c.Close() }()
		if err := c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal").Err(); err != nil {
			t.Fatal(err)
		}
		var last error
		for range 50 { // connections that were ended are found one by one
			if last = client.Ping(t.Context()).Err(); last == nil {
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

	newCert, newKey := redistest.Certificate(t)
	c := admin()
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
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(logged.String(), "the certificates for Redis cannot be used"); n != 1 {
		t.Errorf("logged %d times that a certificate cannot be used:\n%s", n, logged.String())
	}
}
