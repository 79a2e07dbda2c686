package source

import (
	"bytes"
	"encoding/json"
	"maps"
	"strconv"
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

// typeformBody is a response to a form of so many questions: of all the types that Typeform's sample has, with its long
// questions and choices, or of short ones.
func typeformBody(tb testing.TB, questions int, short bool) []byte {
	tb.Helper()
	type object = map[string]any
	var body struct {
		EventID   string `json:"event_id"`
		EventType string `json:"event_type"`
		Response  struct {
			FormID      string          `json:"form_id"`
			Token       string          `json:"token"`
			LandedAt    string          `json:"landed_at"`
			SubmittedAt string          `json:"submitted_at"`
			Calculated  json.RawMessage `json:"calculated"`
			Hidden      json.RawMessage `json:"hidden"`
			Definition  struct {
				ID     string   `json:"id"`
				Title  string   `json:"title"`
				Fields []object `json:"fields"`
			} `json:"definition"`
			Answers []object `json:"answers"`
		} `json:"form_response"`
	}
	if err := json.Unmarshal(payload(tb, "typeform-form_response.json"), &body); err != nil {
		tb.Fatal(err)
	}
	r := &body.Response
	fields, answers := r.Definition.Fields, r.Answers
	r.Definition.Fields, r.Answers = nil, nil
	for i := range questions {
		id := "field" + strconv.Itoa(i)
		f, a, of := object{}, object{}, object{}
		maps.Copy(f, fields[i%len(fields)])
		maps.Copy(a, answers[i%len(answers)])
		maps.Copy(of, a["field"].(object))
		if short {
			f = object{"title": "How was number " + strconv.Itoa(i) + "?", "type": "short_text"}
			a, of = object{"type": "text", "text": "fine"}, object{"type": "short_text"}
		}
		f["id"], of["id"], of["ref"], a["field"] = id, id, "ref"+id, of
		r.Definition.Fields, r.Answers = append(r.Definition.Fields, f), append(r.Answers, a)
	}
	text, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func BenchmarkNormaliseTypeform200(b *testing.B)     { benchTypeform(b, true) }
func BenchmarkNormaliseTypeform200Long(b *testing.B) { benchTypeform(b, false) }

func benchTypeform(b *testing.B, short bool) {
	b.Helper()
	s := open(b, profile(b, "typeform"), Settings{Secrets: secrets("typeform-test-secret")})
	req := request(typeformBody(b, 200, short))
	req.Verified = Verified{Kind: KindHMAC, Secret: 1}
	if events, err := s.Normalise(req, noon); err != nil || len(events[0].Data().Response.Answers) != 200 || len(events[0].Data().Warnings) > 0 {
		b.Fatal(err, events[0].Data().Warnings)
	}
	b.SetBytes(int64(len(req.Body)))
	b.ReportAllocs()
	for b.Loop() {
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
