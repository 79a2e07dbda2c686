package web

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// NewTenants returns the tenants of a store, of the running plan, and of the tokens in the store.
func NewTenants(store state.Store, plan func() *decide.Plan, tokens *access.Tokens) *access.Tenants {
	n := &named{plan: plan, tokens: tokens}
	return access.NewTenants(access.TenantsOptions{
		Store: store, Named: n.where, Names: n.all, Ceilings: func() *config.Limits { return &plan().Config.Limits },
	})
}

// named finds the tenants that files, documents and tokens name.
type named struct {
	plan   func() *decide.Plan
	tokens *access.Tokens
	files  atomic.Pointer[fileTenants]
}

// fileTenants are the tenants of one configuration of the files.
type fileTenants struct {
	of  *config.Config
	all map[string]bool
}

func (n *named) inFiles(c *config.Config) map[string]bool {
	if f := n.files.Load(); f != nil && f.of == c {
		return f.all
	}
	f := &fileTenants{c, map[string]bool{}}
	for _, s := range c.Sources {
		f.all[s.Tenant] = true
	}
	for _, d := range c.Destinations {
		f.all[d.Tenant] = true
	}
	for _, r := range c.Rules {
		f.all[r.Tenant] = true
	}
	for _, t := range c.Tokens {
		f.all[t.Tenant] = true
	}
	delete(f.all, config.AnyTenant)
	n.files.Store(f)
	return f.all
}

func (n *named) where(tenant string) string {
	plan := n.plan()
	switch {
	case n.inFiles(plan.Config)[tenant]:
		return access.InFile
	case plan.Overlay(tenant) != nil, n.tokens.Owns(tenant):
		return access.ByAPI
	}
	return ""
}

func (n *named) all() []string {
	plan := n.plan()
	all := maps.Clone(n.inFiles(plan.Config))
	for tenant := range plan.Tenants() {
		all[tenant] = true
	}
	for _, t := range n.tokens.Everybody() {
		all[t.Tenant] = true
	}
	return slices.Collect(maps.Keys(all))
}
