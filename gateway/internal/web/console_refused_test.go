package web

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// refusesReads is a rig that refuses each read of a visitor after so many of them.
func refusesReads(t *testing.T, after int) *rig {
	t.Helper()
	often := route.Rate{Burst: 1 << 30, Per: 1 << 30}
	return (&rig{rates: route.Rates{Reads: route.Rate{Burst: after, Per: 1e-9}, Writes: often, Tests: often, Logins: often}}).open(t)
}

// TestSecretIsShownWithoutReads: what is shown once is shown from the answer that made it, also where nothing can be read after it.
func TestSecretIsShownWithoutReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	only := func(scopes string) map[string]string {
		return r.visitor(t, r.makeToken(t, operatorToken, "default", `{"name":"only-`+scopes+`","scopes":["`+scopes+`"]}`))
	}
	secret := regexp.MustCompile(`sg_[A-Za-z0-9_-]{20,}`)
	admin := only("admin")
	r.visits(t, admin, "/settings/tokens", 200, "Make the token", "The list is not shown", "<code>read</code>")
	got := r.sends(t, admin, "/settings/tokens", url.Values{"name": {"ci"}, "scope": {"admin"}}, 200, "The token ci is made", "The list is not shown")
	if !secret.MatchString(got.body) {
		t.Errorf("the secret is not shown: %s", got.body)
	}
	lacks(t, got, "No token.")
	r.sends(t, admin, "/settings/tokens", url.Values{"name": {"Not a name"}, "scope": {"admin"}}, 422, `value="Not a name"`)

	r.does(t, ask{method: "PUT", path: "/v1/webhooks/hook", token: settingsToken, body: `{"url": "https://hook.example.com/in", "events": ["response.updated"]}`}, 201)
	got = r.sends(t, only("settings"), "/destinations/hook/secrets", nil, 200, "Another secret is made", "whsec_", "The rest of the page is not shown")
	lacks(t, got, "It has no secret")
	// A test is not sent where what comes of it cannot be shown.
	r.sends(t, only("write"), "/destinations/hook/test", nil, 403)
	r.does(t, ask{path: "/v1/deliveries?destination=hook", token: settingsToken}, 200, `"data":[]`)

	r = refusesReads(t, 1)
	r.does(t, ask{method: "PUT", path: "/v1/webhooks/hook", token: adminToken, body: `{"url": "https://hook.example.com/in", "events": ["response.updated"]}`}, 201)
	who := r.visitor(t, adminToken)
	r.does(t, ask{path: "/v1/rules", header: who}, 200)
	r.visits(t, who, "/settings/tokens", 429)
	got = r.sends(t, who, "/settings/tokens", url.Values{"name": {"ci"}, "scope": {"read"}}, 200, "The list is not shown")
	if !secret.MatchString(got.body) {
		t.Errorf("the secret is not shown: %s", got.body)
	}
	r.sends(t, who, "/destinations/hook/secrets", nil, 200, "whsec_")
	r.sends(t, who, "/settings/links", url.Values{"capability": {"webhooks"}}, 200, "The link is made", "/portal/open")
	got = r.sends(t, who, "/new/webhook", url.Values{"do": {"save"}, "name": {"signed-hook"}, "text": {"url: https://hook.example.com/in\nevents: [response.completed]\n"}}, 200, "whsec_")
	if strings.Contains(got.body, `id="problem"`) {
		t.Error(got.body)
	}
}

