package web

import (
	"testing"
)

// TestPortalRefusesDocuments: what is refused of a connection or a rule stays in the form, and says why.
func TestPortalRefusesDocuments(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	jo, _ := r.opened(t, allOfPortal)
	post := func(path, body string, status int, parts ...string) told {
		t.Helper()
		return r.does(t, ask{method: "POST", path: "/portal" + path, header: jo, body: body}, status, parts...)
	}
	const rule, typed = `{"when": "nps_score >= 9", "send": ["crm"]}`, `nps_score &gt;= 9`
	for _, one := range []string{"rule", "connection"} {
		for _, name := range []string{"", " ", ".", ".."} {
			post("/new/"+one, form("name", name, "text", rule), 422, "give it a name", typed)
		}
		post("/new/"+one, form("name", "a/b", "text", rule), 422, typed)
	}
	post("/new/rule", form("name", "happy", "text", rule), 303)
	lacks(t, post("/new/rule", form("name", "happy", "text", rule), 412, "The name is taken", "choose another name", typed), "If-None-Match", "Changed meanwhile")

	first := valueOf(t, r.does(t, ask{path: "/portal/rules/happy", header: jo}, 200).body, "version")
	post("/rules/happy", form("version", first, "text", `{"when": "nps_score >= 10", "send": ["crm"]}`), 303)
	stale := post("/rules/happy", form("version", first, "text", `{"when": "nps_score >= 8", "send": ["crm"]}`), 412, "What is there now", "nps_score &gt;= 10", "nps_score &gt;= 8")
	lacks(t, stale, "If-Match")
	for _, version := range []string{"", "abc", "0"} {
		post("/rules/happy", form("version", version, "text", rule), 422, "which version", "What is there now", typed)
	}
	post("/rules/gone", form("version", "1", "text", rule), 404, "to make it again", typed, `action="/portal/new/rule"`, `value="gone"`)
	post("/rules/happy", form("version", valueOf(t, stale.body, "version"), "text", `{"when": "nps_score >= 8", "send": ["crm"]}`), 303)
}

// TestPortalOfNothing: every page about a name that is not there says so.
func TestPortalOfNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keep(t, "acme", plainWebhook("mine"))
	all, _ := r.opened(t, allOfPortal)
	replays, _ := r.opened(t, `{"capabilities":["replay"]}`)
	for _, page := range []string{
		"/webhooks/nothing", "/webhooks/nothing/settings", "/webhooks/nothing/secrets", "/webhooks/nothing/test", "/webhooks/nothing/recover", "/webhooks/crm/recover", "/event-types/nothing",
		"/connections/nothing", "/rules/nothing", "/deliveries/dl_nothing", "/deliveries/dl_nothing/event", "/nothing",
	} {
		r.does(t, ask{path: "/portal" + page, header: all}, 404)
	}
	for _, page := range []string{
		"/webhooks/nothing/settings", "/webhooks/nothing/secrets", "/webhooks/nothing/secrets/x/delete", "/webhooks/mine/secrets/x/delete", "/webhooks/nothing/test", "/webhooks/nothing/recover",
		"/webhooks/nothing/enable", "/webhooks/nothing/disable", "/webhooks/nothing/delete", "/deliveries/dl_nothing/again", "/connections/nothing/test", "/connections/nothing/delete",
		"/connections/nothing/switch", "/rules/nothing/delete", "/rules/nothing/switch",
	} {
		r.does(t, ask{method: "POST", path: "/portal" + page, header: all, body: form("since", "1h", "version", "1")}, 404)
	}
	r.does(t, ask{path: "/portal/webhooks/nothing/recover", header: replays}, 404)
	r.does(t, ask{path: "/portal/webhooks/mine/recover", header: replays}, 200, "Count first")
	r.does(t, ask{path: "/portal/webhooks/mine/recover", header: all}, 200, "Count first")
}
