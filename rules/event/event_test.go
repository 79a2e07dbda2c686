package event

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:fix inline

var received = time.Date(2024, 1, 1, 12, 0, 2, 113_000_000, time.UTC)

// sampleParts returns the normalised PollQR sample, which testdata/envelope.example.json contains.
func sampleParts(tb testing.TB) (Header, *Data, Raw) {
	tb.Helper()
	body, err := os.ReadFile("testdata/pollqr-response.created.json")
	if err != nil {
		tb.Fatal(err)
	}
	h := Header{
		Tenant: "acme", Source: "pollqr-main", SourceKind: "pollqr", Type: TypeResponseCompleted,
		Time: time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC), Received: received, OrigType: "response.created", Verified: "hmac",
		DedupeKey: "response.created:550e8400-e29b-41d4-a716-446655440000:6ba7b810-9dad-11d1-80b4-00c04fd430c8:2024-01-01T12:00:00.000Z",
	}
	d := &Data{
		Account: Account{ID: "550e8400-e29b-41d4-a716-446655440001"},
		Survey:  Survey{ID: "550e8400-e29b-41d4-a716-446655440000", Title: "Customer Satisfaction Survey", Type: "nps"},
		Response: Response{
			ID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", CompletedAt: "2024-01-01T12:00:00.000Z", DurationS: new(45.0), Score: Score{NPS: new(9.0)},
			Answers: []Answer{
				{QuestionID: "1", Type: "nps", Value: json.RawMessage(`9`)},
				{QuestionID: "2", Value: json.RawMessage(`"Great service and friendly staff!"`)},
				{QuestionID: "3", Type: "email", Value: json.RawMessage(`"john@example.com"`)},
				{QuestionID: "4", Type: "phone", Value: json.RawMessage(`"+1234567890"`)},
			},
		},
		Respondent: Respondent{Email: "john@example.com", Phone: "+1234567890"},
		Context:    Context{IP: "192.168.1.1", UserAgent: "Mozilla/5.0..."},
	}
	return h, d, Raw{ContentType: "application/json", Body: body, AnswersAt: []string{"response.answers"}}
}

