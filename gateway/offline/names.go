package offline

import (
	"cmp"
	"slices"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules"
)

// Names are the names that a configuration defines, for one tenant; Tenants are all that own anything.
type Names struct {
	Sources, Connections, Webhooks, Rules, Tokens, Tenants []string
}

// NamesOf returns the names of a configuration. Environment variables may be unset.
func NamesOf(o Options, tenant string) (*Names, error) {
	c, err := o.load(true)
	if err != nil {
		return nil, err
	}
	n := &Names{}
	tenant = cmp.Or(tenant, config.DefaultTenant)
	add := func(to *[]string, owner, name string) {
		if owner != rules.AllTenants && !slices.Contains(n.Tenants, owner) {
			n.Tenants = append(n.Tenants, owner)
		}
		if owner == tenant || owner == rules.AllTenants || tenant == rules.AllTenants {
			*to = append(*to, name)
		}
	}
	for _, s := range c.Sources {
		add(&n.Sources, s.Tenant, s.Name)
	}
	for _, d := range c.Destinations {
		if d.Product != "webhook" {
			add(&n.Connections, d.Tenant, d.Name)
		} else {
			add(&n.Webhooks, d.Tenant, d.Name)
		}
	}
	for _, r := range c.Rules {
		if r.Match.Kind == rules.RuleKind {
			add(&n.Rules, r.Tenant, r.Name)
		}
	}
	for _, t := range c.Tokens {
		add(&n.Tokens, t.Tenant, t.Name)
	}
	return n, nil
}
