package source

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

func benchSource(b *testing.B) (*Source, []byte, map[string]string) {
	b.Helper()
	s := open(b, profile(b, "pollqr"), Settings{Secrets: []connectors.Secret{connectors.NewSecret("pollqr-test-secret")}})
	var body bytes.Buffer
	if err := json.Compact(&body, payload(b, "pollqr-response.created.json")); err != nil {
		b.Fatal(err)
	}
	fields, err := s.Sign(body.Bytes(), noon)
	if err != nil {
		b.Fatal(err)
	}
	headers := map[string]string{}
	for _, f := range fields {
		headers[f.Name] = f.Value
	}
	return s, body.Bytes(), headers
}

func BenchmarkNormalisePollQR(b *testing.B) {
	s, body, _ := benchSource(b)
	req := &Request{Method: "POST", Body: body, ContentType: "application/json", Received: noon, Verified: Verified{Kind: KindHMAC, Secret: 1}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Normalise(req, noon); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyAndNormalisePollQR(b *testing.B) {
	s, body, headers := benchSource(b)
	req := &Request{Method: "POST", Body: body, ContentType: "application/json", Received: noon, Header: func(name string) string { return headers[name] }}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(req); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Normalise(req, noon); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocations keeps the cost of the common way within its budget, whatever the machine.
func TestAllocations(t *testing.T) {
	s := open(t, profile(t, "pollqr"), Settings{Secrets: secrets("pollqr-test-secret")})
	body := payload(t, "pollqr-response.created.json")
	req := request(body)
	req.Verified = Verified{Kind: KindHMAC, Secret: 1}
	got := testing.AllocsPerRun(200, func() {
		if _, err := s.Normalise(req, time.Time(noon)); err != nil {
			t.Fatal(err)
		}
	})
	if got > 60 {
		t.Errorf("%.0f allocations for PollQR's sample, budget 60", got)
	}
}
