package airtable

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "airtable")
}

const account = "token: pat.1\nbase: appAAAAAAAAAAAAAA\ntable: tblAAAAAAAAAAAAAA\n"

// TestFields is the contract's table of the upsert.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "airtable", account+"typecast: true\nfields: {VIP: respondent.params.vip}", []connectortest.Field{
		{To: "method", From: "always", Want: "PATCH"},
		{To: "url", From: "base, table", Want: "https://api.airtable.com/v0/appAAAAAAAAAAAAAA/tblAAAAAAAAAAAAAA"},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "performUpsert.fieldsToMergeOn.0", From: "merge_on", Want: "Response ID"},
		{To: "typecast", From: "typecast", Want: true},
		{To: "records.0.fields.Response ID", From: "response.id", Sample: "8731", Want: "8731 qnsb55gt2smxpstwfhrz"},
		{To: "records.0.fields.Email", From: "respondent.email", Sample: "Jane@Example.com", Want: "jane@example.com"},
		{To: "records.0.fields.Name", From: "respondent.name", Sample: "Jane"},
		{To: "records.0.fields.Phone", From: "respondent.phone", Sample: "+905550001122"},
		{To: "records.0.fields.NPS", From: "response.score.nps", Sample: 9},
		{To: "records.0.fields.CSAT", From: "response.score.csat", Sample: 4},
		{To: "records.0.fields.CES", From: "response.score.ces", Sample: 6.5},
		{To: "records.0.fields.Feedback", From: "response.feedback", Sample: "Fast"},
		{To: "records.0.fields.Survey", From: "survey.title", Sample: "Onboarding"},
		{To: "records.0.fields.Submitted at", From: "response.completed_at", Sample: "2026-01-02T03:00:00Z", Want: "2026-01-02T03:00:00.000Z"},
		{To: "records.0.fields.VIP", From: "respondent.params.vip", Sample: true},
	})
}

