package sendgrid

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "sendgrid")
}

const (
	list    = "7c0ff7b2-1f3b-4e0a-9c0e-6a1b2c3d4e5f"
	account = "api_key: SG.0123456789abcdef\n"
)

func bound(t testing.TB, config string) *Connector {
	t.Helper()
	c, _ := connectors.New("sendgrid")
	if err := connectortest.Bind([]byte(account+config), c); err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

func parsed(t testing.TB, text string) *event.Event {
	t.Helper()
	ev, err := connectortest.ParseEvent([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// TestFields is the contract's table of a contact.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "sendgrid", account+"consent: assume\nlists: ["+list+"]\nfields: {e1_N: nps_score, e2_T: feedback, city: params.city}", []connectortest.Field{
		{To: "method", From: "always", Want: "PUT"},
		{To: "url", From: "always", Want: "https://api.sendgrid.com/v3/marketing/contacts"},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "list_ids.0", From: "lists", Want: list},
		{To: "contacts.0.email", From: "email", Sample: "Jane@Example.com"},
		{To: "contacts.0.first_name", From: "first_name", Sample: "Jane"},
		{To: "contacts.0.last_name", From: "last_name", Sample: "de la Cruz"},
		{To: "contacts.0.city", From: "params.city", Sample: "Bursa"},
		{To: "contacts.0.custom_fields.e1_N", From: "nps_score", Sample: 9},
		{To: "contacts.0.custom_fields.e2_T", From: "feedback", Sample: "Fast"},
	})
}

// TestBatch checks that respondents who are added to the lists share no request with those who are not.
func TestBatch(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]int{
		"": maxContacts, "lists: [" + list + "]": maxContacts, "consent: store": maxContacts, "consent: store\nlists: [" + list + "]": 1,
	} {
		if got := bound(t, config).Batch(); got.Events != want || got.Bytes != maxBytes || !got.Silent {
			t.Errorf("%q: %+v, want %d events", config, got, want)
		}
	}
	c := bound(t, "")
	if a, b := c.Key(parsed(t, `{"type":"test","email":"Jane@Example.com"}`)), c.Key(parsed(t, `{"type":"test","email":"jane@example.com"}`)); a != b || a == "" {
		t.Errorf("the keys %q and %q of one contact", a, b)
	}
}

// TestRef checks that a delivery keeps the id of its import.
func TestRef(t *testing.T) {
	t.Parallel()
	if v := bound(t, "").Judge(&connectors.Response{Status: 202, Body: []byte(`{"job_id":"j1"}`)}); v.Kind != connectors.Delivered || v.Ref != "j1" {
		t.Errorf("%v with the id %q", v, v.Ref)
	}
}

