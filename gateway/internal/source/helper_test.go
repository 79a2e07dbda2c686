package source

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// noon is when test requests come in.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 123_000_000, time.UTC)

func profile(t testing.TB, name string) *Profile {
	t.Helper()
	p, ok := Builtin().Profile(name)
	if !ok {
		t.Fatalf("no profile %s", name)
	}
	return p
}

// open makes a source of a profile; settings may be left empty.
func open(t testing.TB, p *Profile, s Settings) *Source {
	t.Helper()
	s.Profile = p
	if s.Tenant == "" {
		s.Tenant = "acme"
	}
	if s.Name == "" {
		s.Name = p.Name + "-main"
	}
	if len(s.Secrets) == 0 && s.PathToken.IsZero() {
		s.Unverified = true
	}
	source, problems := New(s)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return source
}

// inline makes a source of a profile written in a test.
func inline(t testing.TB, text string) *Source {
	t.Helper()
	p, faults := Parse("test.yaml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return open(t, p, Settings{})
}

func payload(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "payloads", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func secrets(texts ...string) []connectors.Secret {
	list := make([]connectors.Secret, len(texts))
	for i, text := range texts {
		list[i] = connectors.NewSecret(text)
	}
	return list
}

// request is a POST with headers in pairs.
func request(body []byte, headers ...string) *Request {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &Request{Method: "POST", Header: h.Get, Body: body, ContentType: "application/json", Received: noon}
}

// one normalises a body to its one event.
func one(t testing.TB, s *Source, body string) *event.Event {
	t.Helper()
	events, err := s.Normalise(request([]byte(body)), noon)
	if err != nil {
		t.Fatalf("normalise: %v", err)
	}
	if len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
	return events[0]
}

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c.Compile("testdata/envelope.schema.json")
})

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	s, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// conforms checks both forms of an envelope against the published schema, and that nothing in it is empty.
func conforms(t testing.TB, s *jsonschema.Schema, ev *event.Event) {
	t.Helper()
	for _, text := range [][]byte{ev.Envelope(), ev.EnvelopeWithRaw()} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("envelope is not JSON: %v\n%s", err, text)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("envelope against the schema: %v\n%s", err, text)
		}
		data := doc.(map[string]any)["data"].(map[string]any)
		for key, value := range data {
			if key != "raw" {
				full(t, key, value)
			}
		}
	}
}

// full fails where something absent is spelt as null, "" or an empty object.
func full(t testing.TB, at string, value any) {
	t.Helper()
	switch v := value.(type) {
	case nil:
		t.Errorf("%s is null", at)
	case string:
		if v == "" {
			t.Errorf("%s is empty", at)
		}
	case map[string]any:
		if len(v) == 0 {
			t.Errorf("%s is empty", at)
		}
		for key, inner := range v {
			if !strings.HasPrefix(at, "respondent.params") && !strings.HasSuffix(at, ".value") {
				full(t, at+"."+key, inner)
			}
		}
	case []any:
		for _, inner := range v {
			if !strings.HasSuffix(at, ".value") {
				full(t, at, inner)
			}
		}
	}
}

// envelope is an event as a map, without the hash of its body.
func envelope(t testing.TB, ev *event.Event) map[string]any {
	t.Helper()
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(ev.Envelope()))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
