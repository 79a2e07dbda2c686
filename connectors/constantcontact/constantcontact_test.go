package constantcontact

import (
	"fmt"
	"net/http"
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
	connectortest.Play(t, "constantcontact")
}

const (
	list    = "07936f78-662a-11eb-af0a-fa163e56c9b0"
	score   = "1618ae62-4752-11e9-9c8a-fa163e6b01c1"
	account = "client_id: app\nclient_secret: s3cret\nlists: [" + list + "]\n"
	nobody  = `{"contacts":[],"_links":{}}`
)

// TestFields is the contract's table of the lookup, of the sign-up, and of a contact that is stored without one.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "constantcontact", account+"consent: assume", []connectortest.Field{
		{To: "method", From: "always", Want: "GET"},
		{To: "url", From: "respondent.email", Sample: "Jane@Example.com", Want: "https://api.cc.email/v3/contacts?status=all&email=Jane%40Example.com"},
	})
	fields := "fields: {job_title: params.title, birthday_month: 11, birthday_day: params.day, " + score + ": nps_score}"
	c := bound(t, fields)
	ev := given(t, `{"type":"response.completed","email":"Jane@Example.com","first_name":"Jane","last_name":"de la Cruz","phone":"+905550001122","consent":true,"nps_score":9,"params":{"title":"Engineer","day":24}}`)
	connectortest.CheckRequest(t, after(t, c, ev, nobody).Next, map[string]any{
		"method":                          "POST",
		"url":                             "https://api.cc.email/v3/contacts/sign_up_form",
		"header.Content-Type":             "application/json",
		"email_address":                   "Jane@Example.com",
		"first_name":                      "Jane",
		"last_name":                       "de la Cruz",
		"phone_number":                    "+905550001122",
		"job_title":                       "Engineer",
		"birthday_month":                  11,
		"birthday_day":                    24,
		"list_memberships.0":              list,
		"custom_fields.0.custom_field_id": score,
		"custom_fields.0.value":           "9",
	})
	c = bound(t, "consent: store\n"+fields)
	ev = given(t, `{"type":"response.completed","email":"Jane@Example.com","first_name":"Jane","phone":"+905550001122","nps_score":9}`)
	connectortest.CheckRequest(t, after(t, c, ev, nobody).Next, map[string]any{
		"method":                           "POST",
		"url":                              "https://api.cc.email/v3/contacts",
		"email_address.address":            "Jane@Example.com",
		"email_address.permission_to_send": "not_set",
		"create_source":                    "Account",
		"first_name":                       "Jane",
		"phone_numbers.0.phone_number":     "+905550001122",
		"phone_numbers.0.kind":             "other",
		"custom_fields.0.custom_field_id":  score,
		"custom_fields.0.value":            "9",
	})
}

// after returns the verdict on an answer to the lookup.
func after(t testing.TB, c *Connector, ev *event.Event, lookup string) connectors.Verdict {
	t.Helper()
	req, err := c.Build(ev)
	if err != nil {
		t.Fatal(err)
	}
	return c.Judge(&connectors.Response{Status: 200, Body: []byte(lookup), To: req, Events: []*event.Event{ev}})
}

