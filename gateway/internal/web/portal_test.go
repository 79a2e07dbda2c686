package web

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// opened makes a portal link of acme and opens it. It returns the headers of who visits, and the page that the link leads to.
func (r *rig) opened(t testing.TB, link string) (visitor map[string]string, at string) {
	t.Helper()
	made := decoded[view.MadePortalLink](t, r.does(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", token: acmeAdminToken, body: link}, 201))
	_, key, _ := strings.Cut(made.URL, "?k=")
	got := r.does(t, ask{path: "/portal/open?k=" + key}, 303)
	return withCookie(cookieOf(t, got), "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded"), got.header.Get("Location")
}

const allOfPortal = `{"capabilities":["webhooks","deliveries","replay","bodies","connections","rules"],"actor":"jo@acme.example"}`

var (
	shownSecret = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]{20,}`)
	hiddenField = regexp.MustCompile(`name="version" value="(\d+)"`)
)

// TestPortalWebhook makes a webhook, changes it, gives it another secret and deletes it, as a customer does.
func TestPortalWebhook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	jo, _ := r.opened(t, allOfPortal)
	get := func(path string, status int, parts ...string) told {
		t.Helper()
		return r.does(t, ask{path: "/portal" + path, header: jo}, status, parts...)
	}
	post := func(path, body string, status int, parts ...string) told {
		t.Helper()
		return r.does(t, ask{method: "POST", path: "/portal" + path, header: jo, body: body}, status, parts...)
	}
	get("/webhooks", 200, "No webhook yet", `href="/portal/new/webhook"`)
	get("/new/webhook", 200, `value="response.completed"`)

	// What is refused stays in the form.
	refused := post("/webhooks", form("url", `http://10.0.0.1/"><b>`, "which", "some", "event", "response.updated"), 422, `id="problem"`, `value="http://10.0.0.1/&#34;&gt;&lt;b&gt;"`, `value="response.updated" checked`)
	if strings.Contains(refused.body, `"><b>`) {
		t.Error("an address is not escaped")
	}
	post("/webhooks", form("url", "https://hook.example.com/in", "which", "some"), 422, "<code>events</code> is empty")

	made := post("/webhooks", form("url", "https://hook.example.com/in", "which", "all"), 200, "shown this once")
	secret := shownSecret.FindString(html.UnescapeString(made.body))
	name := regexp.MustCompile(`/portal/webhooks/(wh_\w+)/test`).FindStringSubmatch(made.body)
	if secret == "" || name == nil {
		t.Fatal(made.body)
	}
	at := "/webhooks/" + name[1]
	if list := get("/webhooks", 200, "hook.example.com/in", "active"); strings.Contains(html.UnescapeString(list.body), secret) {
		t.Error("the list shows the secret")
	}
	if one := read[view.Webhook](t, r.ask(t, ask{path: "/v1" + at, token: acmeToken}), 200); !slices.Equal(one.Events, []string{"*"}) || one.Body != "event" {
		t.Errorf("%+v", one)
	}

	// Settings: a title that is hostile, a header, whose value is not shown again.
	version := func(page told) string { return hiddenField.FindStringSubmatch(page.body)[1] }
	first := version(get(at+"/settings", 200, `value="https://hook.example.com/in"`))
	change := func(version, title string, more ...string) string {
		return form(append([]string{"version", version, "title", title, "url", "https://hook.example.com/in", "which", "all", "body", "event"}, more...)...)
	}
	post(at+"/settings", change(first, "<script>alert(1)</script>", "header-name", "X-Api-Key", "header-value", "a-header-secret"), 303)
	shown := get(at+"/settings", 200, "&lt;script&gt;alert(1)&lt;/script&gt;", `value="X-Api-Key"`, "••••••••-")
	if strings.Contains(shown.body, "<script>alert") || strings.Contains(shown.body, "a-header-secret") {
		t.Error("a title is not escaped, or a header is shown")
	}
	mask := regexp.MustCompile(`••••••••-[0-9a-f]{8}`).FindString(shown.body)
	// The version that the form was filled from is no longer the newest; what was typed stays.
	stale := post(at+"/settings", change(first, "Mine", "header-name", "X-Api-Key", "header-value", mask), 412, `value="Mine"`, "Changed meanwhile")
	post(at+"/settings", change(version(stale), "Mine", "header-name", "X-Api-Key", "header-value", mask), 303)
	if one := read[view.Webhook](t, r.ask(t, ask{path: "/v1" + at, token: acmeToken}), 200); !strings.Contains(string(one.Spec), mask) || !strings.Contains(string(one.Spec), `"Mine"`) {
		t.Errorf("%s", one.Spec)
	}
	post(at+"/settings", change(version(get(at+"/settings", 200)), "Mine"), 303)
	get(at+"/settings", 200, mask) // headers that are not sent stay
	post(at+"/settings", change(version(get(at+"/settings", 200)), "Mine", "header-name", "", "header-value", mask), 303)
	if again := get(at+"/settings", 200); strings.Contains(again.body, mask) {
		t.Error("a header whose name was emptied is still there")
	}

	// Secrets: one more is shown once; one ends after a question.
	added := post(at+"/secrets", form("overlap", "1h"), 200, "shown this once")
	second := shownSecret.FindString(html.UnescapeString(added.body))
	if second == "" || second == secret {
		t.Errorf("%q after %q", second, secret)
	}
	post(at+"/secrets", form("overlap", "1h"), 409, "two secrets count already")
	list := get(at+"/secrets", 200)
	if strings.Contains(html.UnescapeString(list.body), second) {
		t.Error("a secret is shown twice")
	}
	ends := regexp.MustCompile(`action="/portal(/webhooks/[^"]+/secrets/[^"]+/delete)"`).FindAllStringSubmatch(list.body, -1)
	if len(ends) != 2 {
		t.Fatal(list.body)
	}
	post(ends[1][1], "", 200, "End it now")
	post(ends[1][1], form("sure", "1"), 303)
	if left := get(at+"/secrets", 200); strings.Contains(left.body, "/delete") {
		t.Error("the last secret can be ended")
	}

	post(at+"/disable", "", 200, "Switch the webhook <bdi>Mine</bdi> off?", `name="sure"`)
	get(at, 200, "Switch off…")
	post("/webhooks/nothing/disable", "", 404)
	post(at+"/disable", form("sure", "1"), 303)
	get(at, 200, "Switch on", ">off<")
	post(at+"/enable", "", 303)
	get(at, 200, "Switch off", "Mine")
	post(at+"/delete", "", 200, "Delete the webhook <bdi>Mine</bdi>?", "No delivery waits for it")
	get(at, 200)
	post(at+"/delete", form("sure", "1"), 303)
	get(at, 404)
	for _, page := range []string{"", "/settings", "/secrets", "/test"} {
		get("/webhooks/nothing"+page, 404)
	}
}

// TestPortalDocuments makes and changes a connection and a rule as text.
func TestPortalDocuments(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	jo, _ := r.opened(t, allOfPortal)
	post := func(path, body string, status int, parts ...string) told {
		t.Helper()
		return r.does(t, ask{method: "POST", path: "/portal" + path, header: jo, body: body}, status, parts...)
	}
	const chat = `{"slack": {"webhook": "https://hooks.slack.com/services/T9/B9/abcdefghijkl"}}`
	post("/new/connection", form("name", "chat", "text", `{"slack": `), 422, "{&#34;slack&#34;:")
	post("/new/connection", form("name", "chat", "text", chat), 303)
	post("/new/connection", form("name", "chat", "text", chat), 412, `value="chat"`)
	shown := r.does(t, ask{path: "/portal/connections/chat", header: jo}, 200, "••••••••", "slack")
	if strings.Contains(shown.body, "abcdefghijkl") {
		t.Error("a secret is shown")
	}
	post("/new/rule", form("name", "happy", "text", `{"when": "nps_scor >= 9", "send": ["chat"]}`), 422, "nps_scor")
	post("/new/rule", form("name", "happy", "text", `{"when": "nps_score >= 9", "send": ["chat"]}`), 303)
	r.does(t, ask{path: "/portal/rules", header: jo}, 200, "nps_score &gt;= 9", "happy")
	post("/connections/chat/delete", "", 409, "rule/happy")
	post("/rules/happy/switch", form("on", "0"), 200, "Switch the rule <bdi>happy</bdi> off?")
	r.does(t, ask{path: "/portal/rules/happy", header: jo}, 200, "Switch off…")
	post("/rules/nothing/switch", form("on", "0"), 404)
	post("/rules/happy/switch", form("on", "0", "sure", "1"), 303)
	// A document may be called new.
	post("/new/connection", form("name", "new", "text", chat), 303)
	r.does(t, ask{path: "/portal/connections/new", header: jo}, 200, `<h1 tabindex="-1">new</h1>`, "slack")
	post("/connections/new/delete", form("sure", "1"), 303)
	r.does(t, ask{path: "/portal/rules/happy", header: jo}, 200, "Switch on")
	// What a file defines is shown, and cannot be changed here.
	r.does(t, ask{path: "/portal/rules/angry", header: jo}, 200, "The platform manages this rule")
	post("/rules/happy/delete", form("sure", "1"), 303)
	r.does(t, ask{path: "/portal/rules/happy", header: jo}, 404)
}

// TestPortalCapabilities: each page takes a capability; a link has the menu of those that it has, and reaches no other tenant.
func TestPortalCapabilities(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	needs := map[string][]string{
		"webhooks":    {"/webhooks", "/new/webhook", "/webhooks/x", "/webhooks/x/settings", "/webhooks/x/secrets", "/webhooks/x/test", "/event-types", "/event-types/verify", "/event-types/response.completed"},
		"deliveries":  {"/deliveries"},
		"bodies":      {"/deliveries/dl_x"},
		"replay":      {"/webhooks/x/recover"},
		"connections": {"/connections", "/new/connection", "/connections/x"},
		"rules":       {"/rules", "/new/rule", "/rules/x"},
	}
	if len(needs) != len(access.Capabilities()) {
		t.Fatalf("the capabilities are %v", access.Capabilities())
	}
	menu := map[string]string{"webhooks": `data-key="w">Webhooks</a>`, "deliveries": `data-key="d">Deliveries</a>`, "connections": `data-key="c">Connections</a>`, "rules": `data-key="r">Rules</a>`}
	for _, has := range access.Capabilities() {
		visitor, at := r.opened(t, `{"capabilities":["`+has+`"]}`)
		for capability, pages := range needs {
			for _, page := range pages {
				got := r.ask(t, ask{path: "/portal" + page, header: visitor})
				if refused := got.status == 403; refused != (capability != has) || got.status >= 500 {
					t.Errorf("%s with %s: %d", page, has, got.status)
				}
				for of, item := range menu {
					if strings.Contains(got.body, item) != (of == has) {
						t.Errorf("%s with %s: the menu has or lacks %s", page, has, of)
					}
				}
			}
		}
		if !strings.HasPrefix(at, "/portal/?opened=") {
			t.Errorf("with %s: %s", has, at)
		}
	}
	// The pages of another tenant's things are not there.
	jo, _ := r.opened(t, allOfPortal)
	for _, page := range []string{"/webhooks/warehouse", "/webhooks/warehouse/settings", "/connections/alarms", "/rules/detractor", "/deliveries/dl_ev_1_2"} {
		r.does(t, ask{path: "/portal" + page, header: jo}, 404)
	}
}

// TestPortalOpened: a browser that keeps no cookie is told so, with the link that the platform gave; nobody else can write that link.
func TestPortalOpened(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	jo, at := r.opened(t, `{"capabilities":["webhooks"],"at":"/webhooks","session":"1h","refresh_url":"https://app.example.com/again?x=1"}`)
	const again = `href="https://app.example.com/again?tenant=acme&amp;x=1"`
	if got := r.does(t, ask{path: at, header: jo}, 303); got.header.Get("Location") != "/portal/webhooks" {
		t.Errorf("%v", got.header)
	}
	blocked := r.does(t, ask{path: at}, 401, "keeps no cookie", again, `target="_blank"`)
	if strings.Contains(blocked.body, "has ended") {
		t.Error(blocked.body)
	}
	for mark, says := range map[string]string{"1": "keeps no cookie", "https://evil.example/": "This link has ended", "k1:AAAA": "This link has ended"} {
		if got := r.does(t, ask{path: "/portal/webhooks?opened=" + url.QueryEscape(mark)}, 401, says); strings.Contains(got.body, "href=\"http") {
			t.Errorf("%s: %s", mark, got.body)
		}
	}
	// A sealed cookie is no mark, and a mark no cookie.
	_, cookie, _ := strings.Cut(jo["Cookie"], "=")
	if got := r.does(t, ask{path: "/portal/webhooks?opened=" + url.QueryEscape(cookie)}, 401); strings.Contains(got.body, "app.example.com") {
		t.Error("a cookie counts as a mark")
	}
	name, _, _ := strings.Cut(jo["Cookie"], "=")
	mark, _ := url.QueryUnescape(strings.TrimPrefix(at, "/portal/webhooks?opened="))
	r.does(t, ask{path: "/portal/webhooks", header: withCookie(name + "=" + mark)}, 401)
	// After its end, the session still says where there is another.
	r.clock.Advance(time.Hour)
	r.does(t, ask{path: "/portal/webhooks", header: jo}, 401, "This session has ended", again)
	lacks(t, r.does(t, ask{path: at, header: jo}, 401, "This session has ended", again), "keeps no cookie")
	r.does(t, ask{path: "/portal/webhooks"}, 401, "makes a new link")
	r.does(t, ask{path: "/portal/open?k=nothing"}, 410, ">This link has ended</h1>")
}

// logo is an image of a type by its first bytes, of a size.
func logo(kind, begins string, size int) string {
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString([]byte(begins+strings.Repeat("x", size-len(begins))))
}

// TestPortalLook: a link gives the portal its name, logo, colour and theme, and the page that may show it in a frame.
func TestPortalLook(t *testing.T) {
	t.Parallel()
	r := &rig{}
	r.plan.Store(load(t, "public_url: https://hooks.example.com\nportal: {origins: [\"https://app.example.com\", \"https://b.example.com\"]}\n"+someSettings))
	r.open(t)
	png := logo("image/png", "\x89PNG\r\n\x1a\n", 16<<10)
	jo, _ := r.opened(t, fmt.Sprintf(`{"capabilities":["webhooks"],"origin":"https://app.example.com","name":"Lumen & <b>Co</b>","logo":%q,"accent":"#7C3AED","theme":"dark"}`, png))
	got := r.does(t, ask{path: "/portal/webhooks", header: jo}, 200, `data-theme="dark"`, "Lumen &amp; &lt;b&gt;Co&lt;/b&gt;</a>", `href="/portal/accent/7c3aed.css"`, "/assets/portal.")
	if policy := got.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors https://app.example.com;") || got.header.Get("X-Frame-Options") != "" {
		t.Errorf("%s, %s", policy, got.header.Get("X-Frame-Options"))
	}
	image := regexp.MustCompile(`src="(/portal/logo\?v=\w+)"`).FindStringSubmatch(got.body)
	if image == nil {
		t.Fatal(got.body)
	}
	if shown := r.does(t, ask{path: image[1], header: jo}, 200); shown.header.Get("Content-Type") != "image/png" || len(shown.body) != 16<<10 || !strings.Contains(shown.header.Get("Cache-Control"), "private") {
		t.Errorf("%d %v", len(shown.body), shown.header)
	}
	r.does(t, ask{path: "/portal/accent/7c3aed.css"}, 200, "--accent:light-dark(")
	for _, file := range []string{"7C3AED.css", "7c3ae.css", "red.css", "7c3aed", "7c3aed.css%7D"} {
		r.does(t, ask{path: "/portal/accent/" + file}, 404)
	}
	// Without a session there is nothing to see, but in the frame of each platform that is configured.
	ended := r.does(t, ask{path: "/portal/webhooks"}, 401)
	if policy := ended.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors https://app.example.com https://b.example.com;") {
		t.Error(policy)
	}
	own, _ := r.opened(t, `{"capabilities":["webhooks"]}`)
	if alone := r.does(t, ask{path: "/portal/webhooks", header: own}, 200); alone.header.Get("X-Frame-Options") != "DENY" || !strings.Contains(alone.header.Get("Content-Security-Policy"), "frame-ancestors 'none';") {
		t.Errorf("%v", alone.header)
	}
	r.does(t, ask{path: "/portal/logo", header: own}, http.StatusNotFound)
}

