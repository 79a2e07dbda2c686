package route

import (
	"net/http"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
)

// ofGateway are acts that concern the gateway as a whole; they are in the audit of the tenant "*".
var ofGateway = map[string]string{"/v1/reload": "configuration.reload", "/v1/vault/reseal": "vault.reseal"}

// Act returns how the audit calls what a call of the route does, KIND.VERB; empty for one that changes nothing, and for one whose
// handler records what it did itself. Acts are what the scopes `write` and `secrets` allow; documents, tenants, tokens and links are
// recorded where they are changed, with what they were before.
func (r *Route) Act() string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Recorded || r.Scope != access.Write && r.Scope != access.Secrets {
		return ""
	}
	if act := ofGateway[r.Path]; act != "" {
		return act
	}
	parts := strings.Split(strings.TrimPrefix(r.Path, "/v1/"), "/")
	return kindOf(parts[0]) + "." + parts[len(parts)-1]
}

// kindOf returns the kind of the things of a collection.
func kindOf(collection string) string {
	if kind, ok := strings.CutSuffix(collection, "ies"); ok {
		return kind + "y"
	}
	return strings.TrimSuffix(collection, "s")
}

// record adds a line to the audit for an act, and for secrets that were shown. An act that was done stays done if its line cannot be
// kept: an error would make the caller repeat it.
func (g *Guard) record(r *Route, c *Call) {
	did := r.Act()
	if c.Asked("show_secrets") == "true" {
		did = kindOf(strings.Split(strings.TrimPrefix(r.Path, "/v1/"), "/")[0]) + ".reveal"
	}
	if r.Path == "/v1/replays" && c.Asked("normalise") == "true" { // its other form is a job, which its handler records
		did = "event.normalise"
	}
	if did == "" {
		return
	}
	kind, _, _ := strings.Cut(did, ".")
	of := kind
	for _, name := range []string{"id", "name"} {
		if value := c.Segment(name); value != "" {
			of = kind + "/" + value
		}
	}
	tenant := c.Tenant
	if ofGateway[r.Path] != "" {
		tenant = access.AnyTenant
	}
	if err := g.Audit.Add(c.Base, tenant, audit.Line{By: c.By(), Did: did, Of: of}); err != nil {
		g.Log.Warn("an act is missing from the audit", "act", did, "tenant", tenant, "by", c.Grant.By(), "err", err)
	}
}
