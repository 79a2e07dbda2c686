package web

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// post publishes a body and gives what became of it: its id, and the answer without ids.
func (r *rig) post(t testing.TB, path, token, body string, header map[string]string) (id, answer string) {
	t.Helper()
	got := r.ask(t, ask{method: "POST", path: path, token: token, body: body, header: header, socket: token == "socket"})
	return ids.FindString(got.body), plain(got.body)
}

// A token publishes as `api` where nothing else is said, however an event names its source, and is told what to do.
func TestTokenPublishesAsItsSources(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const refused = "the token `every` may publish as `api` only, not as `pollqr`: set `sources: [api, pollqr]` on a token under `tokens` in the configuration"
	own := `{"type":"response.completed","id":"1","source":"pollqr"}`
	cloud := map[string]string{"Content-Type": "application/cloudevents+json"}
	for name, a := range map[string]ask{
		"a platform's body": {path: "/v1/events?source=pollqr", body: pollqr("r1", 3)},
		"an own event":      {body: own},
		"a CloudEvent":      {header: cloud, body: `{"specversion":"1.0","type":"response.completed","id":"1","source":"pollqr"}`},
		"our envelope":      {header: cloud, body: `{"specversion":"1.0","type":"response.completed","id":"1","source":"/tenants/default/sources/pollqr"}`},
		"a CloudEvent in headers": {
			header: map[string]string{"ce-specversion": "1.0", "ce-type": "response.completed", "ce-id": "1", "ce-source": "pollqr"}, body: `{}`,
		},
	} {
		a.method, a.token = "POST", everyToken
		if a.path == "" {
			a.path = "/v1/events"
		}
		got := r.ask(t, a)
		if got.status != http.StatusForbidden || !strings.Contains(got.body, refused) || !strings.Contains(got.body, `"type":"permission_error","loc":["source"]`) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	// Of several the others are taken.
	got := r.ask(t, ask{method: "POST", path: "/v1/events", token: everyToken, body: `[` + own + `,{"type":"response.completed","id":"1","source":"api"},{"type":"response.completed","id":"2"}]`})
	if want := `{"results":[{"status":"invalid","error":{"msg":"` + refused + `","type":"permission_error","loc":["source"]}},{"id":"ID","status":"accepted"},{"id":"ID","status":"accepted"}]}`; got.status != 200 || plain(got.body) != want {
		t.Errorf("several: %d %s", got.status, got.body)
	}
	// A name that is not configured tells nobody so.
	if got := r.ask(t, ask{method: "POST", path: "/v1/events?source=nosuch", token: everyToken, body: `{}`}); got.status != http.StatusForbidden {
		t.Errorf("a source that is not configured: %d %s", got.status, got.body)
	}
	for _, token := range []string{publishToken, "socket"} { // its sources are "*"
		for _, path := range []string{"/v1/events?source=pollqr", "/v1/events"} {
			body := own
			if path != "/v1/events" {
				body = pollqr("r-"+token, 3)
			}
			a := ask{method: "POST", path: path, token: token, body: body, socket: token == "socket"}
			if got := r.ask(t, a); got.status != 200 {
				t.Errorf("%s, %s: %d %s", token, path, got.status, got.body)
			}
		}
	}
	if got := r.ask(t, ask{path: "/v1/tokens", token: everyToken}); !strings.Contains(got.body, `"scopes":["publish"],"sources":["*"]`) ||
		!strings.Contains(got.body, `"scopes":["read"],"provenance":"file"}`) || !strings.Contains(got.body, `"secrets"],"sources":["api"]`) {
		t.Errorf("tokens: %s", got.body)
	}
}

const accepted1, duplicate1 = `{"id":"ID","status":"accepted"}`, `{"id":"ID","status":"duplicate"}`

func results(one string) string { return `{"results":[` + one + `]}` }

// Whoever may publish as a platform's source cannot have its genuine event swallowed, whatever the order; and each of the
// two says that the other is there.
func TestTokenDoesNotTakeASignedEventsKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := pollqr("r1", 3)
	vouched, answer := r.post(t, "/v1/events?source=pollqr", publishToken, body, nil)
	if answer != results(accepted1) {
		t.Fatal(answer)
	}
	r.clock.Advance(time.Minute)
	signedID, answer := r.post(t, "/in/pollqr", "", body, signed(body))
	if answer != accepted1 || signedID == vouched {
		t.Fatalf("the signed one: %s %s, the token's was %s", signedID, answer, vouched)
	}
	// An own event with the platform's key, and our envelope of the signed one, are no better.
	record, err := r.store.Event(t.Context(), "default", signedID)
	if err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]func() (string, string){
		"the platform again": func() (string, string) { return r.post(t, "/in/pollqr", "", body, signed(body)) },
		"the token again":    func() (string, string) { return r.post(t, "/v1/events?source=pollqr", publishToken, body, nil) },
		"an own event": func() (string, string) {
			return r.post(t, "/v1/events", publishToken, `{"type":"response.completed","source":"pollqr","id":"`+record.Event.DedupeKey+`"}`, nil)
		},
		"its envelope": func() (string, string) {
			return r.post(t, "/v1/events", publishToken, string(record.Event.Envelope()), nil)
		},
		"over the socket too": func() (string, string) { return r.post(t, "/v1/events?source=pollqr", "socket", body, nil) },
	} {
		id, answer := send()
		if id != signedID || answer != duplicate1 && answer != results(duplicate1) {
			t.Errorf("%s: %s %s, want a duplicate of %s", name, id, answer, signedID)
		}
	}

	for id, want := range map[string]string{
		signedID: `"same_event":[{"id":"` + vouched + `","verified":"api","received":"2026-01-02T12:00:00Z","proof":"weaker"}]`,
		vouched:  `"same_event":[{"id":"` + signedID + `","verified":"hmac","received":"2026-01-02T12:01:00Z","proof":"better"}]`,
	} {
		for _, path := range []string{"/v1/events/" + id, "/v1/events/" + id + "/explain"} {
			if got := r.ask(t, ask{path: path, token: everyToken}); !strings.Contains(got.body, want) {
				t.Errorf("%s: %s, want %s", path, got.body, want)
			}
		}
	}
	// Named by the platform's key it is the signed one.
	if got := r.ask(t, ask{path: "/v1/events/" + record.Event.DedupeKey + "?source=pollqr", token: everyToken}); ids.FindString(got.body) != signedID {
		t.Errorf("by its key: %s", got.body)
	}
}

