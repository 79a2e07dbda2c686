package decide

import (
	"slices"

	"github.com/surveygate/surveygate/gateway/config"
)

// Hears reports whether a rule or webhook of a tenant may get events of a type, whatever its condition says: one that is not
// disabled, accepts the type, and sends to a destination that the tenant has. It costs a look at each rule of the tenant.
func (p *Plan) Hears(tenant, eventType string) bool {
	over := p.overlays.Get(tenant)
	hears := func(r *config.Rule) bool {
		return !r.Match.Disabled && r.Match.AcceptsType(eventType) && slices.ContainsFunc(r.Steps, func(s *config.Step) bool {
			_, _, ok := p.target(tenant, over, s)
			return ok
		})
	}
	for _, owner := range [...]string{tenant, config.AnyTenant} {
		if own := p.base.byTenant[owner]; own != nil && slices.ContainsFunc(own.rules, func(i int) bool { return hears(p.base.rules[i]) }) {
			return true
		}
	}
	return over != nil && slices.ContainsFunc(over.rules, hears)
}
