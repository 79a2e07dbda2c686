package bigquery

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/connectors/declared"
	"github.com/surveygate/surveygate/rules/event"
)

const settings = "{credentials: '${GOOGLE_CREDENTIALS}', dataset: feedback, table: responses"

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "bigquery")
}

func bound(t testing.TB, more string) *Connector {
	t.Helper()
	c := &Connector{Standard: true}
	if err := connectortest.Bind([]byte(settings+more+"}"), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func parsed(t testing.TB, text string) *event.Event {
	t.Helper()
	ev, err := connectortest.ParseEvent([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// TestFields is the table of the default row.
func TestFields(t *testing.T) {
	t.Parallel()
	given := parsed(t, `{"type":"response.completed","time":"2026-01-02T03:00:00.123456789Z","nps_score":9.5,"csat_score":4.5,"ces_score":2,
		"feedback":"fast","email":"jo@example.com","name":"Jo Doe","survey":{"id":"s1","title":"Onboarding","type":"nps"},
		"response":{"id":"1","started_at":"2026-01-02T02:59:00Z","completed_at":"2026-01-02T03:00:00.1234567Z","duration_s":42.5,"score":{"custom":7},
		"answers":[{"question_id":"2","question":"Why?","value":["price",3]}]},
		"respondent":{"id":"p1","external_id":"u1"},"context":{"language":"en"}}`)
	req, err := bound(t, "").Build(given)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"method":          "POST",
		"url":             "https://bigquery.googleapis.com/bigquery/v2/projects/acme-surveys/datasets/feedback/tables/responses/insertAll",
		"skipInvalidRows": true,
		"rows.0.insertId": string(appendInsertID(nil, given, rowOf(t, given))),
	}
	for name, value := range map[string]any{
		"event_id": given.ID, "event_type": "response.completed", "event_time": "2026-01-02T03:00:00.123456Z", "received_at": "2026-01-02T03:04:05Z",
		"tenant": "default", "source": "api", "survey_id": "s1", "survey_title": "Onboarding", "survey_type": "nps",
		"response_id": "1", "response_key": given.ResponseKey(), "started_at": "2026-01-02T02:59:00Z", "submitted_at": "2026-01-02T03:00:00.123456Z",
		"duration_s": 42.5, "nps_score": 9.5, "nps_group": "promoter", "csat_score": 4.5, "ces_score": 2, "custom_score": 7, "feedback": "fast",
		"respondent_id": "p1", "external_id": "u1", "email": "jo@example.com", "name": "Jo Doe", "language": "en",
		"answers": `[{"question_id":"2","question":"Why?","value":["price",3]}]`,
	} {
		want["rows.0.json."+name] = value
	}
	connectortest.CheckRequest(t, req, want)
	auth, ok := req.Auth.(connectors.OAuth2)
	if !ok || auth.Grant != connectors.GrantAssertion || auth.Issuer != "gateway@acme-surveys.iam.gserviceaccount.com" || !cmp.Equal(auth.Scopes, []string{scope}) {
		t.Errorf("the credential is %+v", req.Auth)
	}
}

func rowOf(t testing.TB, ev *event.Event) []byte {
	t.Helper()
	values, err := (&Connector{Standard: true}).values(ev)
	if err != nil {
		t.Fatal(err)
	}
	text, err := values.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// BigQuery drops a row whose id it has just seen: two rows about one event must have two ids, and one row always the same.
func TestInsertID(t *testing.T) {
	t.Parallel()
	const given = `{"type":"response.completed","nps_score":9,"survey":{"id":"s1"},"response":{"id":"1"}}`
	id := func(more, tenant string) string {
		ev, err := event.ParseOne([]byte(given), event.Defaults{Tenant: tenant, Source: "api", Received: connectortest.ReceivedAt, Verified: "token"})
		if err != nil {
			t.Fatal(err)
		}
		req, err := bound(t, more).Build(ev)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(req.Body), `"insertId":"`)
		id, _, _ := strings.Cut(rest, `"`)
		return id
	}
	first := id("", "acme")
	if n := len(first); n == 0 || n > 128 {
		t.Fatalf("the id has %d characters", n)
	}
	if id("", "acme") != first {
		t.Error("a repeated row has another id")
	}
	for what, other := range map[string]string{
		"of another rule": id(", standard: false, row: {score: nps_score}", "acme"), "of another tenant": id("", "zeta"),
	} {
		if other == first {
			t.Errorf("the row %s has the same id", what)
		}
	}
}

// An answer that was cut off does not say which rows were refused, so a batch is tried again in parts.
func TestAnswerThatIsCutOff(t *testing.T) {
	t.Parallel()
	c := bound(t, "")
	events := make([]*event.Event, 100)
	for i := range events {
		events[i] = parsed(t, fmt.Sprintf(`{"type":"response.completed","id":"ev-%d"}`, i))
	}
	req, err := c.BuildBatch(events)
	if err != nil {
		t.Fatal(err)
	}
	if want := 100 * errorsOfRow; req.ResponseLimit != want {
		t.Errorf("%d bytes of the answer are read, want %d", req.ResponseLimit, want)
	}
	v := c.Judge(&connectors.Response{Status: 200, Body: []byte(`{"kind":"bigquery#tableDataInsertAllResponse","insertErrors":[{"ind`), Truncated: true, To: req, Events: events})
	if v.Kind != connectors.Rejected || v.Each != nil {
		t.Errorf("got %v", v)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const table = "`acme-surveys.feedback.responses`"
	own := ", standard: false, row: {score: nps_score, when: response.completed_at, who: email, done: response.completed, why: \"answer('2')\", both: [email, name], place: {country: context.country}}"
	var all []string
	for _, c := range columns {
		all = append(all, `{"name":"`+strings.ToUpper(c.name)+`","type":"STRING"}`)
	}
	complete := strings.Join(all, ",")
	for _, row := range []struct {
		more   string
		status int
		body   string
		want   connectors.Proof
	}{
		{"", 200, `{"kind":"bigquery#table","schema":{"fields":[` + complete + `]}}`, connectors.Proof{Unproved: []string{unchecked}}},
		{"", 200, `{"kind":"bigquery#table","schema":{"fields":[` + strings.Join(all[2:], ",") + `,{"name":"team","type":"STRING","mode":"REQUIRED"}]}}`, connectors.Proof{
			Missing: []string{
				"the columns event_id, event_type of the table responses; add them with: ALTER TABLE " + table + " ADD COLUMN event_id STRING, ADD COLUMN event_type STRING",
				"a value for the column team, which the table requires",
			},
			Unproved: []string{unchecked},
		}},
		{own, 200, `{"kind":"bigquery#table"}`, connectors.Proof{
			Missing: []string{"the columns score, when, who, done, why, both, place of the table responses; add them with: ALTER TABLE " + table +
				" ADD COLUMN score FLOAT64, ADD COLUMN when TIMESTAMP, ADD COLUMN who STRING, ADD COLUMN done BOOL, ADD COLUMN why STRING, " +
				"ADD COLUMN both ARRAY<STRING>, ADD COLUMN place STRUCT<country STRING>"},
			Unproved: []string{unchecked},
		}},
		{
			", standard: false, row: {score: nps_score}", 404, `{"error":{"code":404,"message":"Not found: Table acme-surveys:feedback.responses","errors":[{"reason":"notFound"}]}}`,
			connectors.Missing("the table responses; create it with: CREATE TABLE " + table + " (score FLOAT64)"),
		},
		{
			"", 404, `{"error":{"code":404,"message":"Not found: Dataset acme-surveys:feedback","errors":[{"reason":"notFound"}]}}`,
			connectors.Missing("the dataset feedback in the project acme-surveys"),
		},
		{
			", standard: false", 404, `{"error":{"code":404,"message":"Not found: Table acme-surveys:feedback.responses"}}`,
			connectors.Missing("the table responses; create it with the columns that the rules have in `row`"),
		},
		{
			", standard: false, row: {score: nps_score}", 404, `<html>`,
			connectors.Missing("the project acme-surveys, its dataset or its table; create the table with: CREATE TABLE " + table + " (score FLOAT64)"),
		},
		{"", 401, `{"error":{"errors":[{"reason":"authError"}]}}`, connectors.Missing("a key that Google accepts (401 Unauthorized: authError)")},
		{"", 403, `{"error":{"errors":[{"reason":"accessDenied"}]}}`, connectors.Missing(
			"permission to read the table: give the service account the role BigQuery Data Editor on the dataset (403 Forbidden: accessDenied)")},
		{"", 400, ``, connectors.Missing("an answer to the check (400 Bad Request)")},
		{"", 200, `<html>`, connectors.Missing("an answer from BigQuery: asked for the table, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
	} {
		c := bound(t, row.more)
		if diff := cmp.Diff(row.want, c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body)})); diff != "" {
			t.Errorf("%d %.80s (-want +got):\n%s", row.status, row.body, diff)
		}
	}
	added := bound(t, ", row: {country: context.country, EMAIL: respondent.external_id}").createTable()
	if !strings.Contains(added, "answers JSON, country STRING, EMAIL STRING)") || strings.Contains(added, " email ") {
		t.Errorf("own columns beside the standard ones: %s", added)
	}
	partition := &Connector{Standard: true}
	if err := connectortest.Bind([]byte("{credentials: '${GOOGLE_CREDENTIALS}', project: acme-data, dataset: feedback, table: responses$20260131}"), partition); err != nil {
		t.Fatal(err)
	}
	if got, want := partition.Check()[0].URL, "https://bigquery.googleapis.com/bigquery/v2/projects/acme-data/datasets/feedback/tables/responses"; got != want {
		t.Errorf("the check asks for %s, want %s", got, want)
	}
}

// The page names every column of the default row, and the statement has a type for each.
func TestDefaultColumns(t *testing.T) {
	t.Parallel()
	source, err := declared.Read(".")
	if err != nil {
		t.Fatal(err)
	}
	comment := strings.FieldsFunc(source.Field("Connector", "Row"), func(r rune) bool { return strings.ContainsRune(" \n`,", r) })
	statement := bound(t, "").createTable()
	for _, c := range columns {
		if !columnName.MatchString(c.name) || !strings.Contains(statement, c.name+" "+c.kind) {
			t.Errorf("%s is not in %s", c.name, statement)
		}
		if !slices.Contains(comment, c.name) {
			t.Errorf("the setting's comment does not name the column %s", c.name)
		}
	}
}

// A batch of 500 rows; divide by 500 for the cost of one.
func BenchmarkBuildBatch(b *testing.B) {
	c := bound(b, "")
	events := make([]*event.Event, maxRows)
	for i := range events {
		events[i] = parsed(b, fmt.Sprintf(`{"type":"response.completed","id":"ev-%d","nps_score":9,"feedback":"Fast","email":"jo%d@example.com","name":"Jo Doe",
			"survey":{"id":"s1","title":"Onboarding"},"response":{"id":"r%d","answers":[{"question_id":"2","question":"Why?","value":"Fast"}]}}`, i, i, i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.BuildBatch(events); err != nil {
			b.Fatal(err)
		}
	}
}