// What came while nothing proved a source swallows nothing that is proved since.
func TestUnprovedEventDoesNotTakeAProvedOnesKey(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, "sources: {pollqr: {profile: pollqr, unverified: true}}\n")
	body := pollqr("r1", 3)
	unproved, answer := r.post(t, "/in/pollqr", "", body, nil)
	if answer != accepted1 {
		t.Fatal(answer)
	}
	if id, answer := r.post(t, "/in/pollqr", "", body, nil); answer != duplicate1 || id != unproved {
		t.Errorf("again: %s %s", id, answer)
	}
	r.reload(t, "sources: {pollqr: {profile: pollqr, secrets: ["+pollqrSecret+"]}}\n")
	proved, answer := r.post(t, "/in/pollqr", "", body, signed(body))
	if answer != accepted1 || proved == unproved {
		t.Fatalf("proved: %s %s", proved, answer)
	}
	r.reload(t, "sources: {pollqr: {profile: pollqr, unverified: true}}\n")
	if id, answer := r.post(t, "/in/pollqr", "", body, nil); answer != duplicate1 || id != proved {
		t.Errorf("without a proof again: %s %s, want a duplicate of %s", id, answer, proved)
	}
	if record, err := r.store.Event(t.Context(), "default", unproved); err != nil || record.Event.Verified != "none" {
		t.Errorf("%v", err)
	}
}
