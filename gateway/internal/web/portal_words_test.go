package web

import (
	"net/url"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestPortalLeadsOnlyWhereItGoes: no tab leads to a page that is refused, and a link without a list says where to go.
func TestPortalLeadsOnlyWhereItGoes(t *testing.T) {
	t.Parallel()
	r := &rig{}
	r.plan.Store(load(t, "rules: []\nwebhooks: [{name: theirs, url: \"https://hook.example.com/in\", events: [response.updated], tenant: acme, signature: none}]\n"+
		someSettings[strings.Index(someSettings, "tokens:"):]))
	r.open(t)
	r.keep(t, "acme", plainWebhook("mine"))
	jo, _ := r.opened(t, allOfPortal)
	for _, tab := range []string{"", "/settings", "/test"} {
		lacks(t, r.does(t, ask{path: "/portal/webhooks/theirs" + tab, header: jo}, 200), "Signing secret")
	}
	r.does(t, ask{path: "/portal/webhooks/mine", header: jo}, 200, "Signing secret")

	replays, at := r.opened(t, `{"capabilities":["replay"]}`)
	r.does(t, ask{path: at, header: replays}, 200, `name="webhook"`, "Send again what failed")
	if got := r.does(t, ask{path: "/portal/?webhook=mine", header: replays}, 303); got.header.Get("Location") != "/portal/webhooks/mine/recover" {
		t.Error(got.header)
	}
	bodies, _ := r.opened(t, `{"capabilities":["bodies"]}`)
	lacks(t, r.does(t, ask{path: "/portal/", header: bodies}, 200, "shows single deliveries"), `name="webhook"`)
}

// TestPortalOfADeletedLink: the browser keeps its cookie, which counts no longer.
func TestPortalOfADeletedLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := decoded[view.MadePortalLink](t, r.does(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", token: acmeAdminToken, body: `{"capabilities":["webhooks"]}`}, 201))
	address, err := url.Parse(made.URL)
	if err != nil {
		t.Fatal(err)
	}
	got := r.does(t, ask{path: "/portal/open?" + address.RawQuery}, 303)
	r.does(t, ask{method: "DELETE", path: "/v1/tenants/acme/portal-links/" + made.ID, token: acmeAdminToken}, 204)
	lacks(t, r.does(t, ask{path: got.header.Get("Location"), header: withCookie(cookieOf(t, got))}, 401, "This link has ended"), "keeps no cookie")
}

// TestPortalIsolatesTitles: a title that reverses the direction of text reverses nothing beside it.
func TestPortalIsolatesTitles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keep(t, "acme", config.Document{Name: "webhook/mine", Spec: []byte(
		`{"url": "https://hook.example.com/in", "title": "a\u202eb", "events": ["response.updated"], "signature": "none"}`)})
	jo, _ := r.opened(t, allOfPortal)
	const isolated = "<bdi>a\u202eb</bdi>"
	for _, path := range []string{"/webhooks", "/webhooks/mine", "/webhooks/mine/settings", "/webhooks/mine/secrets", "/webhooks/mine/test"} {
		r.does(t, ask{path: "/portal" + path, header: jo}, 200, isolated)
	}
	for _, path := range []string{"/webhooks/mine/delete", "/webhooks/mine/disable"} {
		r.does(t, ask{method: "POST", path: "/portal" + path, header: jo}, 200, isolated)
	}
}
