// Package decide matches one event against every rule and webhook, and returns the deliveries that it owes.
package decide

import (
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// OnceFor is how long `once: response` remembers a response.
const OnceFor = 30 * 24 * time.Hour

// Plan is one configuration compiled for deciding. It is immutable and safe for concurrent use.
type Plan struct {
	Config *config.Config

	set          *rules.Set
	sets         [1]*rules.Set // set
	destinations map[target]*config.Destination
	steps        map[stepKey]configured
	scratch      sync.Pool
	names        func() map[string][]string
}

// scratch is reused by decisions.
type scratch struct {
	matches []rules.Match
	unknown []int32
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

// New makes the plan of a configuration.
func New(c *config.Config) *Plan {
	p := &Plan{
		Config:       c,
		destinations: make(map[target]*config.Destination, len(c.Destinations)),
		steps:        map[stepKey]configured{},
	}
	for _, d := range c.Destinations {
		p.destinations[target{d.Tenant, d.Name}] = d
	}
	matches := make([]*rules.Rule, len(c.Rules))
	for i, r := range c.Rules {
		matches[i] = r.Match
		for _, s := range r.Steps {
			p.steps[stepKey{r.Tenant, OriginOf(r), s.Name}] = configured{r, s}
		}
	}
	p.set = rules.NewSet(matches)
	p.sets[0] = p.set
	p.names = sync.OnceValue(func() map[string][]string {
		all := map[string][]string{}
		for _, d := range c.Destinations {
			all[d.Tenant] = append(all[d.Tenant], d.Name)
		}
		return all
	})
	p.scratch.New = func() any { return new(scratch) }
	return p
}

// OriginOf returns the name of a rule or webhook in its deliveries.
func OriginOf(r *config.Rule) state.Origin {
	if r.Match.Kind == rules.WebhookKind {
		return state.Origin{Kind: state.Webhook, Name: r.Name}
	}
	return state.Origin{Kind: state.Rule, Name: r.Name}
}

// Decision is what one event owes.
type Decision struct {
	// Rules are those that matched or failed.
	Rules []state.RuleOutcome
	Owed  []Owed
	// Work is the cost of matching, in steps of rules/expression.
	Work int
	// Unknown are the names of the rules whose condition was evaluated and is unknown.
	Unknown []string
}

// Owed is one delivery with the connector that builds it under this plan.
type Owed struct {
	// Delivery is Waiting; Due is later than now only where it is delayed.
	Delivery    state.Delivery
	Destination *config.Destination
	Build       connectors.Connector
	// Sets are the settings that the step writes itself.
	Sets []string
	// Once is the key to reserve before the first attempt; empty without `once`.
	Once string
}

// Decide matches every rule and webhook of the event's tenant. The same event and configuration give the same deliveries.
func (p *Plan) Decide(ev *event.Event, now time.Time) Decision {
	if ev.Source == event.TestSource {
		return p.test(ev, now)
	}
	buffer := p.scratch.Get().(*scratch)
	defer p.scratch.Put(buffer)
	var d Decision
	buffer.matches, buffer.unknown, d.Work = p.set.Ask(ev, buffer.matches[:0], buffer.unknown[:0])
	if n := len(buffer.unknown); n > 0 {
		d.Unknown = make([]string, n)
		for i, index := range buffer.unknown {
			d.Unknown[i] = p.Config.Rules[index].Name
		}
	}
	for _, m := range buffer.matches {
		rule := p.Config.Rules[m.Index]
		origin := OriginOf(rule)
		outcome := state.RuleOutcome{Origin: origin}
		if m.Err != nil {
			outcome.Err = m.Err.Error()
			d.Rules = append(d.Rules, outcome)
			continue
		}
		d.Rules = append(d.Rules, outcome)
		for _, step := range rule.Steps {
			build, ok := step.Build[ev.Tenant]
			destination := p.destinations[target{ev.Tenant, step.Destination}]
			if !ok || destination == nil {
				continue // a rule of every tenant, whose destination this one lacks
			}
			owed := Owed{
				Delivery: state.Delivery{
					ID:     state.DeliveryID(ev, origin, step.Name),
					Tenant: ev.Tenant, EventID: ev.ID, Revision: ev.Revision, Origin: origin, Step: step.Name,
					Destination: step.Destination, Connector: step.Connector(destination), State: state.Waiting,
					Created: now, Updated: now, Due: now,
				},
				Destination: destination,
				Build:       build,
				Sets:        step.Sets,
			}
			if wait := rule.Delay + destination.Delay; wait > 0 {
				owed.Delivery.Due = now.Add(wait)
				owed.Delivery.Reason = "delay"
			}
			owed.Once = onceKey(rule, origin, step.Name, ev)
			d.Owed = append(d.Owed, owed)
		}
	}
	return d
}

// Sets returns the sets of rules that a tenant's events are matched against. They stay the same until its rules change.
func (p *Plan) Sets(string) []*rules.Set { return p.sets[:] }

// TestID is the id that an event of event.TestSource is published with: it says which destination is tested, and apart makes
// two tests of one.
func TestID(destination, apart string) string { return destination + "/" + apart }

// TestDelivery returns the one delivery that an event of event.TestSource owes under any plan: to its destination.
func TestDelivery(ev *event.Event, now time.Time) state.Delivery {
	destination, _, _ := strings.Cut(ev.OrigID, "/")
	origin := state.Origin{Kind: state.Test, Name: destination}
	return state.Delivery{
		ID: state.DeliveryID(ev, origin, origin.Name), Tenant: ev.Tenant, EventID: ev.ID, Origin: origin, Step: origin.Name,
		Destination: origin.Name, State: state.Waiting, Created: now, Updated: now, Due: now,
	}
}

// test decides a test event. It owes nothing to a destination that was removed meanwhile.
func (p *Plan) test(ev *event.Event, now time.Time) (d Decision) {
	if owed, ok := p.Today(TestDelivery(ev, now), ev); ok {
		d.Owed = []Owed{owed}
	}
	return d
}

// Reasons of a waiting delivery whose step the configuration lacks: the step may come back, or other replicas have it.
const (
	Absent = "not configured now"
	Newer  = "only a newer configuration has its step"
)

// HasStep reports whether the configuration has a step of a tenant's rule or webhook, and its destination.
func (p *Plan) HasStep(tenant string, origin state.Origin, step string) bool {
	if origin.Kind == state.Test {
		return p.destinations[target{tenant, origin.Name}] != nil
	}
	_, _, ok := p.stepOf(tenant, origin, step)
	return ok
}

// ReasonOf returns a delivery's reason. It is Absent for a waiting delivery whose step the configuration lacks, even if the
// delivery was last handled while the configuration had the step.
func (p *Plan) ReasonOf(d *state.Delivery) string {
	if d.State == state.Waiting && d.Reason != Newer && !p.HasStep(d.Tenant, d.Origin, d.Step) {
		return Absent
	}
	return d.Reason
}

// stepOf returns a tenant's step with its destination.
func (p *Plan) stepOf(tenant string, origin state.Origin, step string) (configured, *config.Destination, bool) {
	c, known := p.steps[stepKey{tenant, origin, step}]
	if !known {
		if c, known = p.steps[stepKey{"*", origin, step}]; !known {
			return configured{}, nil, false
		}
	}
	_, built := c.step.Build[tenant]
	destination := p.destinations[target{tenant, c.step.Destination}]
	return c, destination, built && destination != nil
}

// Today returns a delivery with its present connector and destination; false if the configuration lacks its step.
func (p *Plan) Today(d state.Delivery, ev *event.Event) (Owed, bool) {
	if d.Origin.Kind == state.Test { // the connection or the webhook by itself, without any rule's step
		destination := p.destinations[target{d.Tenant, d.Origin.Name}]
		if destination == nil || destination.Alone == nil {
			return Owed{}, false
		}
		d.Destination, d.Connector = destination.Name, destination.Product
		return Owed{Delivery: d, Destination: destination, Build: destination.Alone}, true
	}
	c, destination, ok := p.stepOf(d.Tenant, d.Origin, d.Step)
	if !ok {
		return Owed{}, false
	}
	build := c.step.Build[d.Tenant]
	d.Destination, d.Connector = c.step.Destination, c.step.Connector(destination)
	return Owed{Delivery: d, Destination: destination, Build: build, Sets: c.step.Sets, Once: onceKey(c.rule, d.Origin, d.Step, ev)}, true
}

// Destinations returns the names of all destinations by tenant. The caller must not change them.
func (p *Plan) Destinations() map[string][]string { return p.names() }

// Destination returns a tenant's destination; nil if there is none.
func (p *Plan) Destination(tenant, name string) *config.Destination {
	return p.destinations[target{tenant, name}]
}

// Explain says of every rule and webhook of the event's tenant whether it matches, and why not. It returns nil for events
// that no rule is matched against.
func (p *Plan) Explain(ev *event.Event) []rules.Explanation {
	if ev.Type == event.TypeEntry || ev.Source == event.TestSource {
		return nil
	}
	return p.set.Explain(ev)
}

// onceKey is what `once: response` reserves for one step of a rule; empty where nothing is reserved. Neither the kind nor
// the names can hold NUL.
func onceKey(r *config.Rule, origin state.Origin, step string, ev *event.Event) string {
	if !r.Once {
		return ""
	}
	response := ev.ResponseKey()
	if response == "" {
		return ""
	}
	return string(origin.Kind) + "\x00" + origin.Name + "\x00" + step + "\x00" + response
}
