package connectors_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// A file that is not the private key says what it is.
func TestPrivateKeyRefusals(t *testing.T) {
	t.Parallel()
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, bytes []byte, headers map[string]string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes, Headers: headers}))
	}
	secret := []byte("hunter2")
	cases := []struct{ text, wants string }{
		{"/etc/keys/hunter2.pem", "is not a private key in PEM form"},
		{strings.ReplaceAll(block("PRIVATE KEY", der, nil), "\n", " "), "is not a private key in PEM form"},
		{block("ENCRYPTED PRIVATE KEY", secret, nil), "is a private key with a passphrase"},
		{block("RSA PRIVATE KEY", secret, map[string]string{"Proc-Type": "4,ENCRYPTED"}), "is a private key with a passphrase"},
		{block("CERTIFICATE", secret, nil), "is a certificate or a public key"},
		{block("PUBLIC KEY", secret, nil), "is a certificate or a public key"},
		{block("PRIVATE KEY", secret, nil), "is damaged or incomplete"},
		{block("OPENSSH PRIVATE KEY", secret, nil), "is not an RSA key in PKCS #8 or PKCS #1 form"},
		{block("PRIVATE KEY", der, nil), "is not an RSA key"},
	}
	for _, c := range cases {
		var key connectors.PrivateKey
		err := key.UnmarshalText([]byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.wants+"; ") || strings.Contains(err.Error(), "hunter2") || !key.IsZero() {
			t.Errorf("%v, want %s", err, c.wants)
		}
	}
}
