package decide

import (
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// Asking returns a plan that asks only these rules and webhooks of a tenant's events, each as if it were enabled. They must be of p: of
// the tenant, or of every tenant. Sources, destinations and connectors are those of p. The plan is for events of this tenant alone.
func (p *Plan) Asking(tenant string, only ...*config.Rule) *Plan {
	enabled := make([]*config.Rule, len(only))
	for i, r := range only {
		if enabled[i] = r; r.Match.Disabled {
			own, match := *r, *r.Match
			match.Disabled = false
			own.Match = &match
			enabled[i] = &own
		}
	}
	asked := newLayer(nil, nil, enabled)
	next := &Plan{Config: p.Config, base: p.base.withRules(&asked), overlays: p.overlays, names: p.names, longest: p.longest}
	if over := p.overlays.Get(tenant); over != nil {
		none := *over
		none.rules, none.set, none.steps = nil, rules.NewSet(nil), map[stepKey]configured{}
		next.overlays = p.overlays.Change(func(set func(string, *overlay), _ func(string)) { set(tenant, &none) })
	}
	return next
}

// withRules returns a base that has the rules and steps of a layer in place of its own.
func (b *base) withRules(l *layer) *base {
	next := &base{layer: b.layer, public: b.public, byTenant: map[string]*ofTenant{}}
	next.rules, next.set, next.steps = l.rules, l.set, l.steps
	next.sets = []*rules.Set{l.set}
	for tenant, own := range b.byTenant {
		next.byTenant[tenant] = &ofTenant{sources: own.sources, destinations: own.destinations}
	}
	for i, r := range l.rules {
		o := next.own(r.Tenant)
		o.rules = append(o.rules, i)
	}
	next.scratch.New = func() any { return new([]rules.Match) }
	return next
}

// Matched returns the rules and webhooks that match an event, without what they owe.
func (p *Plan) Matched(ev *event.Event) []state.Origin {
	var all []state.Origin
	for _, outcome := range p.Decide(ev, ev.Received).Rules {
		if outcome.Err == "" {
			all = append(all, outcome.Origin)
		}
	}
	return all
}
