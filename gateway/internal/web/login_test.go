package web

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// opens returns the path and the query of a login link.
func opens(t *testing.T, link view.LoginLink) string {
	t.Helper()
	at, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	return at.RequestURI()
}

// A login link opens once, with the rights of the token that made it, and ends with it.
func TestLoginLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := decoded[view.MadeToken](t, r.does(t, ask{method: "POST", path: "/v1/tokens", token: adminToken, body: `{"name":"person","scopes":["read"]}`}, 201)).Secret
	link := func(body string) view.LoginLink {
		return decoded[view.LoginLink](t, r.does(t, ask{method: "POST", path: "/v1/login-links", token: secret, body: body}, 201, `"token":"person"`))
	}
	made := link(`{"to":"/console/deliveries?state=dead"}`)
	if !strings.HasPrefix(made.URL, "https://gateway/console/open?k=") || !made.Expires.Equal(r.clock.Now().Add(5*time.Minute)) {
		t.Errorf("%+v", made)
	}
	for _, site := range []string{"cross-site", "same-site"} {
		r.does(t, ask{path: opens(t, made), header: map[string]string{"Sec-Fetch-Site": site}}, 403, "address bar")
	}
	got := r.does(t, ask{path: opens(t, made), header: map[string]string{"Sec-Fetch-Site": "none"}}, 303)
	cookie := cookieOf(t, got)
	if to := got.header.Get("Location"); to != "/console/deliveries?state=dead" {
		t.Errorf("it leads to %s", to)
	}
	r.does(t, ask{path: "/v1/events", header: withCookie(cookie)}, 200)
	r.does(t, ask{path: "/v1/audit", token: adminToken}, 200, `"session.open"`, `"session.link"`)
	r.does(t, ask{method: "POST", path: "/v1/tokens", header: withCookie(cookie, "Sec-Fetch-Site", "same-origin"), body: `{"name":"x","scopes":["read"]}`}, 403)

	// A second time it opens nothing; the browser that has opened it is led to the console.
	if got := r.does(t, ask{path: opens(t, made)}, 410, "surveygate console"); got.header.Get("Set-Cookie") != "" {
		t.Error("it begins a session again")
	}
	r.does(t, ask{path: opens(t, made), header: withCookie(cookie)}, 303)
	// A session makes links as well. One of somebody else does not take the place of a session, and is not used up.
	own := decoded[view.LoginLink](t, r.does(t, ask{method: "POST", path: "/v1/login-links", header: withCookie(cookie, "Sec-Fetch-Site", "same-origin"), body: `{}`}, 201))
	r.does(t, ask{path: opens(t, own), header: withCookie(r.session(t, everyToken))}, 409, "sign out first")
	if to := r.does(t, ask{path: opens(t, own)}, 303).header.Get("Location"); to != "/console/" {
		t.Errorf("it leads to %s", to)
	}

	late, revoked := link(`{}`), link(`{}`)
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/person", token: adminToken}, 204)
	r.does(t, ask{path: opens(t, revoked)}, 410)
	r.does(t, ask{path: "/v1/events", header: withCookie(cookie)}, 401)
	r.clock.Advance(5 * time.Minute)
	r.does(t, ask{path: opens(t, late)}, 410)
	r.does(t, ask{path: "/console/open"}, 410)
	for _, to := range []string{"/v1/events", "https://example.com/console/", "//example.com/console/", "/console/../v1", `/console/\\example.com`, "console/"} {
		r.does(t, ask{method: "POST", path: "/v1/login-links", token: everyToken, body: `{"to":"` + to + `"}`}, 422)
	}
}

// Over the control socket a link begins a session of the tenant's token `console`, which is made once and ends the sessions when it is deleted.
func TestLoginLinkOfTheSocket(t *testing.T) {
	t.Parallel()
	r := (&rig{}).open(t)
	link := func(query string) view.LoginLink {
		return decoded[view.LoginLink](t, r.does(t, ask{method: "POST", path: "/v1/login-links" + query, socket: true, body: `{}`}, 201, `"token":"console"`))
	}
	first, second := link("?tenant=default"), link("?tenant=default")
	if !strings.HasPrefix(first.URL, "http://127.0.0.1:") {
		t.Error(first.URL)
	}
	cookie := cookieOf(t, r.does(t, ask{path: opens(t, first)}, 303))
	other := cookieOf(t, r.does(t, ask{path: opens(t, second)}, 303))
	every := cookieOf(t, r.does(t, ask{path: opens(t, link("?tenant=*"))}, 303))
	r.does(t, ask{path: "/v1/tokens", header: withCookie(cookie)}, 200, `"name":"console","tenant":"default"`)
	r.does(t, ask{path: "/v1/events?tenant=*", header: withCookie(cookie)}, 403)
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/console", token: adminToken}, 204)
	for _, ended := range []string{cookie, other} {
		r.does(t, ask{path: "/v1/events", header: withCookie(ended)}, 401)
	}
	r.does(t, ask{path: "/v1/tenants", header: withCookie(every)}, 200)
	// A token of that name that somebody else made is not taken.
	r.does(t, ask{method: "POST", path: "/v1/tokens", token: adminToken, body: `{"name":"console","scopes":["read"]}`}, 201)
	r.does(t, ask{method: "POST", path: "/v1/login-links?tenant=default", socket: true, body: `{}`}, 409, "another token")
}

