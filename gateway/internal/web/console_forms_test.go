package web

import (
	"encoding/base64"
	"fmt"
	"html"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

var (
	controls   = regexp.MustCompile(`(?s)<(/?form|input|textarea|button)\b([^>]*)>([^<]*)`)
	attributes = regexp.MustCompile(`\b(name|value|type|form|id|formaction|action)="([^"]*)"`)
)

// buttonsOf returns what the submit buttons of the form with an id add to it, in the order of the page, and what a browser posts when the one
// with a text is pressed: all controls in that order, which is not the order of their forms.
func buttonsOf(page, id string) (submits []string, post func(text string) string) {
	type control struct{ tag, name, value, text string }
	var all []control
	inside := ""
	for _, m := range controls.FindAllStringSubmatch(page, -1) {
		has := map[string]string{}
		for _, a := range attributes.FindAllStringSubmatch(m[2], -1) {
			has[a[1]] = html.UnescapeString(a[2])
		}
		switch m[1] {
		case "form":
			inside = has["id"]
			continue
		case "/form":
			inside = ""
			continue
		case "textarea":
			has["value"] = html.UnescapeString(strings.TrimPrefix(m[3], "\n"))
		}
		owner := inside
		if named, ok := has["form"]; ok {
			owner = named
		}
		box := has["type"] == "checkbox" || has["type"] == "radio"
		if owner != id || has["type"] == "button" || box && !strings.Contains(m[2], "checked") {
			continue
		}
		all = append(all, control{m[1], has["name"], has["value"], html.UnescapeString(m[3])})
		if m[1] == "button" {
			submits = append(submits, has["name"]+"="+has["value"])
		}
	}
	return submits, func(text string) string {
		body := url.Values{}
		for _, c := range all {
			if c.name != "" && (c.tag != "button" || c.text == text) {
				body.Add(c.name, c.value)
			}
		}
		return body.Encode()
	}
}

// TestEditorOfTwo: two people edit one rule. Who is late may write over the other's, or make the rule anew where it was deleted; what is
// posted is what a browser posts.
func TestEditorOfTwo(t *testing.T) {
	t.Parallel()
	r, visitor, _ := ruleRig(t)
	const path = "/console/t/acme/rules/low/edit"
	post := func(body string, want int, parts ...string) string {
		t.Helper()
		return r.does(t, ask{method: "POST", path: path, header: visitor, body: body}, want, parts...).body
	}
	const mine = "when: nps_score <= 9\nsend: [crm]\n"
	late := form("do", "save", "version", "1", "text", mine)
	change := func(when string) {
		t.Helper()
		r.does(t, ask{method: "PUT", path: "/v1/rules/low", token: acmeAdminToken, header: map[string]string{"If-Match": "*"}, body: strings.ReplaceAll(editedRule, "nps_score <= 6", when)}, 200)
	}
	change("nps_score <= 5")
	page := post(late, 412, "was written meanwhile")
	over := regexp.MustCompile(`Save mine over version \d+`).FindString(page)
	buttons, press := buttonsOf(page, "edit")
	if len(buttons) < 4 || buttons[0] != "do=try" {
		t.Errorf("Enter presses the first of %q", buttons)
	}
	change("nps_score <= 4")
	post(press(over), 412, "was written meanwhile") // over the version that was shown, and no other
	page = post(late, 412)
	over = regexp.MustCompile(`Save mine over version \d+`).FindString(page)
	_, press = buttonsOf(page, "edit")
	post(press(over), 303)
	r.does(t, ask{path: "/v1/rules/low", token: acmeToken}, 200, `"when":"nps_score <= 9"`)

	// Where it was deleted meanwhile, the text is made into a new one.
	_, press = buttonsOf(r.does(t, ask{path: path, header: visitor}, 200).body, "edit")
	saved := press("Save")
	r.does(t, ask{method: "DELETE", path: "/v1/rules/low", token: acmeAdminToken}, 200)
	r.does(t, ask{method: "POST", path: path + "?part=outcome", header: visitor, body: saved}, 200, "its condition is")
	page = post(saved, 412, "It was deleted meanwhile", "Leave it deleted", "nps_score &lt;= 9")
	_, press = buttonsOf(page, "edit")
	post(press("Save mine as a new one"), 303)
	r.does(t, ask{path: "/v1/rules/low", token: acmeToken}, 200, `"when":"nps_score <= 9"`)

	r.does(t, ask{method: "POST", path: path, header: visitor, body: form("over", "7")}, 412)
	r.does(t, ask{method: "POST", path: "/console/t/acme/rules/none/edit", header: visitor, body: form("kind", "webhook", "text", mine)}, 404)
	for _, none := range []string{form("text", mine), form("do", "save", "text", mine), ""} {
		if got := r.ask(t, ask{method: "POST", path: path + "?over=yes", header: visitor, body: none}); got.status >= 500 {
			t.Errorf("%q: %d", none, got.status)
		}
	}
}

// TestPagesAreOpenedFromAnywhere: each page can be opened by an address that was typed, or a link of another site; and what belongs to
// all pages holds for each.
func TestPagesAreOpenedFromAnywhere(t *testing.T) {
	t.Parallel()
	s := newRig(t).seed(t, small)
	escaped := regexp.MustCompile(`(?i)(?:href|action|hx-get|hx-post)="[^"?]*\?[^"=]*%(?:3d|26)[^"]*"`)
	retry := regexp.MustCompile(`<[^>]*data-retry[^>]*>`)
	back := regexp.MustCompile(`name="back" value="([^"]*)"`)
	check := func(path, page string) {
		t.Helper()
		for _, address := range escaped.FindAllString(page, -1) {
			t.Errorf("%s: a query is escaped as one value: %s", path, address)
		}
		for _, button := range retry.FindAllString(page, -1) {
			if !strings.Contains(button, "data-ask=") {
				t.Errorf("%s: the key r acts without a question: %s", path, button)
			}
		}
		if m := back.FindStringSubmatch(page); m == nil || html.UnescapeString(m[1]) != path {
			t.Errorf("%s: setting how pages look leads to %q", path, m)
		}
	}
	var requests sparse
	for _, site := range []string{"none", "cross-site"} {
		for _, each := range s.addresses(t) {
			if requests.leavesOut() {
				continue
			}
			visitor := maps.Clone(each.visitor)
			visitor["Sec-Fetch-Site"] = site
			if site == "cross-site" && !strings.HasSuffix(each.mounted, "/delete") {
				continue
			}
			got := s.ask(t, ask{path: each.path, header: visitor})
			if got.status != 200 {
				t.Errorf("%s from %s: %d %s", each.path, site, got.status, got.body)
			}
			lacks(t, got, "only pages of this gateway")
			check(each.path, got.body)
		}
	}
	jo := map[string]string{"Cookie": s.portalOf(t, "webhooks", "deliveries", "replay", "bodies", "connections", "rules"), "Sec-Fetch-Site": "none"}
	for _, each := range pageRoutes(s.rig) {
		if each.method != "GET" || !strings.HasPrefix(each.path, "/portal/") || strings.Contains(each.path, ":") || strings.HasSuffix(each.path, "*") {
			continue
		}
		if got := s.ask(t, ask{path: each.path, header: jo}); got.status == 200 {
			check(each.path, got.body)
		} else if got.status != 303 && got.status != 404 {
			t.Errorf("%s: %d", each.path, got.status)
		}
	}
}

// TestDeletionIsCountedFromAnywhere: what a deletion would stop is shown to a visitor who typed the address of its page, too.
func TestDeletionIsCountedFromAnywhere(t *testing.T) {
	t.Parallel()
	r, visitor, _ := ruleRig(t)
	visitor["Sec-Fetch-Site"] = "none"
	lacks(t, r.does(t, ask{path: "/console/t/acme/rules/low/delete", header: visitor}, 200, "Of the last 10 events", "7 removed", "Delete it"), `id="problem"`)
	r.does(t, ask{method: "POST", path: "/console/t/acme/rules/low/delete", header: visitor, body: form("version", "1")}, 403)
}

// TestLookLeadsBack: setting how pages look leads to the page where the form was, with its filters; from the answer to a form to the page
// that the form is on.
func TestLookLeadsBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	const base = "/console/t/default"
	back := func(a ask) string {
		t.Helper()
		a.header = who
		page := r.ask(t, a).body
		return r.does(t, ask{method: "POST", path: "/console/look", header: who, body: form("theme", "dark", "back", valueOf(t, page, "back"))}, 303).header.Get("Location")
	}
	for _, path := range []string{
		"/deliveries?state=dead&destination=alarms", "/deliveries?q=%26%3D%3F%25", "/rules/a%2Fb%3Fc%25d", "/rules/%C3%A9%20%22", "/nothing", "/events?type=response.complete",
	} {
		if to := back(ask{path: base + path}); html.UnescapeString(to) != base+path {
			t.Errorf("%s leads to %s", path, to)
		}
	}
	for path, want := range map[string]string{
		"/deliveries/act":                       "/deliveries",
		"/deliveries/dl_none/retry":             "/deliveries/dl_none",
		"/deliveries/drop?state=dead":           "/deliveries/drop?state=dead",
		"/deliveries/dl_none/drop":              "/deliveries/dl_none/drop",
		"/settings/tokens":                      "/settings/tokens",
		"/settings/tokens/none/delete":          "/settings/tokens/none",
		"/settings/links/none/delete":           "/settings/links/none/delete",
		"/rules/a%2Fb%3Fc/disable":              "/rules/a%2Fb%3Fc/disable",
		"/rules/a%2Fb%3Fc/enable":               "/rules/a%2Fb%3Fc",
		"/rules/none/edit?part=outcome&event=1": "/rules/none/edit?event=1",
		"/sources/none/capture":                 "/sources/none",
	} {
		if to := back(ask{method: "POST", path: base + path, body: "nothing"}); html.UnescapeString(to) != base+want {
			t.Errorf("a form at %s leads to %s, want %s", path, to, want)
		}
	}
}

