package web

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/web/console"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
	"github.com/surveygate/surveygate/gateway/internal/web/portal"
)

// openPages are the paths of the sites that need no session.
var openPages = []string{
	"/", "/console/login", "/console/logout", "/console/look", "/console/open", "/portal/open", "/portal/look", "/console/assets/:file", "/portal/assets/:file",
	"/portal/accent/:file",
}

type pageRoute struct{ method, path string }

// pageRoutes are all pages of a server that need a session.
func pageRoutes(r *rig) []pageRoute {
	var all []pageRoute
	for _, each := range r.app.tcp.fiber.GetRoutes(true) {
		if each.Method == http.MethodHead || slices.Contains(openPages, each.Path) {
			continue
		}
		if strings.HasPrefix(each.Path, "/console/") || strings.HasPrefix(each.Path, "/portal/") {
			all = append(all, pageRoute{each.Method, each.Path})
		}
	}
	return all
}

// filled puts a tenant and names into a path.
func (p pageRoute) filled(tenant string) string {
	parts := strings.Split(p.path, "/")
	for i, part := range parts {
		switch {
		case part == ":tenant":
			parts[i] = tenant
		case strings.HasPrefix(part, ":"):
			parts[i] = "something"
		}
	}
	return strings.Join(parts, "/")
}

// visitor begins the session of a token, and returns its headers, as pages of the gateway send them.
func (r *rig) visitor(t testing.TB, token string) map[string]string {
	t.Helper()
	got := r.does(t, ask{method: "POST", path: "/console/login", body: `{"token":"` + token + `"}`}, 200)
	return withCookie(cookieOf(t, got), "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded")
}

func TestTemplatesParse(t *testing.T) {
	t.Parallel()
	if err := console.New(console.Options{}).Check(); err != nil {
		t.Error(err)
	}
	if err := portal.New(portal.Options{}).Check(); err != nil {
		t.Error(err)
	}
}

// TestPagesNeedASession holds every page, the next one too: without a session it shows nothing, a session of a tenant reaches no other
// tenant's page, and a page of another site changes nothing.
func TestPagesNeedASession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	acme := r.visitor(t, acmeToken)
	foreign := map[string]string{}
	maps.Copy(foreign, acme)
	foreign["Sec-Fetch-Site"] = "cross-site"
	routes := pageRoutes(r)
	if len(routes) < 8 {
		t.Fatalf("only %d pages", len(routes))
	}
	for _, p := range routes {
		switch got := r.ask(t, ask{method: p.method, path: p.filled("acme")}); {
		case strings.HasPrefix(p.path, "/console") && (got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), "/console/login")):
			t.Errorf("%s %s without a session: %d %s", p.method, p.path, got.status, got.body)
		case strings.HasPrefix(p.path, "/portal") && got.status != 401:
			t.Errorf("%s %s without a session: %d %s", p.method, p.path, got.status, got.body)
		}
		if p.method != http.MethodGet {
			if got := r.ask(t, ask{method: p.method, path: p.filled("acme"), header: foreign}); got.status != 403 && got.status != 401 {
				t.Errorf("%s %s from another site: %d %s", p.method, p.path, got.status, got.body)
			}
		}
		if strings.Contains(p.path, ":tenant") {
			if got := r.ask(t, ask{method: p.method, path: p.filled("default"), header: acme}); got.status != 403 {
				t.Errorf("%s %s of another tenant: %d %s", p.method, p.path, got.status, got.body)
			}
		}
		if strings.HasPrefix(p.path, "/portal") {
			if got := r.ask(t, ask{method: p.method, path: p.filled("acme"), header: acme}); got.status != 401 {
				t.Errorf("%s %s with the session of a token: %d %s", p.method, p.path, got.status, got.body)
			}
		}
	}
}

