package pipedrive

import (
	"encoding/json"
	"net/http"
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
	connectortest.Play(t, "pipedrive")
}

func TestNoteTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.PlayFiles(t, "pipedrive.note", "testdata/note/*.txtar", connectortest.Bind)
}

func TestLeadTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.PlayFiles(t, "pipedrive.lead", "testdata/lead/*.txtar", connectortest.Bind)
}

const custom = "abababababababababababababababababababab"

func bound(t testing.TB, name, config string) connectors.Connector {
	t.Helper()
	c, _ := connectors.New(name)
	if err := connectortest.Bind([]byte("token: x\n"+config), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func given(t testing.TB, text string) *event.Event {
	t.Helper()
	ev, err := connectortest.ParseEvent([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// answer is an answer to the search, unless the caller sets To.
func answer(status int, body string, events ...*event.Event) *connectors.Response {
	return &connectors.Response{Status: status, Body: []byte(body), At: connectortest.ReceivedAt, Events: events}
}

// TestFields is the contract's table of the search and of the person that follows.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "pipedrive", "token: x\ndomain: acme", []connectortest.Field{
		{To: "method", From: "always", Want: "GET"},
		{To: "url", From: "respondent.email", Sample: "Jane@Example.com", Want: "https://acme.pipedrive.com/api/v2/persons/search?term=jane%40example.com&fields=email&exact_match=true"},
	})
	c := bound(t, "pipedrive", "fields: {"+custom+": nps_score, owner_id: 7}").(*Connector)
	ev := given(t, `{"type":"response.completed","email":"Jane@Example.com","name":"Jane","phone":"+1 555","nps_score":9}`)
	none := answer(200, `{"success":true,"data":{"items":[]}}`, ev)
	nobody := answer(200, `{"success":true,"data":null}`, ev)
	nobody.To, nobody.Trail = c.Judge(none).Next, []*connectors.Response{none}
	connectortest.CheckRequest(t, nobody.To, map[string]any{
		"method": "GET", "url": "https://api.pipedrive.com/api/v2/persons?sort_by=id&sort_direction=desc&limit=100",
	})
	connectortest.CheckRequest(t, c.Judge(nobody).Next, map[string]any{
		"method": "POST", "url": "https://api.pipedrive.com/api/v2/persons",
		"name": "Jane", "emails.0.value": "jane@example.com", "emails.0.primary": true, "emails.0.label": "work",
		"phones.0.value": "+1 555", "phones.0.primary": true, "phones.0.label": "work", "owner_id": 7, "custom_fields." + custom: 9,
	})
}

// All steps have the same key for one address, however it is spelt, so that no two of them create a person at once.
func TestKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pipedrive", "pipedrive.note", "pipedrive.lead"} {
		keyer, ok := bound(t, name, "").(connectors.SharedKeyer)
		if !ok {
			t.Errorf("%s shares no keys", name)
			continue
		}
		if got := keyer.Key(given(t, `{"type":"test","email":" Jane@Example.com"}`)); got != "jane@example.com" {
			t.Errorf("%s: %q", name, got)
		}
		if got := keyer.Key(given(t, `{"type":"test"}`)); got != "" {
			t.Errorf("%s: %q without an address", name, got)
		}
	}
	c := bound(t, "pipedrive", "fields: {email: params.mail}").(*Connector)
	if got := c.Key(given(t, `{"type":"test","email":"jane@example.com","params":{"mail":"JO@example.com"}}`)); got != "jo@example.com" {
		t.Errorf("a mapped address: %q", got)
	}
}

// An answer that was cut off does not show whether the note or the lead exists.
func TestTooLongLists(t *testing.T) {
	t.Parallel()
	ev := given(t, `{"type":"response.completed","email":"jane@example.com","response":{"id":"1"}}`)
	for _, name := range []string{"pipedrive.note", "pipedrive.lead"} {
		judge := bound(t, name, "").(connectors.Judge)
		hit := answer(200, `{"success":true,"data":{"items":[{"item":{"id":512}}]}}`, ev)
		list := answer(200, `{"success":true,"data":[{"id":`, ev)
		list.To, list.Trail, list.Truncated = judge.Judge(hit).Next, []*connectors.Response{hit}, true
		if list.To.ResponseLimit < connectors.DefaultResponseLimit {
			t.Errorf("%s: only %d bytes of the list are read", name, list.To.ResponseLimit)
		}
		if v := judge.Judge(list); v.Kind != connectors.Rejected {
			t.Errorf("%s: %s", name, v)
		}
	}
}

// A corrected or a changed response has the same mark up to its text, and another survey's response another mark.
func TestMark(t *testing.T) {
	t.Parallel()
	n := bound(t, "pipedrive.note", "").(*Note)
	note := func(text string) (content, mark, of string) {
		ev := given(t, text)
		content, mark, err := n.content(ev)
		if err != nil {
			t.Fatal(err)
		}
		return content, mark, markOf(ev)
	}
	content, mark, of := note(`{"type":"test","id":"a","nps_score":9,"survey":{"id":"s1"},"response":{"id":"1"}}`)
	if !strings.HasSuffix(content, "<br>"+mark) || !strings.HasPrefix(mark, of+"-") {
		t.Errorf("%q ends with %q, of %q", content, mark, of)
	}
	if _, again, _ := note(`{"type":"test","id":"b","nps_score":9,"survey":{"id":"s1"},"response":{"id":"1"}}`); again != mark {
		t.Errorf("the same text has the mark %q and then %q", mark, again)
	}
	if _, other, otherOf := note(`{"type":"test","id":"b","nps_score":8,"survey":{"id":"s1"},"response":{"id":"1"}}`); other == mark || otherOf != of {
		t.Errorf("another text has the mark %q, and %q", other, mark)
	}
	if _, _, otherOf := note(`{"type":"test","id":"b","nps_score":9,"survey":{"id":"s2"},"response":{"id":"1"}}`); otherOf == of {
		t.Errorf("a response of another survey has the mark %q too", otherOf)
	}
	long, _, _ := note(`{"type":"test","response":{"id":"1"},"feedback":"` + strings.Repeat("😀", 2*maxNote) + `"}`)
	if utf8.RuneCountInString(long) > maxNote {
		t.Errorf("a note of %d characters", utf8.RuneCountInString(long))
	}
}

