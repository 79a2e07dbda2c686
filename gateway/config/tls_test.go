package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/files"
)

// pair makes a certificate that signs itself, and its key, in PEM.
func pair(t *testing.T, name string, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: until.AddDate(-2, 0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

// TLS of a destination's own is read from files or as PEM, notices a change in them, and is told of without its key.
func TestDestinationTLS(t *testing.T) {
	t.Parallel()
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	cert, key := pair(t, "ours", soon)
	ca, otherKey := pair(t, "authority", soon)
	old, oldKey := pair(t, "old", past)
	hook := func(tls string) string {
		return "webhooks:\n  - {name: hook, url: \"https://hook.example.com/in\", signature: none, events: [response.completed], tls: " + tls + "}\n"
	}
	for name, c := range map[string]struct{ yaml, fault string }{
		"files":              {hook("{ca: ca.pem, cert: tls/cert.pem, key: tls/key.pem}"), ""},
		"PEM":                {hook(`{cert: "${CERT}", key: "${KEY}"}`), ""},
		"only an authority":  {hook(`{ca: "${CA}"}`), ""},
		"for all":            {"outbound: {ca: ca.pem}\n", ""},
		"a product of ours":  {"connections:\n  crm: {hubspot: {token: " + strings.Repeat("t", 40) + ", base_url: \"https://crm.example.com\"}, tls: {ca: ca.pem}}\n", ""},
		"a product's own":    {"connections:\n  crm: {hubspot: {token: " + strings.Repeat("t", 40) + "}, tls: {ca: ca.pem}}\n", "`tls` applies to your own receivers, but `crm` sends to hubspot"},
		"no such file":       {hook("{ca: nowhere.pem}"), "`ca` is neither PEM nor the path of a readable file"},
		"no such key":        {hook("{cert: tls/cert.pem, key: nowhere}"), "`key` is neither PEM nor the path of a readable file"},
		"another's key":      {hook("{cert: tls/cert.pem, key: other.key}"), "`key` does not belong to the certificate in `cert`"},
		"no key":             {hook("{cert: tls/cert.pem}"), "`cert` has no `key` beside it"},
		"expired":            {hook("{cert: old.pem, key: old.key}"), "the certificate in `cert` expired on "},
		"expired, for all":   {"outbound: {ca: old.pem}\n", "the certificate in `ca` expired on "},
		"no PEM":             {hook("{ca: surveygate.yaml}"), "`ca` is not PEM"},
		"no PEM, for all":    {"outbound: {ca: surveygate.yaml}\n", "`ca` is not PEM"},
		"misspelt":           {hook("{certificate: ca.pem}"), "`certificate` is not a setting here"},
		"a key for the file": {hook("{cert: tls/key.pem, key: tls/key.pem}"), "`cert` holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			write := func(name, text string) {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range map[string]string{
				"surveygate.yaml": c.yaml, "ca.pem": ca, "tls/cert.pem": cert, "tls/key.pem": key, "other.key": otherKey, "old.pem": old, "old.key": oldKey,
			} {
				write(name, text)
			}
			read := &files.Reader{}
			load := func() (*config.Config, error) {
				return config.Load(config.Options{Path: filepath.Join(folder, "surveygate.yaml"), Files: read, Env: func(name string) (string, bool) {
					text, ok := map[string]string{"CERT": cert, "KEY": key, "CA": ca}[name]
					return text, ok
				}})
			}
			loaded, err := load()
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("said %v, want %q", err, c.fault)
				}
				if err != nil && strings.Contains(err.Error(), "PRIVATE KEY-----\nM") {
					t.Error("a key is shown")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if name == "for all" {
				if loaded.Outbound.CA != ca {
					t.Errorf("outbound.ca is %q", loaded.Outbound.CA)
				}
			} else if d := loaded.Destinations[0]; d.TLS.Fingerprint() == "" || !hasSecret(d.Credentials, d.TLS.Fingerprint()) {
				t.Error("the destination has no TLS of its own, or a pause is not tied to it")
			}
			if warns := strings.Contains(loaded.Warnings.Error(), "the certificate of `hook` expires on "); warns != strings.Contains(c.yaml, "cert:") {
				t.Errorf("warnings: %v", loaded.Warnings)
			}
			if !strings.Contains(c.yaml, ".pem") {
				return
			}
			newCA, _ := pair(t, "another authority", soon)
			write("ca.pem", newCA)
			if changed := read.Changed(); changed != filepath.Join(folder, "ca.pem") {
				t.Errorf("a change is seen in %q", changed)
			}
		})
	}
}

func hasSecret(all []connectors.Secret, text string) bool {
	for _, s := range all {
		if s == connectors.NewSecret(text) {
			return true
		}
	}
	return false
}
