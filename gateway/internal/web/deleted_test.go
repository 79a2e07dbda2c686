package web

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The events of a deleted tenant stay until their retention ends, and are not seen by another tenant of the name: nothing is made under
// the name, unless the operator says that it is the same customer. Whoever acted for the tenant does not any more.
func TestDeletedTenantsNameIsNotGivenAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.does(t, ask{method: "PUT", path: "/v1/tenants/globex", token: operatorToken, body: `{"title":"Globex"}`}, 201)
	token := r.makeToken(t, operatorToken, "globex", `{"name":"app","scopes":["read","publish"]}`)
	session := r.session(t, token)
	link := decoded[view.MadePortalLink](t, r.does(t, ask{
		method: "POST", path: "/v1/tenants/globex/portal-links", token: operatorToken, body: `{"capabilities":["deliveries"]}`,
	}, 201))
	_, key, _ := strings.Cut(link.URL, "?k=")
	portal := cookieOf(t, r.does(t, ask{path: "/portal/open?k=" + key}, 303))
	const published = `{"type":"response.started","id":"a1"}`
	r.does(t, ask{method: "POST", path: "/v1/events", token: token, body: published}, 200)

	r.does(t, ask{method: "DELETE", path: "/v1/tokens/app?tenant=globex", token: operatorToken}, 204)
	r.does(t, ask{method: "DELETE", path: "/v1/tenants/globex/portal-links/" + link.ID, token: operatorToken}, 204)
	r.does(t, ask{method: "DELETE", path: "/v1/tenants/globex", token: operatorToken}, 204)
	r.does(t, ask{method: "DELETE", path: "/v1/tenants/globex", token: operatorToken}, 404)
	for _, a := range []ask{{token: token}, {header: withCookie(session)}, {header: withCookie(portal)}} {
		a.path = "/v1/deliveries"
		r.does(t, a, 401)
	}

	for _, a := range []ask{
		{method: "PUT", path: "/v1/tenants/globex"},
		{method: "POST", path: "/v1/tokens?tenant=globex", body: `{"name":"app","scopes":["read"]}`},
		{method: "POST", path: "/v1/tenants/globex/portal-links", body: `{"capabilities":["bodies"]}`},
		{method: "PUT", path: "/v1/webhooks/hook?tenant=globex", body: plainHook},
		{method: "POST", path: "/v1/settings/import?tenant=globex", body: "rules: []"},
		{method: "POST", path: "/v1/events?tenant=globex", body: published},
		{method: "POST", path: "/v1/events", body: `{"type":"response.started","id":"a2","tenant":"globex"}`},
	} {
		a.token = operatorToken
		if a.body == "" {
			a.body = "{}"
		}
		r.does(t, a, 409, "a tenant `globex` was deleted at 2026-01-02T12:00:00Z", "/v1/tenants/globex?restore=true")
	}
	r.does(t, ask{path: "/v1/events?tenant=globex", token: operatorToken}, 200, `"origid":"a1"`)
	r.does(t, ask{path: "/v1/tenants/globex", token: operatorToken}, 200, `"provenance":"store"`)

	r.does(t, ask{method: "PUT", path: "/v1/tenants/globex?restore=true", token: operatorToken, body: "{}"}, 201)
	token = r.makeToken(t, operatorToken, "globex", `{"name":"app","scopes":["read","publish"]}`)
	r.does(t, ask{path: "/v1/events", token: token}, 200, `"origid":"a1"`)
}

