package connectors_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	const text = "hunter2-hunter2"
	secret := connectors.NewSecret(text)
	type private struct{ s connectors.Secret }
	type public struct {
		S connectors.Secret
		H connectors.HeaderValue
	}
	header := connectors.HeaderValue{Secret: secret}
	values := []any{
		secret, &secret,
		private{secret},
		&private{secret},
		public{secret, header},
		[]connectors.Secret{secret},
		map[string]connectors.Secret{"k": secret},
		map[string]connectors.HeaderValue{"k": header},
		header,
		connectors.Bearer(secret), connectors.Basic("u", secret), connectors.Header("X", secret), connectors.Query("q", secret),
		connectors.BodyField("f", secret), connectors.Address(secret),
		connectors.SignedAuth{Secrets: []connectors.Secret{secret}},
		connectors.Get("https://a.example").WithSecret("X-Token", secret), fmt.Errorf("with %v", secret),
	}
	for _, v := range values {
		var shown []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
			shown = append(shown, fmt.Sprintf(verb, v))
		}
		if b, err := json.Marshal(v); err == nil {
			shown = append(shown, string(b))
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		for _, text := range append(shown, log.String()) {
			if strings.Contains(text, "hunter2") || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", "hunter2")) {
				t.Errorf("%T prints its secret: %s", v, text)
			}
		}
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	var zero connectors.Secret
	if !zero.IsZero() || zero.Len() != 0 || zero.Expose() != "" || connectors.NewSecret("") != zero {
		t.Error("the zero value is not an absent secret")
	}
	a, b := connectors.NewSecret("a"), connectors.NewSecret("b")
	if a == b || a != connectors.NewSecret(strings.Clone("a")) {
		t.Error("secrets are not equal as their texts are")
	}
	var read connectors.Secret
	if err := json.Unmarshal([]byte(`"a"`), &read); err != nil || read != a || read.Expose() != "a" || read.Len() != 1 {
		t.Errorf("read %v (%v)", read == a, err)
	}
}

func TestCheckAddressAndHeaderValueQuoteNothing(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "hunter2", "ftp://hunter2.example", "https://", "https://u:hunter2@a.example", "https://a.example/#hunter2", "https://hunter2 .example", "%hunter2"} {
		if err := connectors.CheckAddress(connectors.NewSecret(bad)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("address %q: %v", bad, err)
		}
	}
	if err := connectors.CheckAddress(connectors.NewSecret("https://hooks.slack.com/services/T/B/X")); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "  ", " hunter2", "hunter2\r\nX: 1", "hunter2\x00", "hunter2\x7f"} {
		if err := connectors.CheckHeaderValue(connectors.NewSecret(bad)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("header %q: %v", bad, err)
		}
	}
	if err := connectors.CheckHeaderValue(connectors.NewSecret("Bearer a\tb")); err != nil {
		t.Error(err)
	}
}

func TestRegionRevealsOnlyTheDataCentre(t *testing.T) {
	t.Parallel()
	rows := map[string]string{
		"0123456789abcdef0123456789abcdef-us6": "us6", "key-eu21": "eu21", "a-b-usw2": "usw2",
		"": "", "us6": "", "key-": "", "key-US6": "", "key-us6/": "", "key-us6 ": "", "key-a8f3c2": "", "key-1234": "",
		"550e8400-e29b-41d4-a716-446655440000": "", "key-us1234": "", "key-us.6": "", "key-us6\nx": "",
	}
	for key, want := range rows {
		if got := connectors.NewSecret(key).Region(); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// CheckSecret refuses invisible characters, and those that a header cannot carry.
func TestCheckSecret(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "is empty", " \t\n": "is empty", "\ufeff": "is empty",
		"abc\n": "begins or ends with white space", "\u00a0abc": "begins or ends with white space", "abc\u200b": "begins or ends with white space",
		"a\nb": "holds a line break or another control character", "a\x7fb": "holds a line break or another control character", "a\u0085b": "holds a line break or another control character",
		"a\xffb": "is not text (UTF-8)",
		"abc":    "", "a": "", "a b": "", "pässwörd 😀": "", "100%": "", "~": "",
	} {
		got := ""
		if err := connectors.CheckSecret(connectors.NewSecret(text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestAddressParts(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://Acme.webhook.office.com:443/webhookb2/a": "acme.webhook.office.com",
		"xoxb-1": "",
		"":       "",
		"%zz":    "",
	} {
		if got := connectors.NewSecret(address).Host(); got != want {
			t.Errorf("%s: the host is %q, want %q", address, got, want)
		}
	}
	for address, want := range map[string]string{
		"https://x.example/hook":             "https://x.example/hook?wait=true",
		"https://x.example/hook?thread_id=1": "https://x.example/hook?thread_id=1&wait=true",
	} {
		if got := connectors.NewSecret(address).WithQuery("wait", "true"); got != connectors.NewSecret(want) {
			t.Errorf("%s becomes another address than %s", address, want)
		}
	}
}

// A variable without a value stays as it was written.
func TestSecretIsUnset(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"${TOKEN}": true, "${file:/run/secrets/token}": true, "": false, "token": false, "${TOKEN": false, "x${TOKEN}": false} {
		if got := connectors.NewSecret(text).IsUnset(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
