package web

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

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
