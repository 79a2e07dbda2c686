package source

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// vector is one signed request of testdata/payloads/vectors.json.
type vector struct {
	Name        string            `json:"name"`
	Platform    string            `json:"platform"`
	ContentType string            `json:"content_type"`
	Secrets     map[string]string `json:"secrets"`
	Headers     map[string]string `json:"headers"`
	Now         int64             `json:"now"`
	Body        string            `json:"body"`
	Expect      string            `json:"expect"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	var file struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(payload(t, "vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 24 {
		t.Fatalf("%d vectors", len(file.Vectors))
	}
	return file.Vectors
}

func (v vector) source(t testing.TB) *Source {
	t.Helper()
	s := Settings{Vars: map[string]connectors.Secret{}}
	for name, text := range v.Secrets {
		switch {
		case name != "secret":
			s.Vars[name] = connectors.NewSecret(text)
		case text != "":
			s.Secrets = secrets(text)
		}
	}
	return open(t, profile(t, v.Platform), s)
}

func (v vector) request() *Request {
	req := request([]byte(v.Body))
	for name, value := range v.Headers {
		before := req.Header
		req.Header = func(asked string) string {
			if sameHeader(asked, name) {
				return value
			}
			return before(asked)
		}
	}
	req.ContentType = v.ContentType
	req.Received = time.Unix(v.Now, 0).UTC()
	return req
}

// TestVectors plays every published signature, and what must not pass.
func TestVectors(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			s, req := v.source(t), v.request()
			verified, err := s.Verify(req)
			if v.Expect == "invalid" {
				if !errors.Is(err, ErrRefused) {
					t.Fatalf("verified as %+v, %v; want it refused", verified, err)
				}
				if (req.Verified != Verified{}) {
					t.Errorf("a refused request says %+v", req.Verified)
				}
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			wantKind, wantSecret := "hmac", 1
			switch {
			case v.Secrets["secret"] == "":
				wantKind, wantSecret = "none", 0
			case v.Platform == "pollarix" || v.Platform == "wufoo" || v.Platform == "limesurvey":
				wantKind = "token"
			}
			if verified.Kind != wantKind || verified.Secret != wantSecret || verified.Test {
				t.Errorf("verified %+v, want %s by secret %d", verified, wantKind, wantSecret)
			}
			events, err := s.Normalise(req, req.Received)
			if err != nil || len(events) != 1 {
				t.Fatalf("normalise: %d events, %v", len(events), err)
			}
			if events[0].Verified != wantKind || events[0].Type == "unknown" {
				t.Errorf("event says %q of type %s", events[0].Verified, events[0].Type)
			}
			conforms(t, schema, events[0])
		})
	}
}
