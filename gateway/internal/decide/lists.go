package decide

import (
	"iter"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Sources returns a tenant's sources: those of the base, then those of its overlay.
func (p *Plan) Sources(tenant string) []*config.Source {
	var all []*config.Source
	if own := p.base.byTenant[tenant]; own != nil {
		all = own.sources
	}
	if o := p.overlays.Get(tenant); o != nil {
		all = slices.Concat(all, o.config.Sources)
	}
	return slices.Clip(all)
}

// DestinationsOf returns a tenant's destinations: those of the base, then those of its overlay.
func (p *Plan) DestinationsOf(tenant string) []*config.Destination {
	var all []*config.Destination
	if own := p.base.byTenant[tenant]; own != nil {
		all = own.destinations
	}
	if o := p.overlays.Get(tenant); o != nil {
		all = slices.Concat(all, o.config.Destinations)
	}
	return slices.Clip(all)
}

// Rules returns the rules and webhooks that are asked about a tenant's events: those of the base, which include the rules of
// every tenant, then those of its overlay.
func (p *Plan) Rules(tenant string) []*config.Rule {
	owners := []string{tenant, config.AnyTenant}
	if tenant == config.AnyTenant {
		owners = owners[:1]
	}
	var at []int
	for _, owner := range owners {
		if own := p.base.byTenant[owner]; own != nil {
			at = append(at, own.rules...)
		}
	}
	slices.Sort(at)
	all := make([]*config.Rule, len(at))
	for i, index := range at {
		all[i] = p.base.rules[index]
	}
	if o := p.overlays.Get(tenant); o != nil {
		all = append(all, o.rules...)
	}
	return all
}

// Named returns the rule of a name that is asked about a tenant's events, or else the webhook; nil: there is none.
func (p *Plan) Named(tenant, name string) (found *config.Rule) {
	for _, each := range p.Rules(tenant) {
		if each.Name == name && (found == nil || OriginOf(each).Kind == state.Rule) {
			found = each
		}
	}
	return found
}

// Tenants returns all tenants that the base or an overlay names, in no order.
func (p *Plan) Tenants() iter.Seq[string] {
	return func(yield func(string) bool) {
		for tenant := range p.base.byTenant {
			if tenant != config.AnyTenant && !yield(tenant) {
				return
			}
		}
		for tenant := range p.overlays.All() {
			if p.base.byTenant[tenant] == nil && !yield(tenant) {
				return
			}
		}
	}
}

// HasTenant reports whether Tenants has a tenant.
func (p *Plan) HasTenant(tenant string) bool {
	return tenant != config.AnyTenant && (p.base.byTenant[tenant] != nil || p.overlays.Get(tenant) != nil)
}

// Source returns a tenant's source; nil if there is none.
func (p *Plan) Source(tenant, name string) *config.Source {
	if s := p.base.sources[target{tenant, name}]; s != nil {
		return s
	}
	if o := p.overlays.Get(tenant); o != nil {
		return o.sources[target{tenant, name}]
	}
	return nil
}

// Destination returns a tenant's destination; nil if there is none.
func (p *Plan) Destination(tenant, name string) *config.Destination {
	return p.destination(tenant, p.overlays.Get(tenant), name)
}

func (p *Plan) destination(tenant string, over *overlay, name string) *config.Destination {
	if d := p.base.destinations[target{tenant, name}]; d != nil || over == nil {
		return d
	}
	return over.destinations[target{tenant, name}]
}

// LongestTimeout returns the longest timeout of all destinations.
func (p *Plan) LongestTimeout() time.Duration { return p.longest() }

func (p *Plan) longestTimeout() time.Duration {
	longest := p.base.longest
	for _, o := range p.overlays.All() {
		longest = max(longest, o.longest)
	}
	return longest
}

// Destinations returns the names of all destinations by tenant. The caller must not change them.
func (p *Plan) Destinations() map[string][]string { return p.names() }

func (p *Plan) destinationNames() map[string][]string {
	all := map[string][]string{}
	for _, d := range p.Config.Destinations {
		all[d.Tenant] = append(all[d.Tenant], d.Name)
	}
	for tenant, o := range p.overlays.All() {
		for _, d := range o.config.Destinations {
			all[tenant] = append(all[tenant], d.Name)
		}
	}
	return all
}
