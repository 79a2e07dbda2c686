package mailchimp

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "mailchimp")
}

// TestEveryTitleHasItsHint checks all documented titles and sentences.
func TestEveryTitleHasItsHint(t *testing.T) {
	t.Parallel()
	c := bound(t, account)
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","email":"jo@example.com","consent":true}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		status        int
		title, detail string
		kind          connectors.Kind
		fix           connectors.Fix
	}{
		{400, "Bad Request", "", connectors.Rejected, connectors.FixConfiguration},
		{400, "Invalid Action", "", connectors.Rejected, connectors.FixConfiguration},
		{400, "Invalid Resource", "", connectors.Rejected, connectors.FixConfiguration},
		{400, "Invalid Resource", "jo@example.com looks fake or invalid, please enter a real email address.", connectors.Rejected, connectors.FixNone},
		{400, "Invalid Resource", "jo@example.com was permanently deleted and cannot be re-imported. The contact must re-subscribe.", connectors.Rejected, connectors.FixNone},
		{400, "Forgotten Email Not Subscribed", "", connectors.Rejected, connectors.FixNone},
		{400, "JSON Parse Error", "", connectors.Rejected, connectors.FixConfiguration},
		{400, "Member In Compliance State", "", connectors.Skipping, connectors.FixNone},
		{400, "Invalid Resource", "jo@example.com has signed up to a lot of lists very recently", connectors.Retry, connectors.FixWait},
		{401, "API Key Missing", "", connectors.Revoked, connectors.FixCredentials},
		{401, "API Key Invalid", "", connectors.Revoked, connectors.FixCredentials},
		{403, "Forbidden", "", connectors.Revoked, connectors.FixProduct},
		{403, "User Disabled", "", connectors.Revoked, connectors.FixCredentials},
		{403, "Wrong Datacenter", "", connectors.Revoked, connectors.FixCredentials},
		{403, "", "", connectors.Retry, connectors.FixWait},
		{404, "Resource Not Found", "", connectors.Revoked, connectors.FixConfiguration},
		{405, "Method Not Allowed", "", connectors.Rejected, connectors.FixConfiguration},
		{422, "", "", connectors.Rejected, connectors.FixConfiguration},
		{429, "Too Many Requests", "", connectors.Retry, connectors.FixWait},
	} {
		body := fmt.Sprintf(`{"title":%q,"status":%d,"detail":%q}`, row.title, row.status, row.detail)
		v := c.Judge(&connectors.Response{Status: row.status, Body: []byte(body), Events: []*event.Event{ev}})
		cause, ok := connectors.CauseOf("mailchimp", v.Reason)
		if v.Kind != row.kind || !ok || cause.Fix != row.fix || strings.Contains(v.Reason, "@") {
			t.Errorf("%s: %v, mended by %+v, want %s and %s", body, v, cause, row.kind, row.fix)
		}
	}
}

const account = "api_key: 0123456789abcdef-us6\naudience: a1b2c3d4e5\n"

// TestFields is the contract's table of the upsert, and of the tags that follow.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "mailchimp", account+"merge_fields: {SCORE: nps_score, COMMENT: feedback, CITY: params.city}", []connectortest.Field{
		{To: "method", From: "always", Want: "PUT"},
		{
			To: "url", From: "data centre of the key, audience, MD5 of the lower-case address",
			Want: "https://us6.api.mailchimp.com/3.0/lists/a1b2c3d4e5/members/9e26471d35a78862c17e467d87cddedf?skip_merge_validation=true",
		},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "email_address", From: "respondent.email", Sample: "Jane@Example.com"},
		{To: "status_if_new", From: "respondent.consent", Sample: true, Want: "subscribed"},
		{To: "merge_fields.FNAME", From: "respondent.first_name", Sample: "Jane"},
		{To: "merge_fields.LNAME", From: "respondent.last_name", Sample: "de la Cruz"},
		{To: "merge_fields.SCORE", From: "response.score.nps", Sample: 9},
		{To: "merge_fields.COMMENT", From: "response.feedback", Sample: "Fast"},
		{To: "merge_fields.CITY", From: "respondent.params.city", Sample: "Bursa"},
	})

	c := bound(t, account)
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","email":"Jane@Example.com","consent":true,"survey":{"title":"Onboarding"}}`))
	if err != nil {
		t.Fatal(err)
	}
	req, err := c.Build(ev)
	if err != nil {
		t.Fatal(err)
	}
	v := c.Judge(&connectors.Response{Status: 200, Body: []byte("{}"), To: req, Events: []*event.Event{ev}})
	if v.Kind != connectors.Continue {
		t.Fatalf("after the contact comes %v", v)
	}
	connectortest.CheckRequest(t, v.Next, map[string]any{
		"method":        "POST",
		"url":           "https://us6.api.mailchimp.com/3.0/lists/a1b2c3d4e5/members/9e26471d35a78862c17e467d87cddedf/tags",
		"tags.0.name":   "Onboarding", // survey.title
		"tags.0.status": "active",
	})
}

