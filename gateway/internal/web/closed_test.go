package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// TestClosedParameters: on every route, a value that a parameter cannot have is refused with its place, and so is a cursor that no list
// made. A list that is empty instead looks like an answer.
func TestClosedParameters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	with := map[string]string{"GET /v1/stats": "of=destination:&", "POST /v1/replays": "normalise=true&"}
	closed := map[string]bool{"type": true, "status": true, "verdict": true, "cursor": true, "tenant": true}
	for _, declared := range Routes() {
		if !strings.HasPrefix(declared.Path, "/v1/") {
			continue
		}
		parameters, _ := declared.Parameters()
		for _, p := range parameters {
			if p.Type == route.Free && p.Kinds == nil && !closed[p.Name] {
				continue
			}
			var values []string
			switch {
			case p.Name == "tenant":
				values = []string{"No-Tenant", "nobody"}
			case p.Name == "cursor":
				values = []string{"nonsense", "No Name", "bm9uc2Vuc2U", "YQ", "%00", "acme/alarms"}
			default:
				values = []string{"nonsense"}
			}
			for _, value := range values {
				query := with[declared.Method+" "+declared.Path] + p.Name + "=" + strings.ReplaceAll(value, " ", "%20")
				if declared.Path == "/v1/stats" && p.Name == "cursor" {
					query += "&by=name"
				}
				path := strings.NewReplacer(":name", "alarms", ":id", "acme").Replace(declared.Path)
				if slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, declared.Method) && p.Name == "tenant" || declared.NewTenant {
					continue // a tenant begins when something of it is made
				}
				for _, wider := range []string{"", "&tenant=*"} {
					if wider != "" && (!declared.AllTenants || p.Name == "tenant") {
						continue
					}
					got := r.ask(t, ask{method: declared.Method, path: path + "?" + query + wider, token: operatorToken})
					want := []int{422}
					if p.Name == "tenant" {
						want = []int{403, 404}
					}
					if !slices.Contains(want, got.status) || got.status != 404 && !strings.Contains(got.body, `"loc":["`+p.Name+`"]`) {
						t.Errorf("%s %s?%s: %d %s", declared.Method, path, query+wider, got.status, got.body)
					}
				}
			}
		}
	}
	got := r.ask(t, ask{path: "/v1/audit?of=webhok", token: adminToken})
	if !strings.Contains(got.body, "did you mean `webhook`?") || !strings.Contains(got.body, "`vault`") {
		t.Errorf("%s", got.body)
	}
}

// TestAuditKinds: whatever a route adds to the audit can be asked for.
func TestAuditKinds(t *testing.T) {
	t.Parallel()
	for _, declared := range Routes() {
		if act := declared.Act(); act != "" {
			if kind, _, _ := strings.Cut(act, "."); !slices.Contains(audit.Kinds, kind) {
				t.Errorf("%s %s: %s", declared.Method, declared.Path, act)
			}
		}
	}
}
