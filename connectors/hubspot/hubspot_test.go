package hubspot

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "hubspot")
}

func TestNoteTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.PlayFiles(t, "hubspot.note", "testdata/note/*.txtar", connectortest.Bind)
}

const token = "token: pat-eu1-1\n"

// TestFields is the contract's table of the upsert, and of the search and the note that follow.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "hubspot", token+"properties: {sg_nps: nps_score, sg_comment: feedback, sg_vip: respondent.params.vip}", []connectortest.Field{
		{To: "method", From: "always", Want: "POST"},
		{To: "url", From: "api_version", Want: "https://api.hubapi.com/crm/v3/objects/contacts/batch/upsert"},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "inputs.0.id", From: "respondent.email", Sample: "Jane@Example.com", Want: "jane@example.com"},
		{To: "inputs.0.idProperty", From: "key", Want: "email"},
		{To: "inputs.0.objectWriteTraceId", From: "the event's id", Want: "c5f1d3274e204a0b36cb7dc9ab1aa6a8"},
		{To: "inputs.0.properties.email", From: "respondent.email", Sample: "Jane@Example.com", Want: "jane@example.com"},
		{To: "inputs.0.properties.firstname", From: "respondent.first_name", Sample: "Jane"},
		{To: "inputs.0.properties.lastname", From: "respondent.last_name", Sample: "de la Cruz"},
		{To: "inputs.0.properties.phone", From: "respondent.phone", Sample: "+905550001122"},
		{To: "inputs.0.properties.sg_nps", From: "response.score.nps", Sample: 9, Want: "9"},
		{To: "inputs.0.properties.sg_comment", From: "response.feedback", Sample: "Fast"},
		{To: "inputs.0.properties.sg_vip", From: "respondent.params.vip", Sample: true, Want: "true"},
	})

	c, _ := connectors.New("hubspot.note")
	if err := connectortest.Bind([]byte(token+"api_version: 2026-03"), c); err != nil {
		t.Fatal(err)
	}
	n := c.(*Note)
	ev := given(t, `{"type":"response.completed","time":"2026-01-02T03:00:00Z","email":"jane@example.com","feedback":"Fast","nps_score":9,"response":{"id":"r1"}}`)
	contact := &connectors.Response{Status: 200, Body: []byte(`{"status":"COMPLETE","results":[{"id":"512"}]}`), Events: []*event.Event{ev}}
	search := n.Judge(contact).Next
	connectortest.CheckRequest(t, search, map[string]any{
		"method":                                "POST",
		"url":                                   "https://api.hubapi.com/crm/objects/2026-03/notes/search",
		"filterGroups.0.filters.0.propertyName": "hs_note_body",
		"filterGroups.0.filters.0.operator":     "CONTAINS_TOKEN",
		"filterGroups.0.filters.0.value":        "2j3f7f25l6fmabulko23", // the response
		"properties.0":                          "hs_note_body",
		"limit":                                 10,
		"after":                                 "0",
	})
	none := &connectors.Response{Status: 200, Body: []byte(`{"total":0,"results":[]}`), To: search, Events: contact.Events, Trail: []*connectors.Response{contact}}
	connectortest.CheckRequest(t, n.Judge(none).Next, map[string]any{
		"method":                  "POST",
		"url":                     "https://api.hubapi.com/crm/objects/2026-03/notes",
		"properties.hs_timestamp": "2026-01-02T03:00:00Z", // the event's time
		"properties.hs_note_body": "New response: Score 9/10<br>Feedback: Fast<br>[sg:2j3f7f25l6fmabulko23]",
		"associations.0.to.id":    "512", // the contact
		"associations.0.types.0.associationCategory": "HUBSPOT_DEFINED",
		"associations.0.types.0.associationTypeId":   202,
	})
}