// TestFilterThatCannotBeRead: what the list refuses is refused where many are replayed or dropped, in the same words; nothing is left out of
// filters without a word.
func TestFilterThatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, response := range []string{"r1", "r2"} {
		r.accept(t, pollqr(response, 3))
		r.decide(t, state.Dead)
	}
	r.clock.Advance(time.Minute)
	who := r.visitor(t, everyToken)
	const flag = "this is true or false"
	for _, value := range []string{"1", "yes", "True"} {
		filter := "destination=alarms&state=dead&failed=" + value
		r.visits(t, who, "/deliveries?"+filter, 422, flag)
		for _, path := range []string{"/deliveries/drop", "/deliveries/replay"} {
			lacks(t, r.visits(t, who, path+"?"+filter, 422, flag), "2 deliveries")
			r.sends(t, who, path, url.Values{"query": {filter}, "reason": {"typed before"}}, 422, flag, `value="typed before"`)
		}
		r.visits(t, who, "/replays/new?count=1&"+filter, 422, flag)
		r.visits(t, who, "/replays/new?"+filter, 422, flag)
		r.sends(t, who, "/replays/new", url.Values{"destination": {"alarms"}, "state": {"dead"}, "failed": {value}}, 422, flag)
	}
	r.visits(t, who, "/deliveries/drop?destination=alarms&state=dead&failed=false", 200, "Drop 2 deliveries?")
	for _, path := range []string{"/deliveries/drop", "/deliveries/replay"} {
		for _, query := range []string{"destination=alarms&state=dead&since=%zz", "destination=alarms;x&state=dead"} {
			got := r.sends(t, who, path, url.Values{"query": {query}, "reason": {"typed before"}, "rate": {"7/s"}}, 422, "cannot be read", `value="typed before"`)
			if typed := html.UnescapeString(valueOf(t, got.body, "query")); typed != query {
				t.Errorf("%s has %q, not %q", path, typed, query)
			}
		}
	}
	r.sends(t, who, "/replays/new", url.Values{"destination": {"alarms"}, "events": {" , "}}, 422, "no id of an event", `value="alarms"`, "> , </textarea>")
	r.visits(t, who, "/replays/new?count=1&destination=alarms&events=%2C", 422, "no id of an event")
	if ids := r.replayed(t, "default"); len(ids) > 0 {
		t.Errorf("replayed are %v", ids)
	}
	r.does(t, ask{path: "/v1/replays", token: everyToken}, 200, `"data":[]`)
	r.does(t, ask{path: "/v1/drops", token: everyToken}, 200, `"data":[]`)
}

// TestEditorKeepsText: whichever question of the editor is refused, the text is shown as it was typed, with what was refused.
func TestEditorKeepsText(t *testing.T) {
	t.Parallel()
	const mine = "# typed for an hour\nwhen: nps_score <= 5\nsend: [alarms]\n"
	kept := 0
	for reads := range 7 {
		r := refusesReads(t, 10)
		r.does(t, ask{method: "PUT", path: "/v1/rules/low", token: adminToken, body: `{"when": "nps_score <= 6", "send": ["alarms"]}`}, 201)
		for _, path := range []string{"/rules/low/edit", "/new/rule"} {
			for _, do := range []string{"try", "save"} {
				who := r.visitor(t, r.makeToken(t, operatorToken, "default", `{"name":"editor`+strings.ToLower(do+path[1:4])+`","scopes":["read","settings"]}`))
				for range 10 - reads {
					r.does(t, ask{path: "/v1/rules", header: who}, 200)
				}
				body := url.Values{"kind": {"rule"}, "do": {do}, "version": {"1"}, "text": {mine}, "name": {"other"}}
				if path == "/new/rule" {
					body.Del("version")
				}
				got := r.ask(t, ask{method: "POST", path: "/console/t/default" + path, header: who, body: body.Encode()})
				switch got.status {
				case 303, 200, 412:
				case 429:
					kept++
					if !strings.Contains(got.body, "# typed for an hour") || !strings.Contains(got.body, "wait a second, and send it again") || strings.Contains(got.body, "It was deleted") {
						t.Errorf("%s %s after %d reads: %s", do, path, reads, got.body)
					}
				default:
					t.Errorf("%s %s after %d reads: %d", do, path, reads, got.status)
				}
			}
		}
	}
	if kept < 4 {
		t.Errorf("only %d were refused", kept)
	}
}

