package klaviyo

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "klaviyo")
	for _, step := range []string{"event", "subscribe"} {
		connectortest.PlayFiles(t, "klaviyo."+step, filepath.Join("testdata", step, "*.txtar"), connectortest.Bind)
	}
}

const account = "api_key: pk_0123456789abcdef\n"

func bound(t testing.TB, name, config string) connectors.Connector {
	t.Helper()
	c, _ := connectors.New(name)
	if err := connectortest.Bind([]byte(config), c); err != nil {
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

// TestFields is the contract's table of a profile.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "klaviyo", account+"consent: assume\nproperties: {last_nps: nps_score, organization: params.company, location: {city: params.city}}", []connectortest.Field{
		{To: "method", From: "always", Want: "POST"},
		{To: "url", From: "always", Want: "https://a.klaviyo.com/api/profile-import?additional-fields%5Bprofile%5D=subscriptions&fields%5Bprofile%5D=subscriptions"},
		{To: "header.Content-Type", From: "always", Want: "application/vnd.api+json"},
		{To: "header.Accept", From: "always", Want: "application/vnd.api+json"},
		{To: "header.revision", From: "always", Want: "2026-10-15"},
		{To: "data.type", From: "always", Want: "profile"},
		{To: "data.attributes.email", From: "email", Sample: "Jane@Example.com"},
		{To: "data.attributes.first_name", From: "first_name", Sample: "Jane"},
		{To: "data.attributes.last_name", From: "last_name", Sample: "de la Cruz"},
		{To: "data.attributes.phone_number", From: "phone", Sample: "+90 (555) 000-11.22", Want: "+905550001122"},
		{To: "data.attributes.organization", From: "params.company", Sample: "Acme"},
		{To: "data.attributes.location.city", From: "params.city", Sample: "Bursa"},
		{To: "data.attributes.properties.last_nps", From: "nps_score", Sample: 9},
	})
}

// TestEventFields is the contract's table of an event.
func TestEventFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "klaviyo.event", account+"consent: assume\nproperties: {plan: params.plan}", []connectortest.Field{
		{To: "method", From: "always", Want: "POST"},
		{To: "url", From: "always", Want: "https://a.klaviyo.com/api/events"},
		{To: "data.type", From: "always", Want: "event"},
		{To: "data.attributes.time", From: "time", Sample: "2026-01-02T06:00:00+03:00", Want: "2026-01-02T03:00:00Z"},
		{To: "data.attributes.unique_id", From: "id", Sample: "ev-1", Want: "dd0b0d8af170c0eb119f3a184663ed99"},
		{To: "data.attributes.metric.data.type", From: "always", Want: "metric"},
		{To: "data.attributes.metric.data.attributes.name", From: "always", Want: "Survey Completed"},
		{To: "data.attributes.profile.data.type", From: "always", Want: "profile"},
		{To: "data.attributes.profile.data.attributes.email", From: "email", Sample: "jane@example.com"},
		{To: "data.attributes.properties.survey_id", From: "survey.id", Sample: "s1"},
		{To: "data.attributes.properties.survey_title", From: "survey.title", Sample: "Onboarding"},
		{To: "data.attributes.properties.response_id", From: "response.id", Sample: "r1"},
		{To: "data.attributes.properties.nps_score", From: "nps_score", Sample: 3},
		{To: "data.attributes.properties.nps_group", From: "nps_score", Want: "detractor"},
		{To: "data.attributes.properties.csat_score", From: "csat_score", Sample: 4.5},
		{To: "data.attributes.properties.ces_score", From: "ces_score", Sample: 2},
		{To: "data.attributes.properties.feedback", From: "feedback", Sample: "Slow"},
		{To: "data.attributes.properties.plan", From: "params.plan", Sample: "pro"},
	})
}