func given(t testing.TB, text string) *event.Event {
	t.Helper()
	ev, err := connectortest.ParseEvent([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func bound(t testing.TB, name, config string) connectors.Connector {
	t.Helper()
	c, _ := connectors.New(name)
	if err := connectortest.Bind([]byte(token+config), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// A contact has one key for any spelling of its address, because HubSpot refuses a batch that names a contact twice.
func TestOneContactIsOneKey(t *testing.T) {
	t.Parallel()
	rows := []struct{ product, config, event, want string }{
		{"hubspot", "", `{"type":"test","email":"Jane@Example.com"}`, "jane@example.com"},
		{"hubspot", "", `{"type":"test"}`, ""},
		{"hubspot", "properties: {email: params.mail}", `{"type":"test","email":"a@example.com","params":{"mail":"B@example.com"}}`, "b@example.com"},
		{"hubspot", "key: customer_no", `{"type":"test","email":"a@example.com","respondent":{"external_id":"U1"}}`, "u1"},
		{"hubspot", "key: customer_no", `{"type":"test","email":"a@example.com"}`, ""},
		{"hubspot.note", "", `{"type":"test","email":"Jane@Example.com"}`, "jane@example.com"},
	}
	for _, row := range rows {
		if got := bound(t, row.product, row.config).(connectors.Keyer).Key(given(t, row.event)); got != row.want {
			t.Errorf("%s %s: %q, want %q", row.product, row.config, got, row.want)
		}
	}
}

// 207 gives each contact its own verdict if HubSpot identifies the contacts of its errors. Otherwise the events that the answer does
// not name are retried alone.
func TestPartOfABatch(t *testing.T) {
	t.Parallel()
	c := bound(t, "hubspot", "").(*Connector)
	events := []*event.Event{given(t, `{"type":"test","id":"1","email":"a@example.com"}`), given(t, `{"type":"test","id":"2","email":"b@example.com"}`), given(t, `{"type":"test","id":"3","email":"c@example.com"}`)}
	named := func(i int) string { return `"` + events[i].ID + `"` }
	res := &connectors.Response{Status: 207, Events: events, Body: []byte(`{"status":"COMPLETE","results":[{"id":"1","objectWriteTraceId":` + named(0) + `}],
		"errors":[{"category":"VALIDATION_ERROR","context":{"objectWriteTraceId":[` + named(1) + `]}},{"category":"RATE_LIMITS","context":{"objectWriteTraceId":[` + named(2) + `]}}]}`)}
	v := c.Judge(res)
	var kinds []connectors.Kind
	for _, each := range v.Each {
		kinds = append(kinds, each.Kind)
	}
	if diff := cmp.Diff([]connectors.Kind{connectors.Delivered, connectors.Rejected, connectors.Retry}, kinds); diff != "" {
		t.Errorf("%v (-want +got):\n%s", v, diff)
	}
	// Whom an error does not name is asked for alone; those that the answer names are done.
	alone := connectors.Rejected + " alone"
	for name, row := range map[string]struct {
		body string
		want []connectors.Kind
	}{
		"no trace": {
			`{"status":"COMPLETE","results":[{"id":"1"},{"id":"2"}],"errors":[{"category":"VALIDATION_ERROR"}]}`, []connectors.Kind{alone, alone, alone},
		},
		"named by its address": {
			`{"status":"COMPLETE","results":[],"errors":[{"category":"VALIDATION_ERROR","context":{"id":"a@example.com"}}]}`,
			[]connectors.Kind{connectors.Rejected, alone, alone},
		},
		"one left": {
			`{"status":"COMPLETE","results":[{"id":"1","objectWriteTraceId":` + named(0) + `}],"errors":[{"category":"VALIDATION_ERROR","context":{"objectWriteTraceId":[` + named(1) + `]}}]}`,
			[]connectors.Kind{connectors.Delivered, connectors.Rejected, alone},
		},
		"by the property": {
			`{"status":"COMPLETE","results":[{"id":"1","properties":{"email":"C@example.com","phone":null}},{"id":"2","properties":{"email":"a@example.com"}}]}`,
			[]connectors.Kind{connectors.Delivered, alone, connectors.Delivered},
		},
		"as many, of which one is known by another address": {
			`{"status":"COMPLETE","results":[{"id":"1","properties":{"email":"other@example.com"}},{"id":"2","properties":{"email":"a@example.com"}},{"id":"3","objectWriteTraceId":` + named(1) + `}]}`,
			[]connectors.Kind{connectors.Delivered, connectors.Delivered, alone},
		},
		"as many, which name nobody": {
			`{"status":"COMPLETE","results":[{"id":"1"},{"id":"2"},{"id":"3","properties":{"email":null}}]}`,
			[]connectors.Kind{connectors.Delivered, connectors.Delivered, connectors.Delivered},
		},
		"as many, of others": {
			`{"status":"COMPLETE","results":[{"id":"1","properties":{"email":"x@example.com"}},{"id":"2","objectWriteTraceId":"x"},{"id":"3","properties":{"email":"z@example.com"}}]}`,
			[]connectors.Kind{alone, alone, alone},
		},
		"more than were asked for": {
			`{"status":"COMPLETE","results":[{"id":"1"},{"id":"2"},{"id":"3"},{"id":"4"}]}`, []connectors.Kind{alone, alone, alone},
		},
		"one contact twice": {
			`{"status":"COMPLETE","results":[{"id":"1"},{"id":"2"},{"id":"2"}]}`, []connectors.Kind{alone, alone, alone},
		},
		"none": {`{"status":"COMPLETE","results":[],"errors":[]}`, []connectors.Kind{alone, alone, alone}},
	} {
		for _, status := range []int{200, 207} {
			v := c.Judge(&connectors.Response{Status: status, Events: events, Body: []byte(row.body)})
			var got []connectors.Kind
			for _, each := range v.Each {
				if each.RetryAlone {
					each.Kind += " alone"
				}
				got = append(got, each.Kind)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("%s, %d: %v (-want +got):\n%s", name, status, v, diff)
			}
		}
	}
	for _, status := range []int{200, 207} {
		v := c.Judge(&connectors.Response{Status: status, Events: events[:1], Body: []byte(`{"status":"COMPLETE","results":[],"errors":[]}`)})
		if v.Kind != connectors.Rejected || v.RetryAlone || !strings.HasSuffix(v.Reason, connectors.UnconfirmedReason) {
			t.Errorf("%d without a result for the only one: %v", status, v)
		}
	}
	// HubSpot finds a contact by an address of before too, and answers with today's.
	if v := c.Judge(&connectors.Response{Status: 200, Events: events[:1], Body: []byte(`{"status":"COMPLETE","results":[{"id":"1","properties":{"email":"today@example.com"}}]}`)}); v.Kind != connectors.Delivered {
		t.Errorf("the only one, by another address: %v", v)
	}
	if v := c.Judge(&connectors.Response{Status: 207, Events: events, Body: []byte(`{"status":"COMP`), Truncated: true}); v.Kind != connectors.Rejected {
		t.Errorf("207 cut short: %v", v)
	}
	if v := c.Judge(&connectors.Response{Status: 200, Events: events, Body: []byte(`{"status":"COMP`), Truncated: true}); v.Kind != connectors.Rejected || v.Each != nil {
		t.Errorf("200 cut short: %v", v)
	}
	if v := c.Judge(&connectors.Response{Status: 200, Events: events, Body: []byte(`<html><title>Sign in</title>`), Truncated: true}); v.Kind != connectors.Retry {
		t.Errorf("a long page of somebody else's: %v", v)
	}
}

// The response limit suffices for the answer to a full batch, with every character escaped.
func TestTheAnswerIsReadWhole(t *testing.T) {
	t.Parallel()
	c := bound(t, "hubspot", "properties: {sg_comment: feedback}").(*Connector)
	var events []*event.Event
	var results []string
	for i := range maxBatch {
		events = append(events, given(t, fmt.Sprintf(`{"type":"test","id":"%d","email":"a%d@example.com","feedback":%q}`, i, i, strings.Repeat("ü", 500))))
		results = append(results, fmt.Sprintf(`{"id":"%d","objectWriteTraceId":%q,"properties":{"sg_comment":"%s"}}`, i, events[i].ID, strings.Repeat(`\u00fc`, 500)))
	}
	req, err := c.BuildBatch(events)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"status":"COMPLETE","results":[` + strings.Join(results, ",") + `]}`)
	most := min(len(body), req.ResponseLimit)
	v := c.Judge(&connectors.Response{Status: 200, Body: body[:most], Truncated: most < len(body), To: req, Events: events})
	for i, each := range v.Each {
		if each.Kind != connectors.Delivered {
			t.Fatalf("%d: %v", i, each)
		}
	}
	if len(v.Each) != maxBatch {
		t.Errorf("%v: %d verdicts", v, len(v.Each))
	}
}

func TestReasonsNamePropertyAndValues(t *testing.T) {
	t.Parallel()
	quoted := func(message string) string {
		text, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	inside := func(message string) string {
		return `{"status":"error","message":` + quoted(`Property values were not valid: [{"isValid":false,"message":`+quoted(message)+`,"error":"INVALID_OPTION","name":"lead_source"}]`) + `,"category":"VALIDATION_ERROR"}`
	}
	const begins = "400 Bad Request: VALIDATION_ERROR INVALID_OPTION lead_source"
	for name, row := range map[string]struct{ body, want string }{
		"in the message": {inside("web-form was not one of the allowed options"), begins},
		"with values":    {inside("jo@example.com was not one of the allowed options: [web, phone, Trade fair]"), begins + " (allowed: web, phone, Trade fair)"},
		"described": {
			inside("x was not one of the allowed options: [label: \"Web form\"\nvalue: \"web_form\"\ndisplayOrder: 0\n, label: \"Phone\"\nvalue: \"phone\"\n]"), begins + " (allowed: web_form, phone)",
		},
		"a respondent's list": {
			inside("x was not one of the allowed options: [jo@example.com] was not one of the allowed options: [web, al@example.com]"), begins + " (allowed: web)",
		},
		"many": {
			inside("x was not one of the allowed options: [" + strings.Repeat("o", 39) + ", " + strings.Repeat("p", 39) + ", " + strings.Repeat("q", 39) + ", " + strings.Repeat("r", 39) + "]"),
			begins + " (allowed: " + strings.Repeat("o", 39) + ", " + strings.Repeat("p", 39) + ", " + strings.Repeat("q", 39) + ", …)",
		},
		"in errors": {
			`{"category":"VALIDATION_ERROR","errors":[{"message":"x was not one of the allowed options: [web]","code":"INVALID_OPTION","context":{"propertyName":["lead_source"]}}]}`, begins + " (allowed: web)",
		},
		"several":     {`{"category":"VALIDATION_ERROR","message":` + quoted(`Property values were not valid: [{"error":"INVALID_INTEGER","name":"sg_nps","message":"nine was not a valid number."},{"error":"PROPERTY_DOESNT_EXIST","name":"sg_nsp"}]`) + `}`, "400 Bad Request: VALIDATION_ERROR INVALID_INTEGER sg_nps PROPERTY_DOESNT_EXIST sg_nsp"},
		"no list":     {`{"category":"VALIDATION_ERROR","message":"bad: [oh no"}`, "400 Bad Request: VALIDATION_ERROR"},
		"not a word":  {`{"category":"VALIDATION_ERROR","message":` + quoted(`bad: [{"error":"jo@example.com","name":"Jo Doe"}]`) + `}`, "400 Bad Request: VALIDATION_ERROR"},
		"not objects": {`{"category":"VALIDATION_ERROR","message":"bad: [1, 2]"}`, "400 Bad Request: VALIDATION_ERROR"},
	} {
		v := bound(t, "hubspot", "").(*Connector).Judge(&connectors.Response{Status: 400, Body: []byte(row.body)})
		if v.Kind != connectors.Rejected || v.Reason != row.want {
			t.Errorf("%s: %v, want %s", name, v, row.want)
		}
	}
}

// TestEveryCategoryHasItsHint checks all documented categories, and the most frequent codes.
func TestEveryCategoryHasItsHint(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]connectors.Fix{
		"400 Bad Request: VALIDATION_ERROR":                              connectors.FixConfiguration,
		"400 Bad Request: VALIDATION_ERROR INVALID_OPTION lead_source":   connectors.FixProduct,
		"400 Bad Request: VALIDATION_ERROR PROPERTY_DOESNT_EXIST sg_nsp": connectors.FixProduct,
		"400 Bad Request: VALIDATION_ERROR INVALID_EMAIL email":          connectors.FixNone,
		"401 Unauthorized: INVALID_AUTHENTICATION":                       connectors.FixCredentials,
		"401 Unauthorized: EXPIRED_AUTHENTICATION":                       connectors.FixCredentials,
		"403 Forbidden: MISSING_SCOPES crm.objects.contacts.write":       connectors.FixProduct,
		"403 Forbidden":                                                  connectors.FixProduct,
		"404 Not Found: OBJECT_NOT_FOUND":                                connectors.FixProduct,
		"409 Conflict: CONFLICT":                                         connectors.FixProduct,
		"414 Request URI Too Long":                                       connectors.FixConfiguration,
		"429 Too Many Requests: RATE_LIMITS DAILY":                       connectors.FixWait,
		connectors.Unconfirmed(&connectors.Response{Status: 200}).Reason: connectors.FixProduct,
		"no attempts left: 403 Forbidden: MISSING_SCOPES":                connectors.FixProduct,
	} {
		for _, name := range []string{"hubspot", "hubspot.note"} {
			if c, ok := connectors.CauseOf(name, reason); !ok || c.Fix != want {
				t.Errorf("%s %s: %+v, want %s", name, reason, c, want)
			}
		}
	}
}

func TestTheDayEndsWithHalfAnHour(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]time.Duration{"03:04:05": 25*time.Minute + 55*time.Second, "03:30:00": 30 * time.Minute, "23:59:59": time.Second} {
		clock, err := time.Parse(time.DateTime, "2026-01-02 "+at)
		if err != nil {
			t.Fatal(err)
		}
		if got := (problem{PolicyName: "DAILY"}).wait(clock); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][]string{
		"v3": {"GET /account-info/v3/details", "POST /crm/v3/objects/contacts/search", "POST /crm/v3/objects/contacts/batch/upsert", "GET /crm/v3/properties/contacts"},
		"2026-03": {
			"GET /account-info/2026-03/details", "POST /crm/objects/2026-03/contacts/search",
			"POST /crm/objects/2026-03/contacts/batch/upsert", "GET /crm/properties/2026-03/contacts",
		},
	} {
		for _, name := range []string{"hubspot", "hubspot.note"} {
			var got []string
			for _, req := range bound(t, name, "api_version: "+version).(connectors.Checker).Check() {
				got = append(got, req.Method+" "+strings.TrimPrefix(req.URL, "https://api.hubapi.com"))
				if _, ok := req.Auth.(connectors.BearerAuth); !ok {
					t.Errorf("%s goes without its token", req.URL)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", name, version, diff)
			}
		}
	}
	c := bound(t, "hubspot", "key: customer_no\nproperties: {sg_nps: nps_score}").(*Connector)
	usual := `{"name":"email"},{"name":"firstname"},{"name":"lastname"},{"name":"phone"},`
	rows := []struct {
		ask    string
		status int
		body   string
		want   connectors.Proof
	}{
		{account, 200, `{"portalId":1}`, connectors.Proof{}},
		{account, 401, `{"category":"INVALID_AUTHENTICATION"}`, connectors.Missing("a token that HubSpot accepts (401 Unauthorized: INVALID_AUTHENTICATION)")},
		{account, 403, `{"category":"MISSING_SCOPES"}`, connectors.Proof{}},
		{reading, 403, `{"category":"MISSING_SCOPES"}`, connectors.Missing("the scope crm.objects.contacts.read")},
		{writing, 403, `{"category":"MISSING_SCOPES"}`, connectors.Missing("the scope crm.objects.contacts.write")},
		{writing, 400, `{"category":"VALIDATION_ERROR"}`, connectors.Proof{}},
		{writing, 404, ``, connectors.Missing("an answer to the check (404 Not Found)")},
		{properties, 403, `{}`, connectors.Proof{Unproved: []string{"that its properties exist: the token lacks the scope crm.schemas.contacts.read"}}},
		{properties, 200, `{"results":[` + usual + `{"name":"customer_no","hasUniqueValue":true},{"name":"sg_nps"}]}`, connectors.Proof{}},
		{properties, 200, `{"results":[` + usual + `{"name":"customer_no"}]}`, connectors.Missing("the property sg_nps", "unique values of the property customer_no")},
		{properties, 200, `<html>`, connectors.Proof{Unproved: []string{"that its properties exist: the answer is not HubSpot's"}}},
	}
	for _, row := range rows {
		got := c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: &connectors.Request{Name: row.ask}})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s %d (-want +got):\n%s", row.ask, row.status, diff)
		}
	}
}
