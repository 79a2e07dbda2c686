package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// stateLists are the lists that a token of every tenant may ask with `tenant=*`.
var stateLists = []string{"/v1/sources", "/v1/connections", "/v1/webhooks", "/v1/rules", "/v1/destinations", "/v1/deliveries"}

// Each list of states with `tenant=*` is that of one tenant after another, however long its pages are; each entry says whose it is; and
// only who reaches every tenant may ask for it.
func TestListsOfAllTenants(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	r, token := v.r, secretOf("overseer")
	for _, tenant := range []string{"acme", "default"} {
		r.does(t, ask{method: "POST", path: "/v1/events?tenant=" + tenant, token: token, body: `{"type":"response.updated","id":"e-` + tenant + `","feedback":"mine"}`}, 200)
		r.decide(t, state.Dead)
	}
	for _, path := range stateLists {
		var want []string
		for _, tenant := range []string{"acme", "default", "victim"} {
			for _, entry := range r.pages(t, path, tenant, "50", token) {
				if entry.Tenant == tenant {
					want = append(want, entry.Tenant+" "+entry.Name+entry.ID)
				}
			}
		}
		if !slices.ContainsFunc(want, func(s string) bool { return strings.HasPrefix(s, "victim ") }) {
			t.Errorf("%s: the victim has nothing: %v", path, want)
		}
		for _, limit := range []string{"1", "3", "200"} {
			var got []string
			for _, entry := range r.pages(t, path, access.AnyTenant, limit, token) {
				got = append(got, entry.Tenant+" "+entry.Name+entry.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s with limit=%s:\n%q, want\n%q", path, limit, got, want)
			}
		}
		r.does(t, ask{path: path + "?tenant=*", token: secretOf("stranger")}, 403, `"loc":["tenant"]`)
		r.does(t, ask{path: path + "?tenant=*&cursor=%2F%2F..", token: token}, 422, `"loc":["cursor"]`)
		r.does(t, ask{path: path + "?tenant=*&cursor=No-Tenant", token: token}, 422, `"loc":["cursor"]`)
		if got := r.does(t, ask{path: path + "?tenant=*", token: token}, 200); strings.Contains(got.body, mark+"@example.com") {
			t.Errorf("%s shows what a respondent wrote: %s", path, got.body)
		}
	}
	r.does(t, ask{path: "/v1/deliveries?tenant=*&include=event", token: token}, 422, `"loc":["include"]`)
	r.does(t, ask{path: "/v1/sources?tenant=*&show_secrets=true", token: token}, 422, `"loc":["show_secrets"]`)
	r.does(t, ask{path: "/v1/destinations?tenant=*&include=standing", token: token}, 200, `"dead":`)
	r.does(t, ask{path: "/v1/deliveries?tenant=*&destination=vic-crm", token: token}, 200, `"tenant":"victim"`)
	r.does(t, ask{path: "/v1/destinations/vic-hook?tenant=victim&include=standing", token: token}, 200, `"standing":{`)
}

// A rule of every tenant is in the list of all tenants once.
func TestRuleOfEveryTenantIsListedOnce(t *testing.T) {
	t.Parallel()
	r := &rig{}
	r.plan.Store(load(t, strings.Replace(someSettings, "rules:\n", "rules:\n  - {name: shared, tenant: \"*\", when: nps_score <= 1, send: [crm]}\n", 1)))
	r.open(t)
	got := r.does(t, ask{path: "/v1/rules?tenant=*", token: platformWide}, 200, `"name":"angry"`, `"name":"promoter"`)
	if n := strings.Count(got.body, `"name":"shared"`); n != 1 {
		t.Errorf("%d times: %s", n, got.body)
	}
	r.does(t, ask{path: "/v1/rules?tenant=acme", token: platformWide}, 200, `"name":"shared"`)
}

// listed is an entry of a list, as far as all lists have it.
type listed struct{ Name, ID, Tenant string }

// pages returns all entries of a list, read in pages.
func (r *rig) pages(t testing.TB, path, tenant, limit, token string) (all []listed) {
	t.Helper()
	query := url.Values{"tenant": {tenant}, "limit": {limit}}
	for range 100 {
		var p view.Page[listed]
		got := r.ask(t, ask{path: path + "?" + query.Encode(), token: token})
		if err := json.Unmarshal([]byte(got.body), &p); err != nil || got.status != http.StatusOK {
			t.Fatalf("%s?%s: %d %s", path, query.Encode(), got.status, got.body)
		}
		all = append(all, p.Data...)
		if p.Next == nil {
			return all
		}
		query.Set("cursor", *p.Next)
	}
	t.Fatalf("%s has no end", path)
	return nil
}