// TestHeadersOfPages: each page has the policy, and no page is kept by a browser.
func TestHeadersOfPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	acme := r.visitor(t, acmeToken)
	for _, path := range []string{"/console/login", "/console/t/acme/", "/console/t/acme/deliveries", "/console/t/acme/deliveries/nothing", "/console/t/default/", "/console/t/acme/nothing", "/portal/webhooks"} {
		got := r.ask(t, ask{path: path, header: acme})
		nonce := ""
		if _, after, ok := strings.Cut(got.header.Get("Content-Security-Policy"), "'nonce-"); ok {
			nonce, _, _ = strings.Cut(after, "'")
		}
		if path == "/console/login" { // who has a session needs no login
			if got.status != 303 {
				t.Errorf("%s: %d", path, got.status)
			}
			continue
		}
		if len(nonce) != 22 || strings.Count(got.body, `<script nonce="`+nonce+`"`) != 4 {
			t.Errorf("%s: the nonce %q is not that of its four scripts: %s", path, nonce, got.body)
		}
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
		} {
			if got.header.Get(name) != value {
				t.Errorf("%s: %s is %q", path, name, got.header.Get(name))
			}
		}
		if strings.Contains(got.body, ` style="`) || strings.Contains(got.body, "<style") {
			t.Errorf("%s has a style of its own: %s", path, got.body)
		}
	}
}

// TestPartIsNotSentAgain: a browser that has a fragment already gets 304.
func TestPartIsNotSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	acme := r.visitor(t, acmeToken)
	got := r.does(t, ask{path: "/console/t/acme/deliveries?part=rows", header: acme}, 200)
	if strings.Contains(got.body, "<html") {
		t.Errorf("a fragment is a whole page: %s", got.body)
	}
	acme["If-None-Match"] = got.header.Get("ETag")
	if again := r.ask(t, ask{path: "/console/t/acme/deliveries?part=rows", header: acme}); again.status != 304 || again.body != "" {
		t.Errorf("again: %d %q", again.status, again.body)
	}
}

// TestNoteIsShownOnce: what a page before said is shown by one page, as text.
func TestNoteIsShownOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	acme := r.visitor(t, acmeToken)
	acme["Cookie"] += "; sg-note=" + base64.RawURLEncoding.EncodeToString([]byte("<b>done</b>"))
	got := r.does(t, ask{path: "/console/t/acme/deliveries", header: acme}, 200, "&lt;b&gt;done&lt;/b&gt;")
	if !slices.ContainsFunc(got.header.Values("Set-Cookie"), func(c string) bool {
		return strings.HasPrefix(c, "sg-note=;") && strings.Contains(c, "expires=")
	}) {
		t.Errorf("the note stays: %v", got.header.Values("Set-Cookie"))
	}
}

// TestLook: a browser keeps how pages look in it, and comes back to the page where it was chosen.
func TestLook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	acme := r.visitor(t, acmeToken)
	got := r.does(t, ask{method: "POST", path: "/console/look", header: acme, body: "theme=dark&times=local&keys=off&back=/console/t/acme/deliveries"}, 303)
	if to := got.header.Get("Location"); to != "/console/t/acme/deliveries" {
		t.Errorf("it leads to %s", to)
	}
	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	acme["Cookie"] += "; " + cookie
	r.does(t, ask{path: "/console/t/acme/deliveries", header: acme}, 200, `data-theme="dark"`, " data-local", " data-nokeys")
	for _, back := range []string{"https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "/portal/", ""} {
		if to := r.does(t, ask{method: "POST", path: "/console/look", header: acme, body: "theme=dark&back=" + back}, 303).header.Get("Location"); to != "/console/" {
			t.Errorf("%s leads to %s", back, to)
		}
	}
}

func TestLongTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{page.Milliseconds(0.42), "0.4 ms"},
		{page.Milliseconds(88), "88 ms"},
		{page.Milliseconds(2100), "2.1 s"},
		{page.Milliseconds(nil), "–"},
		{page.Number(1234567), "1,234,567"},
		{page.Number(-88), "−88"},
		{page.Number(0.5), "0.5"},
		{page.Percent(0.99999), "99.9 %"},
		{page.Percent(1.0), "100 %"},
		{page.Percent(0.0001), "0.1 %"},
		{page.Percent(0.0), "0 %"},
		{page.Bytes(598), "598 B"},
		{page.Bytes(20 << 10), "20 KiB"},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}
