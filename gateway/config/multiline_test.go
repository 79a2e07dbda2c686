package config

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// keyed are settings with secrets of several lines.
type keyed struct {
	Token   connectors.Secret         `yaml:"token,omitempty"`
	Key     connectors.PrivateKey     `yaml:"key,omitempty"`
	Account connectors.ServiceAccount `yaml:"account,omitempty"`
	Text    string                    `yaml:"text,omitempty"`
}

// TestKeysAreCredentials: a private key and a service account are credentials of the connection. A pause ends when one of them
// changes, no rule may set one, and editors hide them.
func TestKeysAreCredentials(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "private_key": key, "client_email": "gateway@acme.example", "token_uri": "https://auth.example/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	var k keyed
	if err := k.Key.UnmarshalText([]byte(key)); err != nil {
		t.Fatal(err)
	}
	if err := k.Account.UnmarshalText(account); err != nil {
		t.Fatal(err)
	}
	k.Token = connectors.NewSecret("token")
	got := secretsOf(reflect.ValueOf(k), nil)
	if want := []connectors.Secret{k.Token, k.Key.Secret, k.Account.Secret}; !reflect.DeepEqual(got, want) {
		t.Errorf("%d secrets, want %d", len(got), len(want))
	}
	if got := secretsOf(reflect.ValueOf(keyed{Text: "a"}), nil); len(got) != 0 {
		t.Errorf("%d secrets of settings without any", len(got))
	}

	text, err := json.Marshal(map[string]string{"key": key, "account": string(account), "text": "a"})
	if err != nil {
		t.Fatal(err)
	}
	node, faults := document.Parse("rule.yaml", text)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	faults = document.Bind(node, new(keyed), document.Options{Partial: true, Rule: true})
	if len(faults) != 2 {
		t.Fatalf("%d faults of a rule with two secrets: %v", len(faults), faults)
	}
	for _, f := range faults {
		if said := fmt.Sprint(f); !strings.Contains(said, "is a secret, and rules may not contain secrets") || strings.Contains(said, "PRIVATE") {
			t.Error(said)
		}
	}
	s := &schema{doc: func(string, string) string { return "" }, defs: object{}}
	for _, name := range []string{"key", "account"} {
		if form := s.structure(reflect.TypeFor[keyed]())["properties"].(object)[name].(object); form["writeOnly"] != true {
			t.Errorf("%s: %v", name, form)
		}
	}
}
