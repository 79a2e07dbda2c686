// Package credentials makes credentials for tests that have to be valid, such as private keys. No service accepts them.
package credentials

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"sync"
)

// Named returns what `${NAME}` stands for in a transcript: PRIVATE_KEY for PrivateKey, GOOGLE_CREDENTIALS for Google. A page shows
// the first transcript, and no private key belongs in a repository. ok is false for any other name.
func Named(name string) (value string, ok bool) {
	switch name {
	case "PRIVATE_KEY":
		return PrivateKey(), true
	case "GOOGLE_CREDENTIALS":
		return Google(), true
	}
	return "", false
}

// PrivateKey returns an RSA key in PEM form, which differs in each process.
var PrivateKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

// Google returns the key file of a service account with PrivateKey. Its project is `acme-surveys`.
var Google = sync.OnceValue(func() string {
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "acme-surveys", "private_key_id": "example", "private_key": PrivateKey(),
		"client_email": "gateway@acme-surveys.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
	})
	if err != nil {
		panic(err)
	}
	return string(file)
})