func bound(t testing.TB, config string) *Connector {
	t.Helper()
	c, _ := connectors.New("airtable")
	if err := connectortest.Bind([]byte(account+config), c); err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

func given(t testing.TB, tenant, text string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(text), event.Defaults{Tenant: tenant, Source: "api", Received: connectortest.ReceivedAt, Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// Events have the same key exactly if they write the same row.
func TestKey(t *testing.T) {
	t.Parallel()
	const one = `{"type":"test","id":"a","email":"Jane@Example.com","nps_score":9,"survey":{"id":"s1"},"response":{"id":"1"}}`
	rows := []struct {
		config, tenant, other string
		same                  bool
	}{
		{"", "acme", `{"type":"test","id":"b","survey":{"id":"s1"},"response":{"id":"1"}}`, true},
		{"", "zeta", `{"type":"test","id":"b","survey":{"id":"s1"},"response":{"id":"1"}}`, false},
		{"", "acme", `{"type":"test","id":"b","survey":{"id":"s2"},"response":{"id":"1"}}`, false},
		{"merge_on: [Email]", "acme", `{"type":"test","id":"b","email":"jane@example.com"}`, true},
		{"merge_on: [Email, NPS]", "acme", `{"type":"test","id":"b","email":"jane@example.com","nps_score":8}`, false},
		{"fields: {Response ID: response.id}", "zeta", `{"type":"test","id":"b","response":{"id":"1"}}`, true},
	}
	for _, row := range rows {
		c := bound(t, row.config)
		first, second := c.Key(given(t, "acme", one)), c.Key(given(t, row.tenant, row.other))
		if first == "" || (first == second) != row.same {
			t.Errorf("%s: the keys are %q and %q", row.config, first, second)
		}
	}
	for _, config := range []string{"merge_on: []", "merge_on: [Email]"} {
		if key := bound(t, config).Key(given(t, "acme", `{"type":"test","response":{"id":"1"}}`)); key != "" {
			t.Errorf("%s: the key is %q, want none", config, key)
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	rows := map[string]string{
		"": "", " fine ": "fine", "=1+1": "'=1+1", "\t=1": "'=1", "@SUM(A1)": "'@SUM(A1)", "-cmd": "'-cmd", "+A1": "'+A1",
		"-12": "-12", "+90 (555) 000-11/22": "+90 (555) 000-11/22", "-1,234.50": "-1,234.50", "-": "-", "=5": "'=5", "1-cmd": "1-cmd",
	}
	for text, want := range rows {
		if got := guard(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Only rows that nothing identifies have a limit of retries.
func TestMaxRetries(t *testing.T) {
	t.Parallel()
	if got := bound(t, "merge_on: []").MaxRetries(); got != maxRepeats {
		t.Errorf("added rows are retried %d times", got)
	}
	if got := bound(t, "").MaxRetries(); got < 1000 {
		t.Errorf("changed rows are retried %d times", got)
	}
}

// The quota is renewed at the beginning of a month.
func TestQuota(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]time.Duration{
		"2026-01-02T03:04:05Z": 24 * time.Hour, "2026-12-31T23:00:00Z": time.Hour, "2026-02-28T12:00:00Z": 12 * time.Hour,
	} {
		clock, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := untilNextMonth(clock); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestLongTextIsCut(t *testing.T) {
	t.Parallel()
	c := bound(t, "fields: {Comment: feedback, Long: \"'x{{ feedback }}'\"}")
	body, err := json.Marshal(map[string]any{"type": "test", "feedback": strings.Repeat("ü", maxText+1)})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := c.fields(given(t, "acme", string(body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Feedback", "Comment", "Long"} {
		v, _ := fields.Lookup(name)
		text, _ := v.(string)
		if utf8.RuneCountInString(text) != maxText || !strings.HasSuffix(text, "…") {
			t.Errorf("%s has %d characters", name, utf8.RuneCountInString(text))
		}
	}
	if _, ok := fields.Lookup("Email"); ok {
		t.Error("an absent value is in the row")
	}
}

// An answer that was cut off proves that the rows were written: Airtable writes all or none.
func TestALongAnswerIsDelivered(t *testing.T) {
	t.Parallel()
	c, ev := bound(t, ""), given(t, "acme", `{"type":"test","response":{"id":"1"}}`)
	res := &connectors.Response{Status: 200, Body: []byte(`{"records":[{"id":"rec1","fields":{"A":"xx`), Truncated: true, Events: []*event.Event{ev, ev}}
	if v := c.Judge(res); v.Kind != connectors.Delivered || len(v.Each) != 2 || v.Each[1].Kind != connectors.Delivered {
		t.Errorf("%s", v)
	}
	res.Truncated = false
	if v := c.Judge(res); v.Kind != connectors.Retry {
		t.Errorf("an answer that is no JSON: %s", v)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := bound(t, "fields: {VIP: params.vip, Total: nps_score, Email: params.mail}\nmerge_on: [Response ID, Email]")
	var asked []string
	for _, req := range c.Check() {
		asked = append(asked, req.Method+" "+req.URL)
	}
	if diff := cmp.Diff([]string{"GET https://api.airtable.com/v0/meta/whoami", "GET https://api.airtable.com/v0/meta/bases/appAAAAAAAAAAAAAA/tables"}, asked); diff != "" {
		t.Error(diff)
	}
	column := func(name, kind string) string { return `{"id":"fld1","name":"` + name + `","type":"` + kind + `"}` }
	tables := func(fields ...string) string {
		return `{"tables":[{"id":"tblB","name":"Other","fields":[]},{"id":"tblAAAAAAAAAAAAAA","name":"Feedback","fields":[` + strings.Join(fields, ",") + `]}]}`
	}
	usual := []string{
		column("Response ID", "singleLineText"), column("Name", "singleLineText"), column("Phone", "phoneNumber"), column("NPS", "number"),
		column("CSAT", "rating"), column("CES", "number"), column("Survey", "multilineText"), column("VIP", "checkbox"),
	}
	lacks := "that the table and its columns exist: the token lacks the scope schema.bases:read, or the base appAAAAAAAAAAAAAA is not granted to it"
	rows := []struct {
		ask    string
		status int
		body   string
		want   connectors.Proof
	}{
		{owner, 200, `{"id":"usr1"}`, connectors.Proof{}},
		{owner, 200, `{"id":"usr1","scopes":["data.records:write"]}`, connectors.Proof{}},
		{owner, 200, `{"id":"usr1","scopes":["data.records:read"]}`, connectors.Missing("the scope data.records:write")},
		{owner, 200, `<html>`, connectors.Missing("an answer from Airtable: asked for the token's owner, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
		{owner, 401, `{"error":{"type":"AUTHENTICATION_REQUIRED"}}`, connectors.Missing("a token that Airtable accepts (401 Unauthorized: AUTHENTICATION_REQUIRED)")},
		{owner, 404, ``, connectors.Missing("an answer to the check (404 Not Found)")},
		{schema, 403, `{"error":{"type":"INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}}`, connectors.Proof{Unproved: []string{lacks}}},
		{schema, 200, `{}`, connectors.Missing("an answer from Airtable: asked for the base's tables, got 200 OK, JSON of another form (2 bytes); check the proxies and gateways in between")},
		{schema, 200, `{"tables":[]}`, connectors.Missing("the table tblAAAAAAAAAAAAAA")},
		{schema, 200, tables(append(usual, column("Feedback", "multilineText"), column("Submitted at", "dateTime"), column("Total", "number"), column("Email", "singleLineText"))...), connectors.Proof{}},
		{schema, 200, tables(append(usual, column("Submitted at", "singleLineText"), column("Total", "formula"), column("Email", "email"))...), connectors.Proof{
			Missing: []string{
				"the column Feedback (long text)", "the type date and time of the column Submitted at, which is singleLineText",
				"a column Total that can be written: it is formula, which Airtable computes",
			},
			Unproved: []string{"that Airtable merges on the column Email of the type email"},
		}},
		{schema, 200, tables(usual[1:7]...), connectors.Missing(
			"the column Response ID (single line text)", "the column Feedback (long text)", "the column Submitted at (date and time)",
			"the column VIP", "the column Total", "the column Email")},
	}
	for _, row := range rows {
		got := c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: &connectors.Request{Name: row.ask}})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s %d (-want +got):\n%s", row.ask, row.status, diff)
		}
	}
	if diff := cmp.Diff(connectors.Missing("the column Order"), bound(t, "standard: false\nmerge_on: [Order]").JudgeCheck(&connectors.Response{
		Status: 200, Body: []byte(tables(usual...)), To: &connectors.Request{Name: schema},
	})); diff != "" {
		t.Errorf("a column that only the steps fill (-want +got):\n%s", diff)
	}
	if got := bound(t, "typecast: true\nstandard: false").JudgeCheck(&connectors.Response{
		Status: 200, Body: []byte(tables(column("Response ID", "number"))), To: &connectors.Request{Name: schema},
	}); len(got.Missing)+len(got.Unproved) > 0 {
		t.Errorf("with typecast a column may have another type: %+v", got)
	}
}

func TestIsEmpty(t *testing.T) {
	t.Parallel()
	for _, v := range []any{nil, "", []any{}, expression.Object{}, []any{expression.Object{}, ""}} {
		if !isEmpty(v) {
			t.Errorf("%#v is not empty", v)
		}
	}
	for _, v := range []any{0.0, false, "x", []any{"", "x"}} {
		if isEmpty(v) {
			t.Errorf("%#v is empty", v)
		}
	}
}
