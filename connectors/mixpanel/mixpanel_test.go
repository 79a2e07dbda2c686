package mixpanel

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
	connectortest.Play(t, "mixpanel")
}

func bound(t testing.TB, settings string) *Connector {
	t.Helper()
	c, _ := connectors.New("mixpanel")
	if err := connectortest.Bind([]byte(settings), c); err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

// TestFields is the contract's table.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "mixpanel", "token: x\ndistinct_id: respondent.external_id\nproperties: {comment: feedback, country: context.country}", []connectortest.Field{
		{To: "method", From: "always", Want: "POST"},
		{To: "url", From: "region", Want: "https://api.mixpanel.com/import?strict=1"},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "0.event", From: "always", Want: "survey_response"},
		{To: "0.properties.time", From: "time", Sample: "2026-01-02T03:00:00.123456Z", Want: 1767322800123},
		{To: "0.properties.distinct_id", From: "respondent.external_id", Sample: "u-42"},
		{To: "0.properties.$insert_id", From: "hash of the tenant, the event and its name", Want: "fbde23af434ad78be2eaac8a1dba7cae999d"},
		{To: "0.properties.ip", From: "always", Want: "0"},
		{To: "0.properties.survey_type", From: "survey.type", Sample: "nps"},
		{To: "0.properties.nps_score", From: "response.score.nps", Sample: 9},
		{To: "0.properties.survey_id", From: "survey.id", Sample: "s1"},
		{To: "0.properties.response_id", From: "response.id", Sample: "r1"},
		{To: "0.properties.comment", From: "response.feedback", Sample: "Fast"},
		{To: "0.properties.country", From: "context.country", Sample: "TR"},
	})
}

// TestCheck: Check sends an event that Mixpanel refuses, and JudgeCheck does not quote the answer.
func TestCheck(t *testing.T) {
	t.Parallel()
	byToken, byAccount := bound(t, "token: x"), bound(t, "service_account: jo\nsecret: x\nproject: 12")
	asked := byAccount.Check()
	if len(asked) != 1 {
		t.Fatalf("%d requests", len(asked))
	}
	const want = `POST https://api.mixpanel.com/import?strict=1&project_id=12

[
  {
    "event": "survey_response",
    "properties": {
      "time": 0,
      "distinct_id": "",
      "$insert_id": "surveygate-check",
      "ip": "0"
    }
  }
]
`
	if diff := cmp.Diff(want, string(asked[0].Transcript())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	good := connectors.Proof{Unproved: []string{unchecked}}
	rows := []struct {
		c      *Connector
		status int
		body   string
		want   connectors.Proof
	}{
		{byToken, 400, `{"code":400,"failed_records":[{"index":0,"field":"properties.time"}],"num_records_imported":0}`, good},
		{byToken, 200, `{"code":200,"num_records_imported":0,"status":"OK"}`, good},
		{byToken, 400, `{"code":400,"error":"jo"}`, connectors.Missing("an answer to the check (400 Bad Request)")},
		{byToken, 401, `{"code":401,"error":"Invalid credentials"}`, connectors.Missing("a token that Mixpanel accepts (401 Unauthorized)")},
		{byAccount, 401, ``, connectors.Missing("a service account that Mixpanel accepts (401 Unauthorized)")},
		{byAccount, 403, ``, connectors.Missing("the role Owner or Admin of the service account (403 Forbidden)")},
		{byToken, 200, `<html>`, connectors.Missing("an answer from Mixpanel: asked for the validation of an event, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
		{byToken, 404, ``, connectors.Missing("an answer to the check (404 Not Found)")},
	}
	for _, row := range rows {
		got := row.c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: asked[0]})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", row.status, row.body, diff)
		}
	}
}

// TestNamesOfThePerson: Mixpanel refuses some ids in whatever spelling programs write them.
func TestNamesOfThePerson(t *testing.T) {
	t.Parallel()
	c := bound(t, "token: x\ndistinct_id: params.id")
	for given, want := range map[string]string{"u-42": "u-42", "undefined": "own", "Null": "own", "0": "own", "{}": "own", "": "pseudonym", " ": "pseudonym"} {
		ev, err := connectortest.ParseEvent(fmt.Appendf(nil, `{"type":"response.completed","email":"jo@example.com","params":{"id":%q}}`, given))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.person(ev, "own")
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 32 {
			got = "pseudonym"
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", given, got, want)
		}
	}
}

// BenchmarkBuildBatch builds a batch of 100 events; divide by 100 for the cost of one event.
func BenchmarkBuildBatch(b *testing.B) {
	c := bound(b, "token: x\nproperties: {comment: feedback, title: \"{{ survey.title }}\"}")
	events := make([]*event.Event, 100)
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
