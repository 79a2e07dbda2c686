package web

import (
	"fmt"
	"html"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// settingsForm is a form of settings that was opened: what its page has hidden, and the fields.
func settingsForm(t *testing.T, page told, more ...string) string {
	t.Helper()
	return form(append([]string{"version", valueOf(t, page.body, "version"), "opened", html.UnescapeString(valueOf(t, page.body, "opened"))}, more...)...)
}

// TestPortalSettingsOfTwo: of two people with the same form open, the later one is told what the other changed, and undoes nothing of it unseen.
func TestPortalSettingsOfTwo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keep(t, "acme", plainWebhook("mine"))
	jo, _ := r.opened(t, allOfPortal)
	const at = "/portal/webhooks/mine/settings"
	open := func() told { return r.does(t, ask{path: at, header: jo}, 200) }
	post := func(body string, status int, parts ...string) told {
		t.Helper()
		return r.does(t, ask{method: "POST", path: at, header: jo, body: body}, status, parts...)
	}
	fields := func(title, url string, more ...string) []string {
		return append([]string{"title", title, "url", url, "which", "some", "event", "response.updated", "body", "raw"}, more...)
	}
	mine, others := open(), open()
	const before, after = "https://hook.example.com/in", "https://hook.example.com/moved"
	post(settingsForm(t, others, fields("Theirs", after, "header-name", "X-New", "header-value", "v1")...), 303)

	stale := post(settingsForm(t, mine, fields("Ours", before, "header-name", "", "header-value", "")...), 412, "Changed meanwhile",
		"Address is now <code><bdi>"+after+"</bdi></code>. You did not change it", "Title is now <code><bdi>Theirs</bdi></code>. You have changed it too", "The header X-New is new", `value="Ours"`, `value="`+after+`"`, `value="X-New"`)
	lacks(t, stale, "If-Match")
	mask := maskOf(t, stale.body)
	post(settingsForm(t, stale, fields("Ours", after, "header-name", "X-New", "header-value", mask)...), 303)
	one := read[view.Webhook](t, r.ask(t, ask{path: "/v1/webhooks/mine", token: acmeToken}), 200)
	for _, part := range []string{`"Ours"`, after, mask} {
		if !strings.Contains(string(one.Spec), part) {
			t.Errorf("%s lacks %s", one.Spec, part)
		}
	}
}

func maskOf(t *testing.T, body string) string {
	t.Helper()
	at := strings.Index(body, "••••••••-")
	if at < 0 {
		t.Fatal(body)
	}
	end := at + len("••••••••-") + 8
	return body[at:end]
}

// TestPortalSettingsLoseNothing: what cannot be read of the form is refused and stays in it; what was not sent stays as it is.
func TestPortalSettingsLoseNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keep(t, "acme", config.Document{Name: "webhook/mine", Spec: []byte(
		`{"url": "https://hook.example.com/in", "title": "First", "events": ["response.updated"], "signature": "none", "headers": {"X-Kept": "a"}}`)})
	jo, _ := r.opened(t, allOfPortal)
	const at = "/portal/webhooks/mine/settings"
	post := func(body string, status int, parts ...string) told {
		t.Helper()
		return r.does(t, ask{method: "POST", path: at, header: jo, body: body}, status, parts...)
	}
	opened := func(more ...string) string {
		return settingsForm(t, r.does(t, ask{path: at, header: jo}, 200), more...)
	}
	spec := func() string {
		return string(read[view.Webhook](t, r.ask(t, ask{path: "/v1/webhooks/mine", token: acmeToken}), 200).Spec)
	}
	was := spec()
	post(opened("title", "Typed", "header-name", "", "header-value", "typed-value"), 422, "a value but no name", `value="Typed"`, `value="typed-value"`)
	post(opened("header-name", "X-A", "header-value", "1", "header-name", "x-a", "header-value", "2"), 422, "is there twice", `value="x-a"`)
	post(opened("header-name", "X-A"), 422, "incomplete", `value="X-A"`)
	post(opened("which", "none"), 422, "choose all events")
	for _, version := range []string{"", "abc", "0", "-1", "1.5"} {
		again := post(form("version", version, "title", "Typed"), 422, "which version", `value="Typed"`, `name="version" value="`)
		if valueOf(t, again.body, "version") == "0" {
			t.Errorf("%q: the form has no version", version)
		}
	}
	post(form("title", "Typed"), 422, "which version")
	for _, opened := range []string{"{", "[]", `{"Headers": 1}`} {
		post(form("version", "1", "opened", opened, "title", "Typed"), 422, "damaged", `value="Typed"`)
	}
	post(form("version", "1", "opened", "null"), 412)
	if now := spec(); now != was {
		t.Errorf("%s, was %s", now, was)
	}
	post(opened(), 303)
	if now := spec(); now != was {
		t.Errorf("%s, was %s", now, was)
	}
	post(opened("title", "Second"), 303)
	if now := spec(); !strings.Contains(now, `"Second"`) || !strings.Contains(now, "X-Kept") || !strings.Contains(now, "response.updated") {
		t.Error(now)
	}
	var many []string
	for i := range 40 {
		many = append(many, "header-name", fmt.Sprintf("X-%d", i), "header-value", "v")
	}
	post(opened(many...), 422, "there are 40 headers", `value="X-39"`)
	post(opened(many[:32*4]...), 303)
	if now := spec(); !strings.Contains(now, "X-31") || strings.Contains(now, "X-Kept") {
		t.Error(now)
	}
}