func given(t testing.TB, text string) *event.Event {
	t.Helper()
	ev, err := connectortest.ParseEvent([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func bound(t testing.TB, config string) *Connector {
	t.Helper()
	c, _ := connectors.New("constantcontact")
	if err := connectortest.Bind([]byte(account+config), c); err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

// A contact is signed up by every consent that the setting accepts, unless they opted out: then only by their own, given later. A
// contact without consent is only stored, and never one that is known.
func TestNobodyIsSilentlySignedUpAgain(t *testing.T) {
	t.Parallel()
	const at, before, later = "2026-01-02T03:00:00Z", "2025-12-31T00:00:00Z", "2026-01-02T04:00:00Z"
	const signUp, store, left = "sign up", "store", "left alone"
	for _, row := range []struct{ permission, optOut, deleted, given, required, assume, store string }{
		{"", "", "", "true", signUp, signUp, signUp},
		{"", "", "", "null", left, signUp, store},
		{"", "", "", "false", left, left, store},
		{"explicit", "", "", "true", signUp, signUp, signUp},
		{"explicit", "", "", "null", left, signUp, left},
		{"implicit", "", "", "false", left, left, left},
		{"not_set", "", "", "null", left, signUp, left},
		{"unsubscribed", before, "", "true", signUp, signUp, signUp},
		{"unsubscribed", before, "", "null", left, left, left},
		{"unsubscribed", later, "", "true", left, left, left},
		{"unsubscribed", at, "", "true", left, left, left},
		{"unsubscribed", "", "", "true", left, left, left},
		{"unsubscribed", "yesterday", "", "true", left, left, left},
		{"explicit", "", "2026-01-01", "true", signUp, signUp, signUp},
		{"explicit", "", "2026-01-02", "true", left, left, left},
		{"explicit", "", "2025-01-01", "null", left, left, left},
		{"unsubscribed", later, "2025-01-01", "true", left, left, left},
		{"unsubscribed", before, "2025-12-31", "true", signUp, signUp, signUp},
		{"unsubscribed", before, "2026-01-02", "true", left, left, left},
		{"explicit", before, "yesterday", "true", left, left, left},
		{"pending_confirmation", "", "2025-01-01", "true", left, left, left},
		{"pending_confirmation", "", "", "true", left, left, left},
		{"temp_hold", "", "", "true", left, left, left},
		{"new_state", "", "", "true", left, left, left},
	} {
		lookup := nobody
		if row.permission != "" {
			lookup = fmt.Sprintf(`{"contacts":[{"email_address":{"address":"JANE@example.com","permission_to_send":%q,"opt_out_date":%q},"deleted_at":%q}]}`, row.permission, row.optOut, row.deleted)
		}
		consent := `,"consent":` + row.given
		if row.given == "null" {
			consent = ""
		}
		ev := given(t, `{"type":"response.completed","time":"`+at+`","email":"jane@example.com"`+consent+`}`)
		for setting, want := range map[string]string{"required": row.required, "assume": row.assume, "store": row.store} {
			c, got := bound(t, "consent: "+setting), left
			if req, err := c.Build(ev); err == nil {
				v := c.Judge(&connectors.Response{Status: 200, Body: []byte(lookup), To: req, Events: []*event.Event{ev}})
				switch {
				case v.Kind == connectors.Continue && strings.HasSuffix(v.Next.URL, "/sign_up_form"):
					got = signUp
				case v.Kind == connectors.Continue:
					got = store
				case v.Kind != connectors.Skipping:
					t.Errorf("%+v, %s: %v", row, setting, v)
				}
			}
			if got != want {
				t.Errorf("%+v, consent: %s: %s, want %s", row, setting, got, want)
			}
		}
	}
}

// The requests of a day are counted from midnight in UTC, wherever the answer comes from.
func TestTheQuotaEndsAtMidnight(t *testing.T) {
	t.Parallel()
	c := bound(t, "")
	ev := given(t, `{"type":"response.completed","email":"jane@example.com","consent":true}`)
	east := time.FixedZone("east", 5*60*60)
	for at, want := range map[time.Time]time.Duration{
		time.Date(2026, 1, 2, 23, 59, 30, 0, time.UTC): 30 * time.Second,
		time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC):    24 * time.Hour,
		time.Date(2026, 1, 3, 4, 0, 0, 0, east):        time.Hour,
	} {
		v := c.Judge(&connectors.Response{Status: 429, Body: []byte(`{"error_key":"quota_exceeded"}`), Header: http.Header{}, At: at, Events: []*event.Event{ev}})
		if v.Kind != connectors.Retry || v.After != want {
			t.Errorf("at %s: %s, want a retry after %s", at, v, want)
		}
	}
}

// A contact has one key, so that the changes of one person are made one after the other.
func TestOneContactIsOneKey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"type":"test","email":"Jane@Example.com"}`: "jane@example.com",
		`{"type":"test","phone":"+90555"}`:           "",
	} {
		if got := (&Connector{}).Key(given(t, text)); got != want {
			t.Errorf("%s: the key is %q, want %q", text, got, want)
		}
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	req := bound(t, "refresh_token: first").Check()[0]
	got, ok := req.Auth.(connectors.OAuth2)
	if !ok || got.Grant != connectors.GrantRefreshToken || got.TokenURL != "https://authz.constantcontact.com/oauth2/default/v1/token" || !got.BasicAuth ||
		got.ClientID != "app" || got.ClientSecret != connectors.NewSecret("s3cret") || got.RefreshToken != connectors.NewSecret("first") {
		t.Errorf("got %+v", got)
	}
}

// Addresses of up to 80 characters are tried, although the page of the sign-up says 50.
func TestLongAddresses(t *testing.T) {
	t.Parallel()
	c := bound(t, "")
	for length, accepted := range map[int]bool{80: true, 81: false} {
		address := strings.Repeat("j", length-len("@example.com")) + "@example.com"
		if _, err := c.Build(given(t, `{"type":"response.completed","consent":true,"email":"`+address+`"}`)); (err == nil) != accepted {
			t.Errorf("%d characters: %v", length, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := bound(t, "fields: {job_title: params.title, "+score+": nps_score}")
	lists, fields := c.Check()[0], c.Check()[1]
	connectortest.CheckRequest(t, lists, map[string]any{"method": "GET", "url": "https://api.cc.email/v3/contact_lists?limit=500"})
	connectortest.CheckRequest(t, fields, map[string]any{"method": "GET", "url": "https://api.cc.email/v3/contact_custom_fields?limit=100"})
	const other = "1618ae62-4752-11e9-9c8a-fa163e6b01c9"
	rows := []struct {
		to     *connectors.Request
		status int
		body   string
		want   connectors.Proof
	}{
		{lists, 200, `{"lists":[{"list_id":"` + list + `","name":"News"}]}`, connectors.Proof{}},
		{lists, 200, `{"lists":[{"list_id":"` + other + `","name":"News"}]}`, connectors.Missing("the list " + list + `; the account has ` + other + ` ("News")`)},
		{lists, 200, `{"lists":[]}`, connectors.Missing("the list " + list + "; the account has none")},
		{lists, 200, `{"lists":[],"_links":{"next":{"href":"/v3/contact_lists?cursor=1"}}}`, connectors.Proof{Unproved: []string{"that the account has the list " + list + ": it has more lists than one answer lists"}}},
		{lists, 200, `<html>`, connectors.Missing("an answer from Constant Contact: asked for the account's lists, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
		{lists, 401, `{"error_key":"unauthorized"}`, connectors.Missing("an application that Constant Contact accepts (401 Unauthorized: unauthorized)")},
		{lists, 403, `[{"error_key":"forbidden"}]`, connectors.Missing("the scope contact_data (403 Forbidden: forbidden)")},
		{lists, 404, ``, connectors.Missing("an answer to the check (404 Not Found)")},
		{fields, 200, `{"custom_fields":[{"custom_field_id":"` + score + `","label":"NPS score"}]}`, connectors.Proof{}},
		{fields, 200, `{"custom_fields":[{"custom_field_id":"` + other + `","label":"Plan"}]}`, connectors.Missing("the custom field " + score + `; the account has ` + other + ` ("Plan")`)},
		{fields, 200, `{"lists":[]}`, connectors.Missing("an answer from Constant Contact: asked for the account's custom fields, got 200 OK, JSON of another form (12 bytes); check the proxies and gateways in between")},
	}
	for _, row := range rows {
		got := c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: row.to})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", row.status, row.body, diff)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	c := bound(b, "fields: {job_title: params.title, "+score+": nps_score}")
	ev := given(b, `{"type":"response.completed","email":"jane@example.com","name":"Jane Doe","consent":true,"nps_score":9,"params":{"title":"Engineer"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Build(ev); err != nil {
			b.Fatal(err)
		}
	}
}
