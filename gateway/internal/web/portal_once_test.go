package web

import (
	"html"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// exhaust reads until the visitor may read no more.
func (r *rig) exhaust(t *testing.T, visitor map[string]string) {
	t.Helper()
	for range 500 {
		if r.ask(t, ask{path: "/portal/event-types", header: visitor}).status == 429 {
			return
		}
	}
	t.Fatal("reads are not bounded")
}

// TestPortalShowsOnce: what is shown once comes from the answer of the act, also where nothing more can be read after it.
func TestPortalShowsOnce(t *testing.T) {
	t.Parallel()
	many := route.Rate{Burst: 1000, Per: 1000}
	r := (&rig{rates: route.Rates{Reads: route.Rate{Burst: 40, Per: 0.0001}, Writes: many, Tests: many}}).open(t)
	jo, _ := r.opened(t, allOfPortal)
	post := func(path, body string, status int, parts ...string) told {
		t.Helper()
		return r.does(t, ask{method: "POST", path: "/portal" + path, header: jo, body: body}, status, parts...)
	}
	r.exhaust(t, jo)
	made := post("/webhooks", form("url", "https://hook.example.com/in", "which", "all"), 200, "shown this once")
	if shownSecret.FindString(html.UnescapeString(made.body)) == "" {
		t.Error(made.body)
	}
	_, rest, _ := strings.Cut(made.body, `href="/portal/webhooks/wh_`)
	name, _, _ := strings.Cut(rest, `/`)
	at := "/webhooks/wh_" + name
	added := post(at+"/secrets", form("overlap", "1h"), 200, "shown this once", "could not be read")
	if shownSecret.FindString(html.UnescapeString(added.body)) == "" || strings.Contains(added.body, "are not signed") || strings.Contains(added.body, "Make a new secret") {
		t.Error(added.body)
	}
	post(at+"/test", "", 200, `id="result"`, "could not be read")
	r.does(t, ask{path: "/portal" + at + "/secrets", header: jo}, 429)
}