// TestRef checks that a delivery keeps the profile's id, also behind the requests that follow the upsert.
func TestRef(t *testing.T) {
	t.Parallel()
	c := bound(t, "klaviyo", account+"list: Y6nRLr")
	ev := parsed(t, `{"type":"response.completed","email":"jane@example.com","consent":true}`)
	to, err := c.Build(ev)
	if err != nil {
		t.Fatal(err)
	}
	judge := c.(connectors.Judge)
	first := &connectors.Response{Status: 201, Body: []byte(`{"data":{"type":"profile","id":"01G"}}`), To: to, Events: []*event.Event{ev}}
	v := judge.Judge(first)
	if v.Kind != connectors.Continue {
		t.Fatal(v)
	}
	later, err := c.(connectors.ChainComparer).LaterContent(ev)
	if err != nil || string(later) != string(v.Next.Body) {
		t.Errorf("LaterContent is %s (%v), want %s", later, err, v.Next.Body)
	}
	v = judge.Judge(&connectors.Response{Status: 202, To: v.Next, Events: first.Events, Trail: []*connectors.Response{first}})
	if v.Kind != connectors.Delivered || v.Ref != "01G" || v.Reason != "" {
		t.Errorf("%v with the id %q", v, v.Ref)
	}
}

// TestRequests checks the number of requests that the rate limit counts, and that only a subscription follows the first one.
func TestRequests(t *testing.T) {
	t.Parallel()
	agreed := parsed(t, `{"type":"response.completed","email":"jane@example.com","consent":true}`)
	refused := parsed(t, `{"type":"response.completed","email":"jane@example.com","consent":false}`)
	for config, want := range map[string]struct {
		requests int
		later    [2]bool
	}{
		"consent: store":               {2, [2]bool{}},
		"list: Y6nRLr\nconsent: store": {3, [2]bool{true, false}},
	} {
		c := bound(t, "klaviyo", account+config)
		if got := c.(connectors.Chained).MaxRequests(); got != want.requests {
			t.Errorf("%q: %d requests, want %d", config, got, want.requests)
		}
		for i, ev := range []*event.Event{agreed, refused} {
			if later, err := c.(connectors.ChainComparer).LaterContent(ev); err != nil || (later != nil) != want.later[i] {
				t.Errorf("%q: the later content of event %d is %q (%v)", config, i, later, err)
			}
		}
	}
}