// TestSessionEnds: without a session a fragment is refused without a body, for the sign-in page has no place within a page. What was
// posted leads to where a session begins, which says that nothing was saved, and from there to the page of the form.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, a := range []ask{
		{path: "/console/t/acme/deliveries?state=dead&part=rows"},
		{path: "/console/t/acme/?part=now"},
		{path: "/portal/webhooks?part=rows"},
		{method: "POST", path: "/console/t/acme/rules/low/edit?part=outcome", body: "text=x"},
	} {
		a.header = map[string]string{"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
		if got := r.ask(t, a); got.status != 401 || got.body != "" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %q %v", a.path, got.status, got.body, got.header)
		}
	}
	leads := func(a ask, want string) told {
		t.Helper()
		a.header = map[string]string{"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
		got := r.does(t, a, 303)
		to, err := url.Parse(got.header.Get("Location"))
		if err != nil || to.Path != "/console/login" || to.Query().Get("to") != want {
			t.Errorf("%s leads to %s", a.path, to)
		}
		return got
	}
	if note := noteOf(t, leads(ask{path: "/console/t/acme/deliveries?state=dead"}, "/console/t/acme/deliveries?state=dead")); note != "" {
		t.Errorf("who opens a page is told %q", note)
	}
	got := leads(ask{method: "POST", path: "/console/t/acme/rules/low/edit", body: "do=save&text=x"}, "/console/t/acme/rules/low/edit")
	note := noteOf(t, got)
	r.does(t, ask{path: got.header.Get("Location"), header: map[string]string{"Cookie": "sg-note=" + base64.RawURLEncoding.EncodeToString([]byte(note))}}, 200, "session has ended", "Nothing was saved")
	leads(ask{method: "POST", path: "/console/t/acme/deliveries/act", body: "do=drop"}, "/console/t/acme/deliveries")
	long := "do=save&text=" + repeat("x", 100<<10) // as a document can be
	leads(ask{method: "POST", path: "/console/t/acme/rules/low/edit", body: long}, "/console/t/acme/rules/low/edit")
	r.does(t, ask{method: "POST", path: "/portal/webhooks", body: long, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 401, "session has ended", "Nothing was saved")
}

// TestImportIsWhatWasPlanned: an import does what its plan said, of the same file by the same choices; else the new plan is shown.
func TestImportIsWhatWasPlanned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, acmeAdminToken)
	const path = "/console/t/acme/settings/transfer"
	text := "webhooks:\n  - {name: planned, url: \"https://hook.example.com/\", signature: none}\n"
	post := func(body url.Values, status int, parts ...string) string {
		t.Helper()
		return r.does(t, ask{method: "POST", path: path, header: who, body: body.Encode()}, status, parts...).body
	}
	asked := url.Values{"text": {strings.ReplaceAll(text, "\n", "\r\n")}, "owner": {"ci"}, "do": {"plan"}}
	planned := valueOf(t, post(asked, 200, "nothing is changed yet"), "planned")
	for name, value := range map[string]string{"text": strings.ReplaceAll(text, "planned", "other"), "owner": "me", "replace": "yes", "lock": "yes", "planned": ""} {
		other := url.Values{"text": {text}, "owner": {"ci"}, "do": {"import"}, "planned": {planned}}
		other.Set(name, value)
		post(other, 200, "nothing is changed yet", "the plan has changed")
	}
	r.does(t, ask{path: "/v1/webhooks/planned", token: acmeAdminToken}, 404)
	asked.Set("do", "import")
	asked.Set("planned", planned)
	// A colleague makes, then changes, the document that the plan is of.
	for i, change := range []string{`{"url": "https://hook.example.com/theirs", "signature": "none"}`, `{"url": "https://hook.example.com/again", "signature": "none"}`} {
		r.does(t, ask{method: "PUT", path: "/v1/webhooks/planned", token: acmeAdminToken, body: change}, 201-i, "planned")
		asked.Set("planned", valueOf(t, post(asked, 200, "nothing is changed yet", "the plan has changed", "~1 -0"), "planned"))
	}
	r.does(t, ask{path: "/v1/webhooks/planned", token: acmeAdminToken}, 200, "hook.example.com/again")
	post(asked, 303)
	r.does(t, ask{path: "/v1/webhooks/planned", token: acmeAdminToken}, 200, `"url":"https://hook.example.com/"`)
	for _, nothing := range []string{"", " \r\n", "\ufeff"} {
		lacks(t, told{body: post(url.Values{"text": {nothing}, "do": {"plan"}}, 422, "paste a file of documents")}, "JSON object")
	}
	asked.Del("planned")
	asked.Set("do", "plan")
	post(asked, 200, "nothing is changed yet")
	r.does(t, ask{path: "/v1/webhooks/planned", token: acmeAdminToken}, 200)
}

