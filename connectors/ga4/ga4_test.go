package ga4

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "ga4")
}

// Check sends an example event, and JudgeCheck does not quote the answer.
func TestCheck(t *testing.T) {
	t.Parallel()
	c, _ := connectors.New("ga4")
	settings := "measurement_id: G-1\napi_secret: x\nregion: eu\nparams: {plan: \"'pro'\"}"
	if err := connectortest.Bind([]byte(settings), c); err != nil {
		t.Fatal(err)
	}
	checker := c.(connectors.Checker)
	asked := checker.Check()
	if len(asked) != 1 {
		t.Fatalf("%d requests", len(asked))
	}
	const want = `POST https://region1.google-analytics.com/debug/mp/collect?measurement_id=G-1

{
  "client_id": "1232601095.2617887801",
  "events": [
    {
      "name": "survey_response",
      "params": {
        "survey_type": "nps",
        "nps_score": 9,
        "survey_id": "example",
        "response_id": "example",
        "plan": "pro",
        "session_id": "1767323045",
        "engagement_time_msec": 100
      }
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
		{200, `{"validationMessages":[]}`, connectors.Proof{Unproved: []string{unchecked}}},
		{
			200, `{"validationMessages":[{"fieldPath":"events","description":"bad [x]","validationCode":"NAME_INVALID"},{"validationCode":"secret x"}]}`,
			connectors.Proof{Missing: []string{"a body that Google accepts (NAME_INVALID)", "a body that Google accepts"}, Unproved: []string{unchecked}},
		},
		{200, `<html>`, connectors.Missing("an answer from Google's check server: asked for what is wrong with an event, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
		{200, `{}`, connectors.Missing("an answer from Google's check server: asked for what is wrong with an event, got 200 OK, JSON of another form (2 bytes); check the proxies and gateways in between")},
		{404, ``, connectors.Missing("an answer to the check (404 Not Found)")},
	}
	for _, row := range rows {
		got := checker.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: asked[0]})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", row.status, row.body, diff)
		}
	}
}

func TestARepeatMayCountTwice(t *testing.T) {
	t.Parallel()
	if got := (&Connector{}).MaxRetries(); got != 3 {
		t.Errorf("%d retries, want 3", got)
	}
}

// A respondent has the same client id for any spelling of the address. Another respondent, and another stream, have another id.
func TestOneRespondentIsOneClient(t *testing.T) {
	t.Parallel()
	client := func(stream, given string) string {
		ev, err := connectortest.ParseEvent([]byte(given))
		if err != nil {
			t.Fatal(err)
		}
		id, err := (&Connector{Account: Account{MeasurementID: stream}}).client(ev)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	jo := client("G-1", `{"type":"response.completed","email":"jo@example.com","response":{"id":"r1"}}`)
	if again := client("G-1", `{"type":"response.completed","email":"Jo@Example.com","response":{"id":"r2"}}`); again != jo {
		t.Errorf("one person is %s and %s", jo, again)
	}
	for _, other := range []string{
		client("G-2", `{"type":"response.completed","email":"jo@example.com"}`),
		client("G-1", `{"type":"response.completed","email":"mo@example.com"}`),
		client("G-1", `{"type":"response.completed","phone":"+905551234567"}`),
		client("G-1", `{"type":"response.completed","response":{"id":"r1"}}`),
		client("G-1", `{"type":"response.completed","response":{"id":"r2"}}`),
	} {
		if other == jo {
			t.Errorf("somebody else is %s too", other)
		}
	}
}

// TestFields is the contract's table.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "ga4", "measurement_id: G-AB12\napi_secret: x\nuser_id: respondent.external_id\nclient_id: params.ga\nparams: {comment: feedback, country: context.country}", []connectortest.Field{
		{To: "method", From: "always", Want: "POST"},
		{To: "url", From: "measurement_id", Want: "https://www.google-analytics.com/mp/collect?measurement_id=G-AB12"},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "client_id", From: "respondent.params.ga", Sample: "1234567890.1795214596"},
		{To: "user_id", From: "respondent.external_id", Sample: "u-42"},
		{To: "timestamp_micros", From: "time", Sample: "2026-01-02T03:00:00.123456Z", Want: 1767322800123456},
		{To: "events.0.name", From: "always", Want: "survey_response"},
		{To: "events.0.params.survey_type", From: "survey.type", Sample: "nps"},
		{To: "events.0.params.nps_score", From: "response.score.nps", Sample: 9},
		{To: "events.0.params.survey_id", From: "survey.id", Sample: "s1"},
		{To: "events.0.params.response_id", From: "response.id", Sample: "r1"},
		{To: "events.0.params.session_id", From: "seconds of the time", Want: "1767322800"},
		{To: "events.0.params.engagement_time_msec", From: "always", Want: 100},
		{To: "events.0.params.comment", From: "response.feedback", Sample: "Fast"},
		{To: "events.0.params.country", From: "context.country", Sample: "TR"},
	})
}

// TestGooglesLimits checks Google's limits on texts, names and the body.
func TestGooglesLimits(t *testing.T) {
	t.Parallel()
	const account = "measurement_id: G-AB12\napi_secret: x\n"
	c, _ := connectors.New("ga4")
	if err := connectortest.Bind([]byte(account+"params: {page_location: feedback, page_referrer: feedback, page_title: feedback, comment: feedback}"), c); err != nil {
		t.Fatal(err)
	}
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","feedback":"` + strings.Repeat("é", 1200) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	req, err := c.Build(ev)
	if err != nil {
		t.Fatal(err)
	}
	var sent struct {
		Events []struct {
			Params map[string]any `json:"params"`
		} `json:"events"`
	}
	if err := json.Unmarshal(req.Body, &sent); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"page_location": 1000, "page_referrer": 420, "page_title": 300, "comment": 100} {
		text, _ := sent.Events[0].Params[name].(string)
		if got := utf8.RuneCountInString(text); got != want {
			t.Errorf("%s: %d characters, want %d", name, got, want)
		}
	}
	for _, name := range []string{"app_store_refund", "GA_score", "Google_score", "FireBase_x", "gA_x"} {
		c, _ := connectors.New("ga4")
		if err := connectortest.Bind([]byte(account+"event: "+name), c); err == nil {
			t.Errorf("the event %s is Google's own", name)
		}
		if name == "app_store_refund" {
			continue
		}
		c, _ = connectors.New("ga4")
		if err := connectortest.Bind([]byte(account+"params: {"+name+": nps_score}"), c); err == nil {
			t.Errorf("the parameter %s is Google's own", name)
		}
	}
	// As much as there can be, in characters that take the most bytes.
	names := "client_id: feedback\nuser_id: feedback\nparams: {page_location: feedback, page_referrer: feedback, page_title: feedback"
	for i := range maxParams - len(standardParams) - 3 {
		names += fmt.Sprintf(", p%s%d: feedback", strings.Repeat("x", 35), i)
	}
	full, _ := connectors.New("ga4")
	if err := connectortest.Bind([]byte(account+names+"}"), full); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{strings.Repeat("\\u0001", 256), strings.Repeat("𝄞", 256)} {
		if ev, err = connectortest.ParseEvent([]byte(`{"type":"response.completed","feedback":"` + text + `"}`)); err != nil {
			t.Fatal(err)
		}
		if req, err := full.Build(ev); err != nil || len(req.Body) > 130_000/4 { // a text of 1,000 is four times as long
			t.Errorf("%v: a body of %d bytes", err, len(req.Body))
		}
	}
}

// A delivery that waited for days has a time that Google no longer accepts. The verdict says so.
func TestAStaleTime(t *testing.T) {
	t.Parallel()
	c, _ := connectors.New("ga4")
	if err := connectortest.Bind([]byte("measurement_id: G-AB12\napi_secret: x"), c); err != nil {
		t.Fatal(err)
	}
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","nps_score":7}`))
	if err != nil {
		t.Fatal(err)
	}
	for waited, want := range map[time.Duration]string{
		72 * time.Hour:             "accepted, not confirmed",
		72*time.Hour + time.Second: "accepted, not confirmed; sent with its time, which is more than 72 hours ago by now: Google may drop it",
		30 * 24 * time.Hour:        "accepted, not confirmed; sent with its time, which is more than 72 hours ago by now: Google may drop it",
		-time.Second:               "accepted, not confirmed", // clocks
	} {
		v := c.(connectors.Judge).Judge(&connectors.Response{Status: 204, At: ev.Time.Add(waited), Events: []*event.Event{ev}})
		if v.Kind != connectors.Delivered || v.Reason != want {
			t.Errorf("after %s: %v, want %q", waited, v, want)
		}
	}
}