func TestPortalLogoIsChecked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for what, text := range map[string]string{
		"SVG":           logo("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'>", 100),
		"another type":  logo("image/png", "\xff\xd8\xff", 100),
		"HTML":          logo("text/html", "\x89PNG\r\n\x1a\n", 100),
		"too large":     logo("image/png", "\x89PNG\r\n\x1a\n", 16<<10+1),
		"an address":    "https://cdn.example.com/logo.png",
		"no base64":     "data:image/png;base64,%89PNG",
		"with a second": logo("image/png", "\x89PNG\r\n\x1a\n", 100) + "\n",
	} {
		body := fmt.Sprintf(`{"capabilities":["webhooks"],"logo":%q}`, text)
		if got := r.ask(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", token: acmeAdminToken, body: body}); got.status != 422 || !strings.Contains(got.body, `"loc":["logo"]`) {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	for _, text := range []string{logo("image/jpeg", "\xff\xd8\xff", 100), logo("image/webp", "RIFF0000WEBP", 100)} {
		r.does(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", token: acmeAdminToken, body: fmt.Sprintf(`{"capabilities":["webhooks"],"logo":%q}`, text)}, 201)
	}
	r.does(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", token: acmeAdminToken, body: `{"capabilities":["webhooks"],"name":"a\nb"}`}, 422, `"loc":["name"]`)
}

// The filter of deliveries offers all webhooks, however many there are, and a session of a portal link sees no variables of what files define.
func TestPortalOffersAllWebhooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var all []config.Document
	for i := range 201 {
		all = append(all, config.Document{Name: fmt.Sprintf("webhook/hook%03d", i), Spec: []byte(`{"url": "https://hook.example.com/in", "events": ["response.updated"], "signature": "none"}`)})
	}
	r.keep(t, "acme", all...)
	jo, _ := r.opened(t, allOfPortal)
	r.does(t, ask{path: "/portal/deliveries", header: jo}, 200, `value="hook000"`, `value="hook200"`)

	shown := r.does(t, ask{path: "/v1/connections/crm", token: acmeToken}, 200).body
	if !strings.Contains(shown, `"webhook":"${ACME_CONNECTION_CRM_SLACK_WEBHOOK}"`) || strings.Contains(shown, "abcdefghijkl") {
		t.Error(shown)
	}
	r.does(t, ask{path: "/v1/connections/crm", header: jo}, 200, `"spec":{"slack":{}}`)
	lacks(t, r.does(t, ask{path: "/v1/connections", header: jo}, 200), "${")
}