// A login by a form leads to a page of the console, and nowhere else.
func TestLoginLeadsToAPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for asked, want := range map[string]string{
		"":                              "/console/",
		"/console/deliveries?state=a&b": "/console/deliveries?state=a&b",
		"/console/events/é":             "/console/events/é",
		"/console":                      "/console/",
		"/v1/events":                    "/console/",
		"https://example.com/console/":  "/console/",
		"//example.com/console/":        "/console/",
		"/console/../v1":                "/console/",
		"/console/%2e%2e/v1":            "/console/",
		`/console/\example.com`:         "/console/",
		"/console//example.com":         "/console/",
		"javascript:alert(1)":           "/console/",
		"/console/\r\nSet-Cookie: a=b":  "/console/",
	} {
		got := r.does(t, ask{method: "POST", path: "/console/login", header: form, body: url.Values{"token": {everyToken}, "to": {asked}}.Encode()}, 303)
		if to, err := url.PathUnescape(got.header.Get("Location")); err != nil || to != want {
			t.Errorf("%q leads to %q, want %q", asked, to, want)
		}
	}
}

// formOf are the headers of a form that a page of the gateway sends, with the cookie of a session.
func formOf(cookie string) map[string]string {
	return withCookie(cookie, "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded")
}

// A logout by a form ends the session, and leads to the page where another begins, with a note; also where the session has ended already.
func TestLogoutByAForm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cookie := r.session(t, everyToken)
	for _, signedIn := range []string{cookie, "__Host-sg=ended"} {
		out := r.does(t, ask{method: "POST", path: "/console/logout", header: formOf(signedIn)}, 303)
		if to := out.header.Get("Location"); to != "/console/login" {
			t.Errorf("it leads to %s", to)
		}
		set := strings.Join(out.header.Values("Set-Cookie"), "\n")
		if !strings.Contains(set, "__Host-sg=; expires=") {
			t.Errorf("the browser keeps its session: %s", set)
		}
		_, note, _ := strings.Cut(set, "sg-note=")
		note, _, _ = strings.Cut(note, ";")
		r.does(t, ask{path: "/console/login", header: withCookie("sg-note=" + note)}, 200, "You are signed out.", `name="token"`)
	}
	foreign := formOf(cookie)
	foreign["Sec-Fetch-Site"] = "cross-site"
	if out := r.does(t, ask{method: "POST", path: "/console/logout", header: foreign}, 403); out.header.Get("Set-Cookie") != "" {
		t.Error("a page of another site ends a session")
	}
}

// Who is refused by a form, or by a link, sees a page that says why, and where to go on. A program is answered as by the API.
func TestRefusedLoginIsAPage(t *testing.T) {
	t.Parallel()
	r := (&rig{rates: route.Rates{Logins: route.Rate{Burst: 3, Per: 0.001}}}).open(t)
	isPage := func(got told) {
		t.Helper()
		if kind := got.header.Get("Content-Type"); kind != "text/html; charset=utf-8" || !strings.Contains(got.body, `name="token"`) {
			t.Errorf("%s: %s", kind, got.body)
		}
	}
	wrong := url.Values{"token": {"<b>wrong</b>"}, "to": {"/console/deliveries?a=1"}}.Encode()
	got := r.does(t, ask{method: "POST", path: "/console/login", header: formOf(""), body: wrong}, 401, "no token that counts here", `value="/console/deliveries?a=1"`)
	isPage(got)
	if strings.Contains(got.body, "wrong") {
		t.Error("the page shows what was entered as a token")
	}
	isPage(r.does(t, ask{method: "POST", path: "/console/login", header: formOf(""), body: "token="}, 422, "a token is needed"))
	isPage(r.does(t, ask{path: "/console/open?k=nothing"}, 410, "each opens once"))
	for range 2 {
		r.does(t, ask{method: "POST", path: "/console/login", body: `{"token":"wrong"}`}, 401, `"detail":[`)
	}
	isPage(r.does(t, ask{method: "POST", path: "/console/login", header: formOf(""), body: wrong}, 429))
}
