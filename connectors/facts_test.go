package connectors_test

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

func parsed(t *testing.T, tenant, body string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: tenant, Source: "forms", Received: time.Unix(1767323045, 0), Verified: "hmac"})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// TestProperties: the operator's values replace facts, keep their types, and lose their own length only.
func TestProperties(t *testing.T) {
	t.Parallel()
	own, err := expression.CompileValues([]expression.Pair{
		{Key: "survey_id", Value: "'own'"},
		{Key: "ces_score", Value: 7},
		{Key: "texts", Value: []any{"feedback", "' '", 1}},
		{Key: "nested", Value: []expression.Pair{{Key: "text", Value: "feedback"}, {Key: "none", Value: "{{ email }}"}}},
		{Key: "empty", Value: "{{ email }}"},
		{Key: "absent", Value: "email"},
		{Key: "yes", Value: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	ev := parsed(t, "acme", `{"type":"response.completed","nps_score":9,"csat_score":4,"ces_score":2,"feedback":"`+strings.Repeat("é", 9)+`","survey":{"id":"s1"},"response":{"id":"`+strings.Repeat("r", 9)+`"}}`)
	for range 2 { // the event is not changed
		got, err := connectors.Properties(ev, own, 5)
		if err != nil {
			t.Fatal(err)
		}
		text, err := event.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"nps_score":9,"response_id":"rrrr…","csat_score":4,"survey_id":"own","ces_score":7,"texts":["éééé…",1],"nested":{"text":"éééé…"},"yes":true}`; string(text) != want {
			t.Errorf("got  %s\nwant %s", text, want)
		}
	}
}

// TestPersonID: an id is never shortened, because it would be another person's.
func TestPersonID(t *testing.T) {
	t.Parallel()
	ev := parsed(t, "acme", `{"type":"response.completed","params":{"id":42,"long":"123456"}}`)
	for from, want := range map[string]string{
		"params.id": "42", "params.nowhere": "", "params.long": "error: `user_id` is longer than the 5 characters that an id may have",
		"params": "error: `user_id` is an object, and an id is a text", "' '": "",
	} {
		value, err := expression.CompileValue(from)
		if err != nil {
			t.Fatal(err)
		}
		got, err := connectors.PersonID("user_id", value, ev, 5)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", from, got, want)
		}
	}
	if got, err := connectors.PersonID("user_id", expression.Value{}, ev, 5); got != "" || err != nil {
		t.Errorf("without a setting: %q %v", got, err)
	}
}

// TestRecordID: an attempt repeats the id; another tenant, event and record have another one.
func TestRecordID(t *testing.T) {
	t.Parallel()
	const body = `{"type":"response.completed","id":"1","survey":{"id":"s1"},"response":{"id":"1"}}`
	seen := map[string]bool{}
	for _, ev := range []*event.Event{parsed(t, "acme", body), parsed(t, "zeta", body), parsed(t, "acme", strings.Replace(body, `"id":"1"`, `"id":"2"`, 1))} {
		for _, name := range []string{"a", "b"} {
			id := connectors.RecordID(ev, name)
			if seen[id] || len(id) != 36 || id != connectors.RecordID(ev, name) {
				t.Errorf("%s is no id of one record", id)
			}
			seen[id] = true
		}
	}
}
