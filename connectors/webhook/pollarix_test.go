package webhook

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// pollarixEvent is an event of Pollarix itself.
func pollarixEvent(t testing.TB, body string) *event.Event {
	t.Helper()
	ev, err := event.New(
		event.Header{
			ID: "1", Tenant: "acme", Source: "surveys", SourceKind: "pollarix", Type: event.TypeResponseCompleted,
			Time: connectortest.ReceivedAt, Received: connectortest.ReceivedAt, OrigType: "SURVEY_COMPLETED",
		},
		&event.Data{Survey: event.Survey{ID: "s1"}},
		event.Raw{ContentType: "application/json", Body: []byte(body), AnswersAt: []string{"data.responses"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// An event of Pollarix keeps all that its body holds. Only the two members that name the platform's own subscription are replaced, so
// that a receiver never takes another tenant's webhook for its own.
func TestPollarixBodiesAreReaddressed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body, want string
		answers    bool
	}{
		"as published": {
			`{"event":"SURVEY_COMPLETED","timestamp":"2026-01-02T03:04:05Z","webhookId":"wh_theirs","departmentId":"dept_theirs","data":{"surveyId":"s1","responses":[{"answer":9}]}}`,
			`{"event":"SURVEY_COMPLETED","timestamp":"2026-01-02T03:04:05Z","webhookId":"wh_ours","departmentId":"acme","data":{"surveyId":"s1","responses":[{"answer":9}]}}`, true,
		},
		"without answers": {
			`{"event":"SURVEY_COMPLETED","timestamp":"t","webhookId":"wh_theirs","departmentId":"dept_theirs","data":{"surveyId":"s1","responses":[{"answer":9}]}}`,
			`{"event":"SURVEY_COMPLETED","timestamp":"t","webhookId":"wh_ours","departmentId":"acme","data":{"surveyId":"s1"}}`, false,
		},
		"an event and members that are not published": {
			"\ufeff{ \"extra\" : [1, 2], \"data\" : {\"id\": 9007199254740993}, \"event\" : \"SURVEY_OPENED\", \"departmentId\": 7, \"departmentId\": 8, \"z\": null }\n",
			`{"event":"SURVEY_OPENED","webhookId":"wh_ours","departmentId":"acme","data":{"id":9007199254740993},"extra":[1,2],"z":null}`, true,
		},
		"no envelope": {
			`{"event":"SURVEY_COMPLETED","data":[]}`,
			`{"event":"SURVEY_COMPLETED","timestamp":"2026-01-02T03:04:05Z","webhookId":"wh_ours","departmentId":"acme","data":{"surveyId":"s1",`, true,
		},
		"no JSON": {
			`event=SURVEY_COMPLETED`,
			`{"event":"SURVEY_COMPLETED","timestamp":"2026-01-02T03:04:05Z","webhookId":"wh_ours","departmentId":"acme","data":{"surveyId":"s1",`, true,
		},
	} {
		c := &Connector{Preset: "pollarix", SendAnswers: row.answers, SendLeads: true}
		c.SetName("wh_ours")
		req, err := c.Build(pollarixEvent(t, row.body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := string(req.Body); got != row.want && (!strings.HasSuffix(row.want, ",") || !strings.HasPrefix(got, row.want)) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, row.want)
		}
		if len(req.Header) != 1 || req.Header[0].Value != "application/json" {
			t.Errorf("%s: %v", name, req.Header)
		}
	}
}

// FuzzPollarixBodies: whatever bytes a source of Pollarix took in, the body that is sent names this webhook and its tenant, and nothing
// else at its top does.
func FuzzPollarixBodies(f *testing.F) {
	f.Add(`{"event":"SURVEY_COMPLETED","timestamp":"t","webhookId":"wh_theirs","departmentId":"dept_theirs","data":{"a":[{}]},"more":1}`, true)
	f.Add(`{"event":"E","data":{},"webhookId":1,"webhook\u0049d":2,"departmentId":{"departmentId":3}}`, false)
	f.Add(`{"event":"E","data":{"responses":[1]} , "x" : "\ud800" }`, false)
	f.Add("\ufeff [1]", true)
	f.Fuzz(func(t *testing.T, body string, answers bool) {
		c := &Connector{Preset: PollarixPreset, SendAnswers: answers, SendLeads: true}
		c.SetName("wh_ours")
		req, err := c.Build(pollarixEvent(t, body))
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if !jsonpath.Valid(req.Body) {
			t.Fatalf("%q became %q", body, req.Body)
		}
		count := map[string]int{}
		jsonpath.Parse(req.Body).ForEach(func(key string, value jsonpath.Result) bool {
			if count[key]++; key == "webhookId" && value.Text() != "wh_ours" || key == "departmentId" && value.Text() != "acme" || key == "data" && value.Kind() != jsonpath.Object {
				t.Errorf("%q became %q", body, req.Body)
			}
			return true
		})
		for _, key := range []string{"event", "webhookId", "departmentId", "data"} {
			if count[key] != 1 {
				t.Errorf("%q became %q: it has %s %d times", body, req.Body, key, count[key])
			}
		}
	})
}

// A webhook that says otherwise sends what it says.
func TestPollarixPresetIsOverridden(t *testing.T) {
	t.Parallel()
	body := `{"event":"SURVEY_COMPLETED","webhookId":"wh_theirs","data":{}}`
	c := &Connector{Preset: "pollarix", Body: Body{Format: RawBytes}, SendAnswers: true, SendLeads: true}
	if req, err := c.Build(pollarixEvent(t, body)); err != nil || string(req.Body) != body || len(req.Header) != 4 {
		t.Errorf("%v %v", req, err)
	}
	c.Body = Body{Values: mustValues(t)}
	if req, err := c.Build(pollarixEvent(t, body)); err != nil || string(req.Body) != `{"a":true}` {
		t.Errorf("%v %v", req, err)
	}
}

// Every canonical type has a name, and no two have the same.
func TestPollarixNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, canonical := range event.Types {
		name := pollarixName(canonical)
		if other := seen[name]; other != "" || name != strings.ToUpper(name) || strings.Contains(name, ".") {
			t.Errorf("%s is %s, as is %q", canonical, name, other)
		}
		seen[name] = canonical
	}
}