func bound(t testing.TB, config string) *Connector {
	t.Helper()
	c, _ := connectors.New("mailchimp")
	if err := connectortest.Bind([]byte(config), c); err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

// A contact has one key, so that the responses of one person are written in order.
func TestOneContactIsOneKey(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		`{"type":"response.completed","email":"Jane@Example.com"}`: "jane@example.com",
		`{"type":"response.completed","phone":"+90555"}`:           "",
	} {
		ev, err := connectortest.ParseEvent([]byte(given))
		if err != nil {
			t.Fatal(err)
		}
		if got := (&Connector{}).Key(ev); got != want {
			t.Errorf("%s: the key is %q, want %q", given, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := bound(t, account+"merge_fields: {SCORE: nps_score, PLAN: params.plan, FNAME: name}")
	asked := c.Check()
	if len(asked) != 1 {
		t.Fatalf("%d requests", len(asked))
	}
	connectortest.CheckRequest(t, asked[0], map[string]any{
		"method": "GET",
		"url":    "https://us6.api.mailchimp.com/3.0/lists/a1b2c3d4e5/merge-fields?fields=merge_fields.tag&count=1000",
	})
	rows := []struct {
		status int
		body   string
		want   connectors.Proof
	}{
		{200, `{"merge_fields":[{"tag":"FNAME"},{"tag":"SCORE"},{"tag":"PLAN"}]}`, connectors.Proof{}},
		{200, `{"merge_fields":[{"tag":"FNAME"},{"tag":"LNAME"}]}`, connectors.Missing("the merge field SCORE", "the merge field PLAN")},
		{200, `<html>`, connectors.Missing("an answer from Mailchimp: asked for the audience's merge fields, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
		{200, `{}`, connectors.Missing("an answer from Mailchimp: asked for the audience's merge fields, got 200 OK, JSON of another form (2 bytes); check the proxies and gateways in between")},
		{401, `{"title":"API Key Invalid"}`, connectors.Missing("an API key that Mailchimp accepts (401 API Key Invalid)")},
		{403, `<html>Access denied</html>`, connectors.Missing("an answer from Mailchimp: asked for the audience's merge fields, got 403 Forbidden, not JSON (26 bytes); check the proxies and gateways in between")},
		{403, `{"title":"User Disabled"}`, connectors.Missing("an API key that Mailchimp accepts (403 User Disabled)")},
		{404, `{"title":"Resource Not Found"}`, connectors.Missing("the audience a1b2c3d4e5")},
		{404, `<html>`, connectors.Missing("an answer to the check (404 Not Found)")},
	}
	for _, row := range rows {
		got := c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: asked[0]})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", row.status, row.body, diff)
		}
	}
}

// TestHash uses the documented example.
func TestHash(t *testing.T) {
	t.Parallel()
	if got := hash("Jane@Example.COM"); got != "9e26471d35a78862c17e467d87cddedf" {
		t.Error(got)
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for n := range 12 {
		text := strings.Repeat("a", 240) + strings.Repeat("ş", n)
		got := clip(text)
		if len(got) > maxField || !utf8.ValidString(got) || len(text) <= maxField && got != text || len(text) > maxField && !strings.HasSuffix(got, "…") {
			t.Errorf("%d bytes became %d: %q", len(text), len(got), got)
		}
	}
}

// The rate limit counts the tag request, if there is one.
func TestRequests(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]int{"": 2, "tags: []": 1, "tags: [a, b]": 2} {
		c, _ := connectors.New("mailchimp")
		if err := connectortest.Bind([]byte("api_key: k-us6\naudience: a1\n"+config), c); err != nil {
			t.Fatal(err)
		}
		if got := c.(connectors.Chained).MaxRequests(); got != want {
			t.Errorf("%q: %d requests, want %d", config, got, want)
		}
	}
}
