package amplitude

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "amplitude")
}

func bound(t testing.TB, settings string) *Connector {
	t.Helper()
	c, _ := connectors.New("amplitude")
	if err := connectortest.Bind([]byte(settings), c); err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

// TestFields is the contract's table.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "amplitude", "api_key: x\nuser_id: respondent.external_id\nproperties: {comment: feedback, country: context.country}", []connectortest.Field{
		{To: "method", From: "always", Want: "POST"},
		{To: "url", From: "region", Want: "https://api2.amplitude.com/2/httpapi"},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "options.min_id_length", From: "always", Want: 1},
		{To: "events.0.event_type", From: "always", Want: "survey_response"},
		{To: "events.0.time", From: "time", Sample: "2026-01-02T03:00:00.123456Z", Want: 1767322800123},
		{To: "events.0.user_id", From: "respondent.external_id", Sample: "u-42"},
		{To: "events.0.insert_id", From: "hash of the tenant, the event and its name", Want: "fbde23af434ad78be2eaac8a1dba7cae999d"},
		{To: "events.0.event_properties.survey_type", From: "survey.type", Sample: "nps"},
		{To: "events.0.event_properties.nps_score", From: "response.score.nps", Sample: 9},
		{To: "events.0.event_properties.survey_id", From: "survey.id", Sample: "s1"},
		{To: "events.0.event_properties.response_id", From: "response.id", Sample: "r1"},
		{To: "events.0.event_properties.comment", From: "response.feedback", Sample: "Fast"},
		{To: "events.0.event_properties.country", From: "context.country", Sample: "TR"},
	})
}

// TestCheck: Check sends an event that Amplitude refuses, and JudgeCheck does not quote the answer.
func TestCheck(t *testing.T) {
	t.Parallel()
	c := bound(t, "api_key: x\nregion: eu")
	asked := c.Check()
	if len(asked) != 1 {
		t.Fatalf("%d requests", len(asked))
	}
	const want = `POST https://api.eu.amplitude.com/2/httpapi

{
  "options": {
    "min_id_length": 1
  },
  "events": [
    {
      "device_id": "00000000-0000-0000-0000-000000000000",
      "event_type": "survey_response",
      "time": 0,
      "insert_id": "surveygate-check"
    }
  ]
}
`
	if diff := cmp.Diff(want, string(asked[0].Transcript())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	rows := []struct {
		status int
		body   string
		want   connectors.Proof
	}{
		{400, `{"code":400,"error":"Invalid API key: x"}`, connectors.Missing("an API key that Amplitude accepts in the region eu (Invalid API key)")},
		{400, `{"code":400,"error":"Invalid field values on some events","events_with_invalid_fields":{"device_id":[0]}}`, connectors.Proof{Unproved: []string{unchecked}}},
		{200, `{"code":200,"events_ingested":0}`, connectors.Proof{}},
		{400, `<html>`, connectors.Missing("an answer to the check (400 Bad Request)")},
		{200, `<html>`, connectors.Missing("an answer from Amplitude: asked for what is wrong with an event, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
		{404, ``, connectors.Missing("an answer to the check (404 Not Found)")},
	}
	for _, row := range rows {
		got := c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: asked[0]})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", row.status, row.body, diff)
		}
	}
}

// TestPerson: Amplitude refuses some ids in whatever spelling programs write them. Those people are anonymous, as are those
// without an id.
func TestPerson(t *testing.T) {
	t.Parallel()
	c := bound(t, "api_key: x\nuser_id: params.id")
	for given, want := range map[string]string{"u-42": "u-42", "7": "7", "undefined": "", "Null": "", "0": "", "{}": "", "": "", " ": ""} {
		ev, err := connectortest.ParseEvent(fmt.Appendf(nil, `{"type":"response.completed","email":"jo@example.com","params":{"id":%q}}`, given))
		if err != nil {
			t.Fatal(err)
		}
		user, device, err := c.person(ev)
		if err != nil {
			t.Fatal(err)
		}
		if user != want || (want == "") != (len(device) == 32) {
			t.Errorf("%q: user %q, device %q", given, user, device)
		}
	}
}

// BenchmarkBuildBatch builds a batch of 100 events; divide by 100 for the cost of one event.
func BenchmarkBuildBatch(b *testing.B) {
	c := bound(b, "api_key: x\nproperties: {comment: feedback, title: \"{{ survey.title }}\"}")
	events := make([]*event.Event, maxEvents)
	for i := range events {
		ev, err := connectortest.ParseEvent(fmt.Appendf(nil, `{"type":"response.completed","id":"ev-%d","nps_score":9,"feedback":"Fast","email":"jo%d@example.com"}`, i, i))
		if err != nil {
			b.Fatal(err)
		}
		events[i] = ev
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.BuildBatch(events); err != nil {
			b.Fatal(err)
		}
	}
}
