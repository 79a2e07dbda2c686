package signature_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// vector is one entry of testdata/styles.json.
type vector struct {
	Name           string          `json:"name"`
	Scheme         string          `json:"scheme"`
	Algorithm      string          `json:"algorithm"`
	Secret         string          `json:"secret"`
	PreviousSecret string          `json:"previous_secret"`
	PublicKey      string          `json:"public_key"`
	ID             string          `json:"id"`
	Timestamp      json.RawMessage `json:"timestamp"`
	Body           string          `json:"body"`
	Signature      string          `json:"signature"`
	Expect         string          `json:"expect"`
}

func (v vector) at() string { return strings.Trim(string(v.Timestamp), `"`) }

func (v vector) style() connectors.Signature {
	switch v.Scheme {
	case "standard-webhooks":
		if v.Algorithm == "ed25519" {
			return named("ed25519")
		}
		return named("standard")
	case "raw-hmac-hex":
		return connectors.Signature{Header: "X-Sign"}
	}
	return named(v.Scheme)
}

func (v vector) header() http.Header {
	name := map[string]string{
		"standard-webhooks": "Webhook-Signature", "github": "X-Hub-Signature-256", "stripe": "Stripe-Signature",
		"raw-hmac-hex": "X-Sign",
	}[v.Scheme]
	h := http.Header{name: {v.Signature}}
	if v.ID != "" {
		h.Set("webhook-id", v.ID)
	}
	if v.Scheme == "standard-webhooks" {
		h.Set("webhook-timestamp", v.at())
	}
	return h
}

func vectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/styles.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 21 {
		t.Fatalf("%d vectors, want 21", len(file.Vectors))
	}
	return file.Vectors
}

func TestVectorsVerify(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			now := time.Unix(1614265330, 0)
			if len(v.Timestamp) > 0 {
				now = unix(t, v.at())
			}
			keys := []string{v.Secret}
			if v.PreviousSecret != "" {
				keys = append(keys, v.PreviousSecret)
			}
			if v.PublicKey != "" {
				keys = append(keys, v.PublicKey)
			}
			for _, key := range keys { // each of them by itself proves it
				err := signature.Verify(v.style(), secrets(key), v.header().Get, []byte(v.Body), now)
				if (err == nil) != (v.Expect == "valid") {
					t.Errorf("Verify = %v, want %s", err, v.Expect)
				}
			}
			if v.Expect == "reject-secret" {
				if err := signature.Check(v.style(), secrets(v.Secret)); err == nil {
					t.Error("Check accepts the secret")
				}
			}
		})
	}
}

func TestVectorsSign(t *testing.T) {
	t.Parallel()
	signed := 0
	for _, v := range vectors(t) {
		// What holds signatures that we would not send, or of keys not given, can only be verified.
		if v.Expect != "valid" || v.Name == "standard-mixed-v1-v1a" || v.Name == "standard-multi-with-wrong" ||
			v.Name == "stripe-header-two-v1" {
			continue
		}
		signed++
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			at := time.Unix(1614265330, 0)
			if len(v.Timestamp) > 0 {
				at = unix(t, v.at())
			}
			keys := []string{v.Secret}
			if v.PreviousSecret != "" {
				keys = append(keys, v.PreviousSecret)
			}
			id := v.ID
			if id == "" {
				id = "dl_1"
			}
			fields, err := signature.Sign(v.style(), secrets(keys...), signature.Message{ID: id, At: at, Body: []byte(v.Body)})
			if err != nil {
				t.Fatal(err)
			}
			if got := fields[len(fields)-1].Value; got != v.Signature {
				t.Errorf("signed %s\nwant   %s", got, v.Signature)
			}
		})
	}
	if signed < 10 {
		t.Errorf("only %d vectors were signed", signed)
	}
}

func unix(t *testing.T, text string) time.Time {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(int64(n), 0)
}
