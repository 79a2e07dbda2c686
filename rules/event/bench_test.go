package event

import "testing"

func BenchmarkNew(b *testing.B) {
	h, d, raw := sampleParts(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(h, d, raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e := sample(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(e.Envelope(), e.Raw.Body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkData(b *testing.B) {
	e := sample(b)
	b.ReportAllocs()
	for b.Loop() {
		if decodeData(e.DataJSON()).Survey.ID == "" {
			b.Fatal("no data")
		}
	}
}

func BenchmarkParseOne(b *testing.B) {
	body := []byte(`{"type": "response.completed", "id": "r1-final", "time": "2026-01-02T03:04:05Z", "tenant": "acme", "source": "app",
 "survey": {"id": "s1", "title": "Onboarding", "type": "nps"},
 "response": {"id": "r1", "score": {"nps": 3}, "feedback": "slow", "answers": {"why": "slow", "q4": ["a", "b"]}},
 "respondent": {"email": "jo@example.com", "consent": true, "params": {"plan": "pro"}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseOne(body, Defaults{Tenant: "acme", Received: received, Verified: "token"}); err != nil {
			b.Fatal(err)
		}
	}
}
