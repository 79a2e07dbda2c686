// Package decide matches one event against every rule and webhook, and returns the deliveries that it owes.
package decide

import (
	"sync"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/tenantmap"
	"github.com/surveygate/surveygate/rules"
)

// Plan is one configuration compiled for deciding: the base, which is the configuration of the files, and over it the overlays of
// tenants, which their documents define. A name that the base has in a tenant is the base's. A plan is immutable and safe for
// concurrent use.
type Plan struct {
	// Config is the base.
	Config *config.Config

	base     *base
	overlays tenantmap.Map[*overlay]
	names    func() map[string][]string
	longest  func() time.Duration
}

// base is the compiled base. Plans that differ in overlays share it.
type base struct {
	layer
	sets     []*rules.Set // the base's one
	public   *config.Public
	byTenant map[string]*ofTenant // what each tenant owns; for "*", the rules of every tenant
	scratch  sync.Pool
}

// ofTenant is what one tenant owns, in the order of the configuration.
type ofTenant struct {
	sources      []*config.Source
	destinations []*config.Destination
	rules        []int // indexes of layer.rules
}

// overlay is the compiled overlay of one tenant.
type overlay struct {
	layer
	config     *config.TenantConfig
	generation string // of base and overlay together
}

// layer is what the base or one overlay defines, by name.
type layer struct {
	rules        []*config.Rule
	set          *rules.Set
	sources      map[target]*config.Source
	destinations map[target]*config.Destination
	steps        map[stepKey]configured
	longest      time.Duration // timeout of a destination
}

type target struct{ tenant, name string }

type stepKey struct {
	tenant string // of the rule: "*" for one that runs in every tenant
	origin state.Origin
	step   string
}

type configured struct {
	rule *config.Rule
	step *config.Step
}

// New makes the plan of a base and of overlays that were compiled over it.
func New(c *config.Config, overlays ...*config.TenantConfig) *Plan {
	b := &base{layer: newLayer(c.Sources, c.Destinations, c.Rules), byTenant: map[string]*ofTenant{}}
	b.sets, b.public = []*rules.Set{b.set}, config.NewPublic(c)
	b.scratch.New = func() any { return new([]rules.Match) }
	for _, s := range c.Sources {
		own := b.own(s.Tenant)
		own.sources = append(own.sources, s)
	}
	for _, d := range c.Destinations {
		own := b.own(d.Tenant)
		own.destinations = append(own.destinations, d)
	}
	for i, r := range c.Rules {
		own := b.own(r.Tenant)
		own.rules = append(own.rules, i)
	}
	return (&Plan{Config: c, base: b}).With(overlays...)
}

// Public returns what everybody may know the names of.
func (p *Plan) Public() *config.Public { return p.base.public }

// With returns a plan in which the overlays of these tenants are replaced; one that is empty ends its tenant's. It shares
// everything else with p, which is unchanged. The overlays must have been compiled over the base of p.
func (p *Plan) With(overlays ...*config.TenantConfig) *Plan {
	next := &Plan{Config: p.Config, base: p.base, overlays: p.overlays}
	if len(overlays) > 0 {
		next.overlays = p.overlays.Change(func(set func(string, *overlay), remove func(string)) {
			for _, c := range overlays {
				if isEmpty(c) {
					remove(c.Tenant)
				} else {
					set(c.Tenant, newOverlay(p.Config, c))
				}
			}
		})
	}
	next.names, next.longest = sync.OnceValue(next.destinationNames), sync.OnceValue(next.longestTimeout)
	return next
}

func isEmpty(c *config.TenantConfig) bool {
	return len(c.Documents) == 0 && len(c.Sources) == 0 && len(c.Destinations) == 0 && len(c.Rules) == 0
}

func newOverlay(base *config.Config, c *config.TenantConfig) *overlay {
	return &overlay{
		layer: newLayer(c.Sources, c.Destinations, c.Rules), config: c,
		generation: config.OverGeneration(base.Generation, c.Generation),
	}
}

func newLayer(sources []*config.Source, destinations []*config.Destination, all []*config.Rule) layer {
	l := layer{
		rules:        all,
		sources:      make(map[target]*config.Source, len(sources)),
		destinations: make(map[target]*config.Destination, len(destinations)),
		steps:        make(map[stepKey]configured, len(all)),
	}
	for _, s := range sources {
		l.sources[target{s.Tenant, s.Name}] = s
	}
	for _, d := range destinations {
		l.destinations[target{d.Tenant, d.Name}] = d
		l.longest = max(l.longest, d.Timeout)
	}
	matches := make([]*rules.Rule, len(all))
	for i, r := range all {
		matches[i] = r.Match
		for _, s := range r.Steps {
			l.steps[stepKey{r.Tenant, OriginOf(r), s.Name}] = configured{r, s}
		}
	}
	l.set = rules.NewSet(matches)
	return l
}

// own returns what a tenant owns, for adding to it.
func (b *base) own(tenant string) *ofTenant {
	o := b.byTenant[tenant]
	if o == nil {
		o = &ofTenant{}
		b.byTenant[tenant] = o
	}
	return o
}

// OriginOf returns the name of a rule or webhook in its deliveries.
func OriginOf(r *config.Rule) state.Origin {
	if r.Match.Kind == rules.WebhookKind {
		return state.Origin{Kind: state.Webhook, Name: r.Name}
	}
	return state.Origin{Kind: state.Rule, Name: r.Name}
}

// Overlay returns what a tenant's documents add to the base; nil if there are none.
func (p *Plan) Overlay(tenant string) *config.TenantConfig {
	if o := p.overlays.Get(tenant); o != nil {
		return o.config
	}
	return nil
}

// Generation names the configuration that decides a tenant's events: the base's generation, followed by "+" and the overlay's
// where the tenant has one.
func (p *Plan) Generation(tenant string) string {
	if o := p.overlays.Get(tenant); o != nil {
		return o.generation
	}
	return p.Config.Generation
}

// Target returns where a step of a rule sends to in a tenant: the tenant's destination, and the connector that builds its
// requests. It returns false if the tenant lacks the destination, as may be with a rule of every tenant. The connector is nil if
// the destination is Broken.
func (p *Plan) Target(tenant string, s *config.Step) (*config.Destination, connectors.Connector, bool) {
	return p.target(tenant, p.overlays.Get(tenant), s)
}

// target is Target with the tenant's overlay, which may be nil.
func (p *Plan) target(tenant string, over *overlay, s *config.Step) (*config.Destination, connectors.Connector, bool) {
	destination := p.destination(tenant, over, s.Destination)
	if destination == nil {
		return nil, nil, false
	}
	if destination.Broken {
		return destination, nil, true
	}
	build, ok := s.Build[tenant]
	if !ok && over != nil {
		build, ok = over.config.Builds[s]
	}
	return destination, build, ok
}
