package web

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Every route, asked with another tenant's token for what is there, finds nothing of it.
func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	o := r.decide(t, state.Dead)
	delivery := o.Deliveries[0].ID
	names := map[string]string{
		"/v1/events": id, "/v1/deliveries": delivery, "/v1/sources": "pollqr", "/v1/connections": "alarms",
		"/v1/webhooks": "warehouse", "/v1/rules": "detractor", "/v1/destinations": "alarms",
		"/v1/tenants": "default", "/v1/tokens": "every",
	}
	made := r.ask(t, ask{method: "POST", path: "/v1/replays", token: everyToken, body: `{"of": {"events": ["` + id + `"], "state": "delivered"}}`})
	if made.status != 202 {
		t.Fatalf("%d %s", made.status, made.body)
	}
	var replay view.Job
	if err := json.Unmarshal([]byte(made.body), &replay); err != nil {
		t.Fatal(err)
	}
	names["/v1/replays"] = replay.ID
	before, err := r.store.Deliveries(context.Background(), "default", state.DeliveryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range Routes() {
		if route.TenantIn != "" {
			path := strings.NewReplacer(":"+route.TenantIn, "default", ":name", "warehouse").Replace(route.Path)
			for token, want := range map[string]int{acmeToken: 403, "": 401, publishToken: 403} {
				if got := r.ask(t, ask{method: route.Method, path: path, token: token, body: `{}`}); got.status != want || strings.Contains(got.body, "warehouse") {
					t.Errorf("%s %s with the token %s: %d, want %d: %s", route.Method, path, token, got.status, want, got.body)
				}
			}
			continue
		}
		parts := strings.Split(route.Path, "/")
		path := route.Path
		named := strings.Contains(route.Path, "/:")
		if named {
			name, ok := names["/v1/"+parts[2]]
			if !ok {
				t.Fatalf("%s: this test knows nothing to ask it for", route.Path)
			}
			parts[3] = name
			path = strings.Join(parts, "/")
		}
		for _, token := range []string{acmeToken, platformWide + "?tenant=acme"} {
			secret, query, _ := strings.Cut(token, "?")
			target := path
			if query != "" {
				target += "?" + query
			}
			got := r.ask(t, ask{method: route.Method, path: target, token: secret, body: `[]`})
			for _, of := range []string{id, delivery, replay.ID, `"name":"pollqr"`, `"alarms"`, `"detractor"`, `"warehouse"`, `"reader"`} {
				if strings.Contains(got.body, of) {
					t.Errorf("%s %s tells tenant acme of %s: %s", route.Method, target, of, got.body)
				}
			}
			want := 404
			if route.Scope == access.Secrets && secret == acmeToken { // which lacks it
				want = 403
			}
			if route.Scope == access.Admin { // which both lack
				want = 403
			}
			if route.Scope == access.Settings && route.Method == "PUT" { // it would make one of acme's own
				want = 422
			}
			if named && got.status != want {
				t.Errorf("%s %s: %d, want %d: %s", route.Method, target, got.status, want, got.body)
			}
		}
		if got := r.ask(t, ask{method: route.Method, path: path + "?tenant=acme", token: everyToken}); got.status != 403 {
			t.Errorf("%s %s: token of default asks for acme: %d", route.Method, path, got.status)
		}
		if got := r.ask(t, ask{method: route.Method, path: path}); got.status != 401 {
			t.Errorf("%s %s without a token: %d", route.Method, path, got.status)
		}
		granted := []access.Scope{access.Read, access.Publish}
		if got := r.ask(t, ask{method: route.Method, path: path, token: []string{readToken, publishToken}[btoi(route.Scope == access.Read)]}); !slices.Contains(granted, route.Scope) && got.status != 403 || route.Scope == access.Read && got.status != 403 {
			t.Errorf("%s %s without its scope: %d", route.Method, path, got.status)
		}
	}
	after, err := r.store.Deliveries(context.Background(), "default", state.DeliveryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("another tenant changed something: %s", diff)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