// LaterContent differs if a request after the search would.
func TestLaterContent(t *testing.T) {
	t.Parallel()
	events := []string{
		`{"type":"test","email":"jane@example.com","nps_score":9,"response":{"id":"1"}}`,
		`{"type":"test","email":"jane@example.com","nps_score":8,"response":{"id":"1"}}`,
	}
	for name, config := range map[string]string{"pipedrive": "fields: {" + custom + ": nps_score}", "pipedrive.note": "", "pipedrive.lead": ""} {
		c := bound(t, name, config).(connectors.ChainComparer)
		var contents []string
		for _, text := range events {
			content, err := c.LaterContent(given(t, text))
			if err != nil {
				t.Fatal(err)
			}
			contents = append(contents, string(content))
		}
		if contents[0] == contents[1] {
			t.Errorf("%s: two scores have the content %s", name, contents[0])
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	rows := []struct {
		header http.Header
		want   time.Duration
	}{
		{http.Header{}, burstDelay},
		{http.Header{"X-Ratelimit-Reset": {"3"}}, 3 * time.Second},
		{http.Header{"X-Daily-Ratelimit-Token-Remaining": {"0"}}, 20*time.Hour + 55*time.Minute + 55*time.Second},
		{http.Header{"X-Daily-Ratelimit-Token-Remaining": {"0"}, "Date": {"Fri, 02 Jan 2026 00:00:00 GMT"}}, 24 * time.Hour},
	}
	for _, row := range rows {
		res := answer(429, `{"success":false,"error":"x","errorCode":429}`)
		res.Header = row.header
		if v := refused(res); v.Kind != connectors.Retry || v.After != row.want {
			t.Errorf("%v: %s, want %s", row.header, v, row.want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const other = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	settings := "fields: {" + custom + ": nps_score, " + other + ": feedback, owner_id: 7}"
	for name, want := range map[string][]string{
		"pipedrive":      {"/api/v1/users/me", "/api/v2/personFields?limit=500"},
		"pipedrive.note": {"/api/v1/users/me", "/api/v1/notes?limit=1"},
		"pipedrive.lead": {"/api/v1/users/me", "/api/v1/leads?limit=1"},
	} {
		var got []string
		for _, req := range bound(t, name, "").(connectors.Checker).Check() {
			got = append(got, strings.TrimPrefix(req.URL, "https://api.pipedrive.com"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	list := func(cursor string, codes ...string) string {
		type field struct {
			Code string `json:"field_code"`
		}
		all := []field{}
		for _, code := range codes {
			all = append(all, field{code})
		}
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return `{"success":true,"data":` + string(b) + `,"additional_data":{"next_cursor":` + cursor + `}}`
	}
	rows := []struct {
		name, settings, ask string
		status              int
		body                string
		want                connectors.Proof
	}{
		{"pipedrive", settings, owner, 200, `{"success":true,"data":{"id":1}}`, connectors.Proof{}},
		{"pipedrive", settings, owner, 401, `{"success":false,"error":"unauthorized access","errorCode":401}`, connectors.Missing("a token that Pipedrive accepts (401 Unauthorized)")},
		{"pipedrive", settings, owner, 402, ``, connectors.Missing("an open account (402 Payment Required)")},
		{"pipedrive", settings, owner, 403, `<html>`, connectors.Missing("permission (403 Forbidden)")},
		{"pipedrive", settings, owner, 404, ``, connectors.Missing("an answer to the check (404 Not Found)")},
		{"pipedrive", settings, owner, 200, `<html>`, connectors.Missing("an answer from Pipedrive: asked for the token's user, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
		{"pipedrive", settings, fields, 200, list("null", "name", custom, other), connectors.Proof{}},
		{"pipedrive", settings, fields, 200, list("null", "name", custom), connectors.Missing("the field " + other + " of persons")},
		{"pipedrive", settings, fields, 200, list(`"x"`, custom), connectors.Proof{Unproved: []string{"that persons have the field " + other + ": there are more than 500 fields"}}},
		{"pipedrive", settings, fields, 200, `{"success":true}`, connectors.Missing("an answer from Pipedrive: asked for the fields of persons, got 200 OK, JSON of another form (16 bytes); check the proxies and gateways in between")},
		{"pipedrive", settings, fields, 403, `{"success":false,"error":"x"}`, connectors.Missing("the permission to see the persons (403 Forbidden)")},
		{"pipedrive.note", "", access, 403, `{"success":false,"error":"x"}`, connectors.Missing("the permission to see the notes (403 Forbidden)")},
		{"pipedrive.note", "", access, 200, `{"success":true,"data":null}`, connectors.Proof{}},
		{"pipedrive.lead", "fields: {" + custom + ": nps_score, owner_id: 7}", access, 200, `{"success":true,"data":[]}`, connectors.Proof{Unproved: []string{"that leads have the field " + custom}}},
	}
	for _, row := range rows {
		res := answer(row.status, row.body)
		res.To = &connectors.Request{Name: row.ask}
		got := bound(t, row.name, row.settings).(connectors.Checker).JudgeCheck(res)
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s %s %d (-want +got):\n%s", row.name, row.ask, row.status, diff)
		}
	}
}
