package outbound_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/redact/redacttest"
)

const hush = redacttest.Secret

// TestAnswersLoseSecrets lets a peer repeat what it was sent in every form: none of it is in the answer.
func TestAnswersLoseSecrets(t *testing.T) {
	secret := connectors.NewSecret(hush)
	plain := "plain-token-1234567890"
	both(t, func(t *testing.T, by outbound.Transport) {
		forms := []string{base64.StdEncoding.EncodeToString([]byte("jo:" + hush))}
		for _, s := range redacttest.Spellings() {
			forms = append(forms, s.Write(hush))
		}
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", strings.Join(forms, " | "))
			w.Header().Set("Location", "https://elsewhere.example"+r.URL.RequestURI())
			w.WriteHeader(400)
			_, _ = io.WriteString(w, strings.Join(forms, " | ")+" | "+r.Header.Get("Authorization")+" | "+r.URL.RequestURI()+" | "+r.Header.Get("X-Custom"))
		})
		s := sender(t, outbound.Options{Policy: loopback})
		address := srv.URL + "/services/T000/B000/" + plain + "?key=" + plain
		for name, req := range map[string]*connectors.Request{
			"basic":   post(srv.URL).As(connectors.Basic("jo", secret)),
			"token":   post(srv.URL).As(connectors.BasicToken(secret)),
			"query":   post(srv.URL).As(connectors.Query("k", secret)),
			"body":    post(srv.URL).As(connectors.BodyField("k", secret)),
			"custom":  post(srv.URL).WithSecret("X-Custom", secret).As(connectors.Bearer(connectors.NewSecret(plain))),
			"address": post("").WithSecret("X-Custom", secret).As(connectors.Address(connectors.NewSecret(address))),
		} {
			if name == "custom" || name == "address" {
				req.Header = append(req.Header, connectors.Field{Name: "X-Short", Value: "1", Secret: true})
			}
			res := s.Send(context.Background(), req, trusted(by))
			if res.Kind != outbound.Answered {
				t.Fatalf("%s: %v", name, res.Err)
			}
			text := string(res.Response.Transcript())
			for _, form := range append(forms, plain, url.QueryEscape(plain)) {
				if strings.Contains(text, form) {
					t.Errorf("%s: the answer still holds %q:\n%s", name, form, text)
				}
			}
			if !strings.Contains(text, connectors.Hidden) {
				t.Errorf("%s: nothing was cut from\n%s", name, text)
			}
			kept := string(outbound.Transcript(req))
			for _, form := range append(forms, plain) {
				if strings.Contains(kept, form) {
					t.Errorf("%s: the request still holds %q:\n%s", name, form, kept)
				}
			}
		}
	})
}

// TestSecretAtTheCap ends the kept part of an answer in the middle of a secret.
func TestSecretAtTheCap(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", outbound.BodyCap-10)+r.Header.Get("Authorization")+strings.Repeat("y", 100))
		})
		s := sender(t, outbound.Options{Policy: loopback})
		res := s.Send(context.Background(), post(srv.URL).As(connectors.Header("Authorization", connectors.NewSecret("abcdefghijklmnopqrst"))), trusted(by))
		if res.Kind != outbound.Answered || !res.Response.Truncated {
			t.Fatalf("%s %v", res.Kind, res.Err)
		}
		end := string(res.Response.Body[outbound.BodyCap-10:])
		if end != connectors.Hidden {
			t.Errorf("the kept part ends in %q", end)
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	secret := func(texts ...string) (out []connectors.Secret) {
		for _, text := range texts {
			out = append(out, connectors.NewSecret(text))
		}
		return out
	}
	for name, c := range map[string]struct {
		text    string
		secrets []connectors.Secret
		want    string
	}{
		"nothing":      {"all is well", secret("token"), "all is well"},
		"no secret":    {"all is well", nil, "all is well"},
		"empty secret": {"all is well", secret(""), "all is well"},
		"twice":        {"token, token", secret("token"), "[secret], [secret]"},
		"longest":      {"token-long token", secret("token", "token-long"), "[secret] [secret]"},
		"short":        {"a b", secret("b"), "a [secret]"},
		"JSON":         {`{"a":"x\"y"}`, secret(`x"y`), `{"a":"[secret]"}`},
	} {
		given := []byte(c.text)
		if got := string(outbound.Cut(given, c.secrets)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if string(given) != c.text {
			t.Errorf("%s: the text given was changed", name)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	one := func(texts ...string) string {
		var all []connectors.Secret
		for _, text := range texts {
			all = append(all, connectors.NewSecret(text))
		}
		return outbound.Fingerprint([]byte("key"), all)
	}
	if first, again := one("a", "b"), one("a", "b"); first != again {
		t.Error("the same credentials differ")
	}
	seen := map[string]bool{outbound.Fingerprint([]byte("other"), []connectors.Secret{connectors.NewSecret("a")}): true}
	for _, f := range []string{one(), one("a"), one("b"), one("a", "b"), one("b", "a"), one("ab"), one("", "ab")} {
		if seen[f] || len(f) != 32 {
			t.Errorf("fingerprint %s", f)
		}
		seen[f] = true
	}
}
