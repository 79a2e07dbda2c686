package web

import (
	"net/http"
	"strings"
	"testing"
)

// What a platform sends is never refused by a plan; what exceeds it is shown to the operator and to the tenant. Publishing is refused.
func TestOverPlanIsShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.does(t, ask{method: "PUT", path: "/v1/tenants/acme", token: operatorToken, body: `{"limits":{"events_per_minute":2}}`}, 201)
	for n := range 5 {
		body := pollqr("r"+string(rune('0'+n)), 3)
		header := map[string]string{"Content-Type": "application/json", "X-PollQR-Signature": sign("acme-"+pollqrSecret, body)}
		if got := r.ask(t, ask{method: "POST", path: "/t/acme/in/branch", header: header, body: body}); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	for n, want := range []int{200, 200, 429} {
		got := r.ask(t, ask{method: "POST", path: "/v1/events", token: acmeToken, body: `{"type":"response.started","id":"p` + string(rune('0'+n)) + `"}`})
		if got.status != want {
			t.Fatalf("publishing %d: %d %s", n, got.status, got.body)
		}
	}
	if err := r.app.options.Stats.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = `"standing":{"events_this_minute":7,"over_limit_1h":5,"over_limit_24h":5}`
	r.does(t, ask{path: "/v1/tenants/acme", token: operatorToken}, 200, want)
	r.does(t, ask{path: "/v1/tenants/acme", token: acmeAdminToken}, 200, want)
	r.does(t, ask{path: "/v1/tenants/default", token: adminToken}, 200, `"standing":{"events_this_minute":0,"over_limit_1h":0,"over_limit_24h":0}`)
	r.does(t, ask{path: "/v1/health", token: acmeToken}, 200, `"over_limit_24h":5`)
	if got := r.does(t, ask{path: "/v1/health", token: everyToken}, 200); strings.Contains(got.body, "over_limit") {
		t.Errorf("a tenant without a limit has %s", got.body)
	}
}