// A tenant without events can be made again at once, and has nothing of the former one: no line of its audit, no answer to one of its
// Idempotency-Keys, no replay, and none of the requests that its sources refused or captured.
func TestTenantMadeAgainBeginsAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	begin := func(status int) (token string) {
		t.Helper()
		r.does(t, ask{method: "PUT", path: "/v1/tenants/initech", token: operatorToken, body: `{"title":"Initech"}`}, status)
		return r.makeToken(t, operatorToken, "initech", `{"name":"app","scopes":["read","write","settings","admin"]}`)
	}
	once := func(token string) (name string) {
		t.Helper()
		got := r.does(t, ask{method: "POST", path: "/v1/webhooks", token: token, body: plainHook, header: map[string]string{"Idempotency-Key": "k"}}, 201)
		return decoded[view.Webhook](t, got).Name
	}
	former := begin(201)
	old := once(former)
	if again := once(former); again != old {
		t.Fatalf("a repeated request made %s, and %s", old, again)
	}
	const form = `{"profile":"pollqr","secrets":["pollqr-secret-abcdef"],"capture":"1h"}`
	requests := []string{"/v1/sources/forms/rejected", "/v1/sources/forms/captured"}
	send := func(token, body string) {
		t.Helper()
		r.does(t, ask{method: "PUT", path: "/v1/sources/forms", token: token, body: form}, 201)
		r.does(t, ask{method: "POST", path: "/t/initech/in/forms", body: body}, 401)
		for _, path := range requests {
			r.does(t, ask{path: path, token: token}, 200, body)
		}
	}
	send(former, "of-the-former-one")
	replay := decoded[view.Job](t, r.does(t, ask{method: "POST", path: "/v1/replays", token: former, body: `{"of":{"destination":"` + old + `","since":"1h"}}`}, 202))
	r.ended(t, former, replay.ID)
	r.does(t, ask{method: "DELETE", path: "/v1/sources/forms", token: former}, 200)

	r.clock.Advance(time.Second)
	r.does(t, ask{method: "DELETE", path: "/v1/webhooks/" + old, token: former}, 200)
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/app?tenant=initech", token: operatorToken}, 204)
	r.does(t, ask{method: "DELETE", path: "/v1/tenants/initech", token: operatorToken}, 204)
	r.await(func(p *decide.Plan) bool { return p.Overlay("initech") == nil })
	if got := r.does(t, ask{path: "/v1/tenants", token: operatorToken}, 200); strings.Contains(got.body, `"initech"`) {
		t.Errorf("the list has it: %s", got.body)
	}

	r.clock.Advance(time.Second)
	token := begin(201)
	if name := once(token); name == old {
		t.Error("it got the answer of the former tenant")
	}
	if got := r.does(t, ask{path: "/v1/audit", token: token}, 200, `"did":"webhook.create"`); strings.Contains(got.body, old) || strings.Contains(got.body, "tenant.delete") {
		t.Errorf("it sees what the former tenant did: %s", got.body)
	}
	r.does(t, ask{path: "/v1/audit?tenant=initech", token: operatorToken}, 200, old)
	r.does(t, ask{path: "/v1/stats?of=source:&step=day&since=30d", token: token}, 200)
	if got := r.does(t, ask{path: "/v1/replays", token: token}, 200); strings.Contains(got.body, `"job_`) {
		t.Errorf("it sees a replay of the former tenant: %s", got.body)
	}
	send(token, "of-the-new-one")
	for _, path := range requests {
		if got := r.does(t, ask{path: path, token: token}, 200); strings.Contains(got.body, "of-the-former-one") {
			t.Errorf("it sees requests to the former tenant: %s", got.body)
		}
		r.does(t, ask{path: path + "?tenant=initech", token: operatorToken}, 200, "of-the-former-one")
	}
}

// What was counted of a former tenant of the name is no figure of the new one, anywhere.
func TestFiguresOfAFormerTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const made = `{"title":"Initech","limits":{"events_per_minute":1}}`
	r.does(t, ask{method: "PUT", path: "/v1/tenants/initech", token: operatorToken, body: made}, 201)
	r.count(t, attempts("initech", "", noon.Add(-time.Minute), 41), attempts("initech", "hook", noon.Add(-time.Minute), 41),
		countOf(state.SourceStats, "initech", "", noon.Add(-time.Minute), state.EventsAccepted, 42))
	r.does(t, ask{path: "/v1/health?tenant=initech", token: operatorToken}, 200, `"events_24h":42`, `"attempts_24h":42`, `"over_limit_24h":41`)
	r.clock.Advance(time.Second)
	r.does(t, ask{method: "DELETE", path: "/v1/tenants/initech", token: operatorToken}, 204)
	r.clock.Advance(time.Second)
	r.does(t, ask{method: "PUT", path: "/v1/tenants/initech", token: operatorToken, body: made}, 201)
	r.does(t, ask{path: "/v1/health?tenant=initech", token: operatorToken}, 200, `"events_24h":0`, `"attempts_24h":0`, `"over_limit_24h":0`)
	lacks(t, r.does(t, ask{path: "/v1/tenants/initech", token: operatorToken}, 200), "41", "42")
	lacks(t, r.does(t, ask{path: "/v1/overview?tenant=initech", token: operatorToken}, 200), ":41", ":42", ":43")
	lacks(t, r.does(t, ask{path: "/v1/stats?of=destination:&by=name&tenant=initech", token: operatorToken}, 200), "hook", ":41")
}
