package event

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzParseOne(f *testing.F) {
	example, err := os.ReadFile("testdata/envelope.example.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	for _, seed := range []string{
		`{"type":"response.completed","id":"r1","time":"2026-01-02T03:04:05Z","survey":{"id":1},"response":{"id":"a/b","score":{"nps":"3"},"answers":{"why":"\ud83d","q4":["a",{"2":1,"1":2}]}},"respondent":{"params":{"plan":1e400}}}`,
		`{"type":"test","nps_score":-0.0,"name":" Ada  Lovelace King ","response":{"answers":[{"question_id":"a","value":[[]],"value_ids":[],"comment":""}],"leads":[{}],"started_at":"1719215254.837"}}`,
		`{"type":"unknown","warnings":["a",""],"context":{"ip":"` + "\xff" + `"},"account":{"id":"\u0000"}}`,
		"{\"type\":\"test\"}\n{\"type\":\"test\"}",
	} {
		f.Add([]byte(seed))
	}
	schema := validator(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		d := defaults
		d.AnyTenant = true
		e, err := ParseOne(body, d)
		if many, fault := ParseMany(body, d); err == nil && (fault != nil || len(many) != 1 || string(many[0].Event.Envelope()) != string(e.Envelope())) {
			t.Fatalf("ParseMany says otherwise: %v, %v", many, fault)
		}
		if err != nil {
			var fault *FieldError
			if !errors.As(err, &fault) && !errors.Is(err, ErrNotJSON) && !errors.Is(err, ErrTooDeep) && !errors.Is(err, ErrTooManyAnswers) {
				t.Fatalf("an error of no known kind: %v", err)
			}
			return
		}
		validate(t, schema, e.Envelope())
		validate(t, schema, e.EnvelopeWithRaw())
		if compact, err := CompactJSON(e.Envelope()); err != nil || string(compact) != string(e.Envelope()) {
			t.Fatalf("not compact: %v\n%s\n%s", err, compact, e.Envelope())
		}
		got, err := Decode(e.Envelope(), body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e.Header, got.Header) + cmp.Diff(e.Raw, got.Raw); diff != "" {
			t.Fatalf("(-parsed +decoded):\n%s", diff)
		}
		if string(got.DataJSON()) != string(e.DataJSON()) || string(got.EnvelopeWithRaw()) != string(e.EnvelopeWithRaw()) {
			t.Fatalf("got %s\nwant %s", got.EnvelopeWithRaw(), e.EnvelopeWithRaw())
		}
		// What is read back, written again, is the same: nothing gets lost or completed twice.
		h := got.Header
		again, err := New(h, got.Data(), got.Raw)
		if err != nil || string(again.Envelope()) != string(e.Envelope()) {
			t.Fatalf("written again: %v\n%s\n%s", err, again.Envelope(), e.Envelope())
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(sample(f).Envelope())
	f.Add(sample(f).Envelope()[:700])
	h, d, raw := everything()
	e, err := New(h, d, raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.Envelope())
	example, err := os.ReadFile("testdata/envelope.example.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Fuzz(func(t *testing.T, envelope []byte) {
		e, err := Decode(envelope, []byte("body"))
		if err != nil {
			return
		}
		// Whatever the store gave back, reading it does not panic.
		_, _, _ = e.Data(), e.EnvelopeWithRaw(), e.Size()
		if len(e.DataJSON()) == 0 {
			t.Fatalf("decoded to nothing: %q", envelope)
		}
	})
}