func sample(tb testing.TB) *Event {
	tb.Helper()
	h, d, raw := sampleParts(tb)
	e, err := New(h, d, raw)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestNewWritesTheExample(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/envelope.example.json")
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	if err := json.Unmarshal(file, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(sample(t).EnvelopeWithRaw(), &got); err != nil {
		t.Fatal(err)
	}
	raw := got["data"].(map[string]any)["raw"].(map[string]any)
	if diff := cmp.Diff([]any{"response.answers"}, raw["answers_at"]); diff != "" {
		t.Errorf("answers_at (-want +got):\n%s", diff)
	}
	delete(raw, "answers_at") // ours; the example has none
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// validator is the published schema of an envelope.
func validator(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("testdata/envelope.schema.json")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func validate(tb testing.TB, s *jsonschema.Schema, envelope []byte) {
	tb.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(envelope)))
	if err != nil {
		tb.Fatalf("%v in %s", err, envelope)
	}
	if err := s.Validate(v); err != nil {
		tb.Errorf("%#v in %s", err, envelope)
	}
}

// everything has all fields set, and every text needs escaping.
func everything() (Header, *Data, Raw) {
	odd := "a \"b\" \\ <c> & \n\x01 ç \u2028 😀"
	h := Header{
		Tenant: "acme", Source: "app", SourceKind: "own", Type: TypeResponseUpdated, Time: received.Add(-time.Hour + 5*time.Microsecond), Received: received,
		OrigType: odd, OrigID: odd, DedupeKey: odd, Verified: "path",
	}
	d := &Data{
		Account: Account{ID: odd},
		Survey:  Survey{ID: "s/" + odd, Title: odd, Type: odd, Version: odd},
		Response: Response{
			ID: "r/" + odd, Completed: new(false), StartedAt: "2024-01-01T10:00:00+02:00", CompletedAt: "2024-01-01 11:00:00", UpdatedAt: "1704106800",
			DurationS: new(1.25), Permalink: odd, ReviewState: odd, Score: Score{NPS: new(0.0), CSAT: new(-1.5), CES: new(1e21), Custom: new(1e-7)}, Feedback: odd,
			Answers: []Answer{
				{QuestionID: odd, Question: odd, Type: odd, Value: json.RawMessage(` [ "b" , 12345678901234567890 ] `), ValueIDs: json.RawMessage(`["1","2"]`), Comment: odd},
				{QuestionID: "m", Value: json.RawMessage(`{"row": {"2": true, "1": 1.0}}`)},
			},
			Result: json.RawMessage(`{"title": "x", "right_answers": 3}`),
			Leads:  []json.RawMessage{json.RawMessage(`{"email": "a@b.c", "terms_accepted": true}`), json.RawMessage(`{"phone": "+1"}`)},
		},
		Respondent: Respondent{
			ID: odd, ExternalID: odd, Email: " A@b.C ", Name: "Ada  King", FirstName: "", LastName: "", Phone: "+90 555", Verified: new(true), Consent: new(false),
			Params: json.RawMessage(`{"plan": "pro", "a.b": {"c": 1}}`),
		},
		Context:  Context{IP: "::1", UserAgent: odd, PageURL: odd, Channel: odd, Language: "tr", Country: "TR", CollectorID: odd},
		Warnings: []string{odd, "two"},
		Unread:   []string{odd, "two"},
	}
	return h, d, Raw{ContentType: odd, Body: []byte(odd), Redacted: true, AnswersAt: []string{"a", odd}, LeadsAt: []string{"l"}}
}

func TestEnvelopesKeepToTheSchemaAndToJavaScript(t *testing.T) {
	t.Parallel()
	schema := validator(t)
	fullHead, fullData, fullRaw := everything()
	h, d, raw := sampleParts(t)
	for name, make := range map[string]func() (*Event, error){
		"sample":     func() (*Event, error) { return New(h, d, raw) },
		"everything": func() (*Event, error) { return New(fullHead, fullData, fullRaw) },
		"nothing":    func() (*Event, error) { return New(Header{Type: TypeTest, Received: received}, nil, Raw{}) },
		"notice": func() (*Event, error) {
			return New(Header{Type: "gateway.destination.paused", Received: received}, nil, Raw{})
		},
		"binary body": func() (*Event, error) {
			return New(Header{Type: TypeUnknown, Received: received}, nil, Raw{Body: []byte{0xff, 0, 'a'}, ContentType: "text/plain"})
		},
		"only a survey": func() (*Event, error) {
			return New(Header{Type: TypeSurveyClosed, Received: received}, &Data{Survey: Survey{ID: "s"}}, Raw{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := make()
			if err != nil {
				t.Fatal(err)
			}
			validate(t, schema, e.Envelope())
			validate(t, schema, e.EnvelopeWithRaw())
			if stable, err := CompactJSON(e.Envelope()); err != nil || string(stable) != string(e.Envelope()) {
				t.Errorf("not compact: %v\n%s\n%s", err, stable, e.Envelope())
			}
			if name != "everything" { // which has a number that JavaScript cannot hold
				if stable, err := StableJSON(e.Envelope(), KeepDigits); err != nil || string(stable) != string(e.Envelope()) {
					t.Errorf("not stable: %v\n%s\n%s", err, stable, e.Envelope())
				}
			}
			var whole struct {
				Data json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(e.Envelope(), &whole); err != nil || string(whole.Data) != string(e.DataJSON()) {
				t.Errorf("DataJSON is %s, but the envelope holds %s (%v)", e.DataJSON(), whole.Data, err)
			}
			if e.Size() != len(e.Envelope())+len(e.Raw.Body) {
				t.Errorf("size %d", e.Size())
			}
		})
	}
}

func TestDecodeReturnsTheSameEvent(t *testing.T) {
	t.Parallel()
	fullHead, fullData, fullRaw := everything()
	events := map[string]*Event{"sample": sample(t)}
	for name, e := range map[string]struct {
		h   Header
		d   *Data
		raw Raw
	}{
		"everything":   {fullHead, fullData, fullRaw},
		"nothing":      {Header{Type: TypeUnknown, Received: received}, nil, Raw{}},
		"account only": {Header{Type: TypeUnknown, Received: received}, &Data{Account: Account{ID: "a"}}, Raw{}},
		"no survey id": {Header{Type: TypeUnknown, Received: received}, &Data{Survey: Survey{Title: "t", Version: "1"}, Response: Response{Feedback: "f"}}, Raw{}},
		"slashes":      {Header{Type: TypeUnknown, Received: received}, &Data{Survey: Survey{ID: "a/b"}, Response: Response{ID: "c/d"}}, Raw{}},
		"response":     {Header{Type: TypeUnknown, Received: received}, &Data{Response: Response{ID: "r"}}, Raw{}},
		"context":      {Header{Type: TypeUnknown, Received: received}, &Data{Context: Context{IP: "::1"}}, Raw{}},
		"warnings":     {Header{Type: TypeUnknown, Received: received}, &Data{Warnings: []string{"w"}}, Raw{}},
		"bad UTF-8":    {Header{Type: TypeUnknown, OrigID: "\xff", DedupeKey: "\xff\xfe", SourceKind: "\xff", Received: received}, &Data{Survey: Survey{ID: "\xff"}}, Raw{ContentType: "\xff"}},
	} {
		ev, err := New(e.h, e.d, e.raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		events[name] = ev
	}
	for name, want := range events {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same := func(how string, got *Event) {
				t.Helper()
				if diff := cmp.Diff(want.Header, got.Header); diff != "" {
					t.Errorf("%s: header (-new +decoded):\n%s", how, diff)
				}
				if diff := cmp.Diff(want.Raw, got.Raw); diff != "" {
					t.Errorf("%s: raw (-new +decoded):\n%s", how, diff)
				}
				if diff := cmp.Diff(want.Data(), got.Data()); diff != "" {
					t.Errorf("%s: data (-new +decoded):\n%s", how, diff)
				}
			}
			got, err := Decode(want.Envelope(), want.Raw.Body)
			if err != nil {
				t.Fatal(err)
			}
			same("ours", got)
			if string(got.EnvelopeWithRaw()) != string(want.EnvelopeWithRaw()) || string(got.DataJSON()) != string(want.DataJSON()) {
				t.Errorf("got %s\nwant %s", got.EnvelopeWithRaw(), want.EnvelopeWithRaw())
			}
			if !(&Event{envelope: want.Envelope()}).decodeOurs() {
				t.Errorf("took the slow way: %s", want.Envelope())
			}
			// The same envelope, written by somebody else.
			var v any
			if err := json.Unmarshal(want.Envelope(), &v); err != nil {
				t.Fatal(err)
			}
			pretty, err := json.MarshalIndent(v, " ", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if got, err = Decode(pretty, want.Raw.Body); err != nil {
				t.Fatal(err)
			}
			if name == "everything" { // through float64 and sorted keys
				return
			}
			same("foreign", got)
			var whole struct {
				Data struct{ Raw struct{ Body *string } }
			}
			if err := json.Unmarshal(got.EnvelopeWithRaw(), &whole); err != nil {
				t.Fatalf("%v in %s", err, got.EnvelopeWithRaw())
			}
			if body := whole.Data.Raw.Body; body != nil && *body != string(want.Raw.Body) || body == nil && len(want.Raw.Body) > 0 {
				t.Errorf("raw.body %v, want %q", body, want.Raw.Body)
			}
		})
	}
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return file
}