// TestRefusedListSaysNothingElse: a list that is refused says why, and does not say that there is nothing.
func TestRefusedListSaysNothingElse(t *testing.T) {
	t.Parallel()
	lists := []string{
		"/deliveries", "/deliveries?state=dead", "/deliveries?destination=nosuch", "/deliveries?q=jo", "/events", "/events?source=pollqr", "/events?q=jo", "/destinations", "/sources", "/rules",
		"/surveys", "/replays", "/drops", "/settings/tokens", "/settings/links", "/settings/audit", "/settings/audit?of=rule/low", "/destinations?q=x", "/sources?q=x", "/rules?q=x", "/surveys?q=x",
	}
	refused := func(r *rig, who map[string]string, path string, want ...int) {
		t.Helper()
		got := r.ask(t, ask{path: path, header: who})
		if !slices.Contains(want, got.status) {
			t.Errorf("%s: %d", path, got.status)
		}
		if got.status >= 400 && strings.Contains(got.body, `class="empty"`) {
			t.Errorf("%s says that there is nothing: %s", path, got.body)
		}
	}
	r, slow := newRig(t), refusesReads(t, 1)
	admin, late := r.visitor(t, operatorToken), slow.visitor(t, operatorToken)
	only := r.visitor(t, publishToken)
	slow.does(t, ask{path: "/v1/rules", header: late}, 200)
	for _, path := range lists {
		with := "?"
		if strings.Contains(path, "?") {
			with = "&"
		}
		page := "/console/t/default" + path
		if !strings.Contains(path, "q=jo") { // a search has one page
			refused(r, admin, page+with+"cursor=abc", 400, 404, 422)
		}
		refused(r, only, page, 403, 200)
		refused(slow, late, page, 429)
	}
	refused(r, admin, "/console/tenants?cursor=abc", 400, 422)
	refused(slow, late, "/console/tenants", 429)
}

// TestDropIsOfWhatCanBeDropped: the page that drops one delivery asks about one that is there and can be dropped.
func TestDropIsOfWhatCanBeDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	open, done := r.decideOne(t, "r1", 3, dead), r.decideOne(t, "r2", 3, delivered)
	who := r.visitor(t, everyToken)
	r.visits(t, who, "/deliveries/"+open+"/drop", 200, "Drop 1 delivery?", ">Drop it</button>")
	lacks(t, r.visits(t, who, "/deliveries/"+done+"/drop", 200, "The delivery is delivered"), "Drop it", "Drop 1 delivery?")
	lacks(t, r.visits(t, who, "/deliveries/dl_nosuch/drop", 404, "Not found"), "Drop it")
	var of view.Delivery
	if err := json.Unmarshal([]byte(r.does(t, ask{path: "/v1/deliveries/" + done, token: everyToken}, 200).body), &of); err != nil {
		t.Fatal(err)
	}
	lacks(t, r.visits(t, who, "/events/"+of.Event+"/drop", 200, "It is no dead letter"), "Drop it")
}

// TestSessionWithoutRead: each session begins on a page that works for it, its menu has no other, and a refusal names the scope and leads on.
func TestSessionWithoutRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	menu := regexp.MustCompile(`(?s)<nav aria-label="Pages">.*?</nav>`)
	href := regexp.MustCompile(`href="([^"]+)"`)
	for _, scope := range []string{"admin", "settings", "publish", "write", "secrets"} {
		who := r.visitor(t, r.makeToken(t, operatorToken, "default", `{"name":"only-`+scope+`","scopes":["`+scope+`"]}`))
		follow := func(path string) (string, told) {
			for range 5 {
				got := r.ask(t, ask{path: path, header: who})
				if got.status != 303 {
					return path, got
				}
				path = got.header.Get("Location")
			}
			return path, told{}
		}
		at, first := follow("/console/")
		if first.status != 200 {
			t.Fatalf("%s begins at %s: %d %s", scope, at, first.status, first.body)
		}
		for _, link := range href.FindAllStringSubmatch(menu.FindString(first.body), -1) {
			if at, got := follow(link[1]); got.status != 200 {
				t.Errorf("%s: the menu leads to %s: %d", scope, at, got.status)
			}
		}
		got := r.visits(t, who, "/deliveries/dl_none", 403, "<code>read</code>", "Go to Settings")
		lacks(t, got, "Go to the overview", ">Deliveries</a>")
	}
	who := r.visitor(t, r.makeToken(t, operatorToken, "default", `{"name":"writes-rules","scopes":["settings"]}`))
	r.visits(t, who, "/settings/gateway", 200, "/new/rule")
	r.visits(t, who, "/new/rule", 200, ">Save</button>")
	saved := r.sends(t, who, "/new/rule", url.Values{"do": {"save"}, "name": {"low"}, "text": {"when: nps_score <= 5\nsend: [alarms]\n"}}, 303)
	if to := saved.header.Get("Location"); to != "/console/t/default/settings" {
		t.Errorf("it leads to %s", to)
	}
	r.visits(t, r.visitor(t, readToken), "/deliveries/dl_none", 404, "Go to the overview", ">Deliveries</a>")
}