// TestNobodyIsSilentlySubscribedAgain checks every setting and every consent with every state of the profile.
func TestNobodyIsSilentlySubscribedAgain(t *testing.T) {
	t.Parallel()
	const subscribed, stored, skipped = "subscribed", "stored", "skipped"
	const never, out = `{"consent":"NEVER_SUBSCRIBED","suppression":[],"list_suppressions":[]}`, `{"consent":"UNSUBSCRIBED"}`
	const suppressed, left = `{"consent":"SUBSCRIBED","suppression":[{"reason":"USER_SUPPRESSED"}]}`, `{"consent":"SUBSCRIBED","list_suppressions":[{"list_id":"Y6nRLr"}]}`
	for _, row := range []struct {
		status                                    int
		marketing, given, required, assume, store string
	}{
		{201, "null", "true", subscribed, subscribed, subscribed},
		{201, "null", "null", skipped, subscribed, stored},
		{201, "null", "false", skipped, skipped, stored},
		{200, never, "true", subscribed, subscribed, subscribed},
		{200, never, "null", skipped, subscribed, stored},
		{200, never, "false", skipped, skipped, stored},
		{200, "null", "null", skipped, stored, stored},
		{200, out, "true", stored, stored, stored},
		{200, out, "null", skipped, stored, stored},
		{200, suppressed, "true", stored, stored, stored},
		{200, suppressed, "null", skipped, stored, stored},
		{200, left, "true", stored, stored, stored},
		{200, left, "null", skipped, stored, stored},
	} {
		ev := parsed(t, `{"type":"response.completed","email":"jane@example.com","consent":`+row.given+`}`)
		for setting, want := range map[string]string{"required": row.required, "assume": row.assume, "store": row.store} {
			c := bound(t, "klaviyo", account+"list: Y6nRLr\nconsent: "+setting)
			got := skipped
			if to, err := c.Build(ev); err == nil {
				body := `{"data":{"id":"01G","attributes":{"subscriptions":{"email":{"marketing":` + row.marketing + `}}}}}`
				got = map[connectors.Kind]string{connectors.Continue: subscribed, connectors.Delivered: stored}[c.(connectors.Judge).Judge(
					&connectors.Response{Status: row.status, Body: []byte(body), To: to, Events: []*event.Event{ev}}).Kind]
			}
			if got != want {
				t.Errorf("consent %s with %s, %d %s: %s, want %s", setting, row.given, row.status, row.marketing, got, want)
			}
		}
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	c := bound(t, "klaviyo", account)
	if got := c.(connectors.Keyer).Key(parsed(t, `{"type":"response.completed","email":"Jane@Example.com"}`)); got != "jane@example.com" {
		t.Error(got)
	}
}

func TestPhone(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"+905550001122": "+905550001122", "+90 (555) 000-11.22": "+905550001122", "0555 000 11 22": "", "+0905550001122": "",
		"+90": "", "+90555000112233445": "", "call me": "", "": "",
	} {
		if got := phone(given); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}

// TestEveryCodeHasItsHint checks the documented codes, and that no reason quotes the answer's own words.
func TestEveryCodeHasItsHint(t *testing.T) {
	t.Parallel()
	ev := parsed(t, `{"type":"response.completed","email":"jane@example.com","consent":true}`)
	for _, row := range []struct {
		name, code, pointer string
		status              int
		kind                connectors.Kind
		fix                 connectors.Fix
	}{
		{"klaviyo", "invalid", "/data/attributes/email", 400, connectors.Rejected, connectors.FixNone},
		{"klaviyo", "invalid", "/data/attributes/properties/plan", 400, connectors.Rejected, connectors.FixConfiguration},
		{"klaviyo.event", "invalid", "/data/attributes/metric/data/attributes/name", 400, connectors.Rejected, connectors.FixConfiguration},
		{"klaviyo.event", "invalid", "/data/attributes/profile/data/attributes/email", 400, connectors.Rejected, connectors.FixNone},
		{"klaviyo.subscribe", "invalid", "/data/relationships/list/data/id", 400, connectors.Revoked, connectors.FixConfiguration},
		{"klaviyo.subscribe", "not_found", "", 404, connectors.Revoked, connectors.FixConfiguration},
		{"klaviyo", "not_authenticated", "/data/", 401, connectors.Revoked, connectors.FixCredentials},
		{"klaviyo", "authentication_failed", "/data/", 401, connectors.Revoked, connectors.FixCredentials},
		{"klaviyo", "", "", 401, connectors.Revoked, connectors.FixCredentials},
		{"klaviyo", "permission_denied", "/data/", 403, connectors.Revoked, connectors.FixProduct},
		{"klaviyo", "", "", 403, connectors.Revoked, connectors.FixProduct},
		{"klaviyo", "not_found", "", 404, connectors.Rejected, connectors.FixConfiguration},
		{"klaviyo", "duplicate_profile", "/data/attributes", 409, connectors.Rejected, connectors.FixProduct},
		{"klaviyo", "", "", 410, connectors.Revoked, connectors.FixProduct},
		{"klaviyo", "", "", 413, connectors.Rejected, connectors.FixConfiguration},
		{"klaviyo", "throttled", "/data/", 429, connectors.Retry, connectors.FixWait},
	} {
		c := bound(t, row.name, account)
		to, err := c.Build(ev)
		if err != nil {
			t.Fatal(err)
		}
		body := `{"errors":[{"code":"` + row.code + `","title":"jane@example.com","detail":"jane@example.com","source":{"pointer":"` + row.pointer + `"}}]}`
		v := c.(connectors.Judge).Judge(&connectors.Response{Status: row.status, Body: []byte(body), To: to, Events: []*event.Event{ev}})
		cause, ok := connectors.CauseOf(row.name, v.Reason)
		if v.Kind != row.kind || !ok || cause.Fix != row.fix || strings.Contains(v.Reason, "jane") {
			t.Errorf("%s, %d %s: %v, with the cause %+v; want %s and %s", row.name, row.status, body, v, cause, row.kind, row.fix)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const accounts = `{"data":[{"type":"account","id":"AbC123"}]}`
	unproved := func(what ...string) connectors.Proof { return connectors.Proof{Unproved: what} }
	for _, row := range []struct {
		name, config string
		ask          int
		status       int
		revision     string
		body         string
		want         connectors.Proof
	}{
		{"klaviyo", "list: Y6nRLr", 0, 200, "2026-10-15", accounts, connectors.Proof{}},
		{"klaviyo", "", 0, 200, "2026-10-15", accounts, unproved("the scope profiles:write: only an event that is sent needs it")},
		{"klaviyo.event", "", 0, 200, "2026-10-15", accounts, unproved("the scope events:write: only an event that is sent needs it")},
		{"klaviyo.subscribe", "", 0, 200, "", accounts, unproved("that Klaviyo answers with the revision 2026-10-15: the answer names none")},
		{"klaviyo.subscribe", "", 0, 200, "2028-10-15", accounts, connectors.Missing("the revision 2026-10-15 of Klaviyo's API: it answers with 2028-10-15; update surveygate")},
		{"klaviyo.subscribe", "", 0, 410, "", "", connectors.Missing("the revision 2026-10-15 of Klaviyo's API, which Klaviyo no longer supports: update surveygate")},
		{"klaviyo.subscribe", "", 0, 401, "", `{"errors":[{"code":"authentication_failed"}]}`, connectors.Missing("an API key that Klaviyo accepts (401 Unauthorized: authentication_failed)")},
		{"klaviyo.subscribe", "", 0, 403, "", "", unproved("its account: the key lacks the scope accounts:read")},
		{"klaviyo.subscribe", "", 0, 404, "", "", connectors.Missing("an answer to the check (404 Not Found)")},
		{"klaviyo.subscribe", "", 0, 200, "", "<html>", connectors.UnexpectedAnswer("Klaviyo", "its account", &connectors.Response{Status: 200, Body: []byte("<html>")})},
		{"klaviyo", "list: Y6nRLr", 1, 202, "", "", connectors.Proof{}},
		{"klaviyo", "list: Y6nRLr", 1, 403, "", "", connectors.Missing("the scopes lists:write, profiles:write and subscriptions:write")},
		{"klaviyo", "list: Y6nRLr", 1, 404, "", "", connectors.Missing("the list Y6nRLr: `list` takes the id of a list, not its name")},
		{"klaviyo", "list: Y6nRLr", 1, 400, "", `{"errors":[{"code":"invalid","source":{"pointer":"/data/relationships/list/data/id"}}]}`, connectors.Missing("the list Y6nRLr: `list` takes the id of a list, not its name")},
		{"klaviyo", "list: Y6nRLr", 1, 400, "", `{"errors":[{"code":"invalid","source":{"pointer":"/data/attributes/profiles/data"}}]}`, unproved("the list Y6nRLr: Klaviyo does not look at it without a profile (400 Bad Request: invalid profiles)")},
		{"klaviyo", "list: Y6nRLr", 1, 401, "", "", connectors.Missing("an API key that Klaviyo accepts (401 Unauthorized)")},
		{"klaviyo", "list: Y6nRLr", 1, 200, "", "<html>", connectors.UnexpectedAnswer("Klaviyo", "the list", &connectors.Response{Status: 200, Body: []byte("<html>")})},
		{"klaviyo.subscribe", "", 1, 400, "", "", connectors.Proof{}},
		{"klaviyo.subscribe", "", 1, 405, "", "", connectors.Missing("an answer to the check (405 Method Not Allowed)")},
	} {
		checker := bound(t, row.name, account+row.config).(connectors.Checker)
		header := http.Header{}
		header.Set("Revision", row.revision)
		got := checker.JudgeCheck(&connectors.Response{Status: row.status, Header: header, Body: []byte(row.body), To: checker.Check()[row.ask]})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", row, diff)
		}
	}
}