// TestEveryRefusalHasItsHint checks the documented refusals, and that no reason quotes the answer's own words.
func TestEveryRefusalHasItsHint(t *testing.T) {
	t.Parallel()
	c := bound(t, "fields: {e1_N: nps_score}")
	for _, row := range []struct {
		status int
		body   string
		kind   connectors.Kind
		fix    connectors.Fix
	}{
		{400, `{"errors":[{"field":"contacts[0].email","message":"jane@example"}]}`, connectors.Rejected, connectors.FixNone},
		{400, `{"errors":[{"field":"contacts[0].custom_fields.e1_N","message":"jane"}]}`, connectors.Rejected, connectors.FixConfiguration},
		{400, `{"errors":[{"message":"jane"}]}`, connectors.Rejected, connectors.FixConfiguration},
		{400, `{"errors":[{"message":"invalid custom field ids supplied - e1_N,jane"}]}`, connectors.Revoked, connectors.FixConfiguration},
		{400, `{"errors":[{"field":"list_ids[0]","message":"jane"}]}`, connectors.Revoked, connectors.FixConfiguration},
		{401, `{"errors":[{"message":"jane"}]}`, connectors.Revoked, connectors.FixCredentials},
		{403, `{"errors":[{"message":"access forbidden"}]}`, connectors.Revoked, connectors.FixProduct},
		{403, `{"errors":[{"message":"You are temporarily blocked"}]}`, connectors.Retry, connectors.FixWait},
		{404, ``, connectors.Rejected, connectors.FixConfiguration},
		{413, ``, connectors.Rejected, connectors.FixConfiguration},
		{429, `{"errors":[{"message":"too many requests"}]}`, connectors.Retry, connectors.FixWait},
		{451, ``, connectors.Revoked, connectors.FixConfiguration},
	} {
		v := c.Judge(&connectors.Response{Status: row.status, Body: []byte(row.body)})
		cause, ok := connectors.CauseOf("sendgrid", v.Reason)
		if v.Kind != row.kind || !ok || cause.Fix != row.fix || strings.Contains(v.Reason, "jane") {
			t.Errorf("%d %s: %v, with the cause %+v; want %s and %s", row.status, row.body, v, cause, row.kind, row.fix)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const fields = `{"custom_fields":[{"id":"e1_N","name":"nps","field_type":"Number"},{"id":"e2_T","name":"comment <b>","field_type":"Text"}],"reserved_fields":[]}`
	const two = `{"result":[{"id":"7c0ff7b2-1f3b-4e0a-9c0e-6a1b2c3d4e5f","name":"News"}],"_metadata":{}}`
	const more = `{"result":[],"_metadata":{"next":"https://api.sendgrid.com/v3/marketing/lists?page_token=x"}}`
	note := connectors.Proof{Notes: []string{"the custom field nps has the id e1_N"}}
	missing := note
	missing.Missing = []string{"the custom field e9_T"}
	for _, row := range []struct {
		config string
		ask    int
		status int
		body   string
		want   connectors.Proof
	}{
		{"", 0, 200, fields, note},
		{"fields: {e1_N: nps_score, city: params.city, e9_T: feedback}", 0, 200, fields, missing},
		{"", 0, 200, `{"custom_fields":[]}`, connectors.Proof{}},
		{"", 0, 200, `{}`, connectors.UnexpectedAnswer("SendGrid", "the custom fields", &connectors.Response{Status: 200, Body: []byte(`{}`)})},
		{"", 0, 401, "", connectors.Missing("an API key that SendGrid accepts (401 Unauthorized)")},
		{"", 0, 403, "", connectors.Missing("full access to Marketing for the key, or Marketing Campaigns in the account's plan; an account on the legacy product has another API (403 Forbidden)")},
		{"", 0, 451, "", connectors.Missing("the address of the account's region in base_url (451 Unavailable For Legal Reasons)")},
		{"", 0, 404, "", connectors.Missing("an answer to the check (404 Not Found)")},
		{"", 1, 200, two, connectors.Proof{Notes: []string{"the list News has the id " + list}}},
		{"lists: [" + list + "]", 1, 200, two, connectors.Proof{}},
		{"lists: [" + list + "]", 1, 200, `{"result":[]}`, connectors.Missing("the list " + list)},
		{"lists: [" + list + "]", 1, 200, more, connectors.Proof{Unproved: []string{"the list " + list + ": the account has more lists than one answer"}}},
		{"", 1, 200, "<html>", connectors.UnexpectedAnswer("SendGrid", "the lists", &connectors.Response{Status: 200, Body: []byte("<html>")})},
	} {
		c := bound(t, row.config)
		got := c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: c.Check()[row.ask]})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", row, diff)
		}
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		given any
		want  any
		fault string
	}{
		{"e1_N", 9.5, 9.5, ""},
		{"e1_N", "", "", ""},
		{"e1_N", "9", nil, "is a number"},
		{"e1_N", true, nil, "is a number"},
		{"e2_T", 9.0, "9", ""},
		{"e2_T", []any{"a", "b"}, "a, b", ""},
		{"e3_D", "2026-01-02", "2026-01-02", ""},
		{"e3_D", "1/2/2026", "1/2/2026", ""},
		{"e3_D", 1767322800.0, nil, "is a date"},
		{"e3_D", "yesterday", nil, "is a date"},
		{"e3_D", "2026-01-02T03:00:00Z", "2026-01-02T03:00:00Z", ""},
		{"e3_D", "2026-13-45", nil, "is a date"},
		{"e3_D", "2026-01-02, at noon", nil, "is a date"},
		{"e3_D", "31/12/2026", nil, "is a date"},
		{"city", strings.Repeat("c", 60), strings.Repeat("c", 60), ""},
		{"external_id", strings.Repeat("c", 255), nil, "more than 254"},
	} {
		got, err := convert(row.name, row.given)
		if row.fault == "" && (err != nil || got != row.want) || row.fault != "" && (err == nil || !strings.Contains(err.Error(), row.fault)) {
			t.Errorf("%s of %v is %v (%v), want %v and %q", row.name, row.given, got, err, row.want, row.fault)
		}
	}
}