// TestAuditIsSearchedOn: the audit leads on where a search stopped on its way, and keeps what was typed where that is refused.
func TestAuditIsSearchedOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, operatorToken)
	const path = "/console/t/default/settings/audit"
	r.does(t, ask{path: path + "?of=nothing", header: who}, 422, `role="alert"`, `name="of" value="nothing"`, `role="search"`)
	for i := range 5001 {
		if err := r.book.Audit.Add(t.Context(), "default", audit.Line{By: audit.By{Name: "token:ci"}, Did: "test", Of: fmt.Sprint("webhook/w", i)}); err != nil {
			t.Fatal(err)
		}
	}
	got := r.does(t, ask{path: path + "?by=token:nobody", header: who}, 200, "None so far", "earched back to", "cursor=")
	lacks(t, got, "Nothing was done")
}

// TestNewerRows: what is newer are the rows that came or changed, however the newest row of the page changed meanwhile.
func TestNewerRows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	var ids []string
	for i := range 3 {
		ids = append(ids, r.decideOne(t, fmt.Sprint("r", i), 3, dead))
		r.clock.Advance(time.Second)
	}
	address := func(page string) string {
		t.Helper()
		_, line, _ := strings.Cut(page, `id="newer" class="newer"`)
		_, line, _ = strings.Cut(line, `hx-get="`)
		line, _, _ = strings.Cut(line, `"`)
		return html.UnescapeString(line)
	}
	all := address(r.visits(t, who, "/deliveries", 200).body)
	lost := address(r.visits(t, who, "/deliveries?state=dead", 200).body)
	drop := func(id string) {
		t.Helper()
		r.does(t, ask{method: "POST", path: "/v1/deliveries/" + id + "/drop", token: everyToken}, 200)
		r.clock.Advance(time.Second)
	}
	drop(ids[2]) // the newest changes, and leaves one of the lists
	lacks(t, r.does(t, ask{path: all, header: who}, 200), "newer: show")
	lacks(t, r.does(t, ask{path: lost, header: who}, 200), "newer: show")
	drop(ids[0])
	r.does(t, ask{path: all, header: who}, 200, "1 newer: show")
	drop(ids[1])
	r.does(t, ask{path: all, header: who}, 200, "2 newer: show")

	lasting := r.accept(t, pollqr("e0", 3))
	r.decide(t, state.Waiting)
	r.clock.Advance(time.Second)
	page := address(r.visits(t, who, "/events?type=response.completed", 200, lasting).body)
	// The newest is no longer among them: it was taken away.
	lacks(t, r.does(t, ask{path: strings.Replace(page, lasting, strings.Repeat("0", 32), 1), header: who}, 200), "newer event")
	r.accept(t, pollqr("e1", 3))
	r.decide(t, state.Waiting)
	r.does(t, ask{path: page, header: who}, 200, "1 newer event: show")
	r.does(t, ask{path: strings.Replace(page, lasting, strings.Repeat("0", 32), 1), header: who}, 200, "1 newer event: show")
}

// TestSampleIsKept: nothing leaves the page of a sample but a button.
func TestSampleIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lacks(t, r.visits(t, r.visitor(t, everyToken), "/sample", 200, "Use its example"), "data-submit")
}

// TestEmptyImport: an import without a file asks for one.
func TestEmptyImport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lacks(t, r.does(t, ask{method: "POST", path: "/v1/settings/import", token: acmeAdminToken}, 400, "send a file of documents"), "JSON object")
	lacks(t, r.does(t, ask{method: "POST", path: "/v1/settings/import", token: acmeAdminToken, body: "null"}, 422, "must be a file of documents"), "JSON object")
}
