// Package decide asks one event of every rule and webhook: what it owes to whom, and why not.
package decide

import (
	"crypto/sha256"
	"encoding/base32"
	"sync"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// OnceFor is how long `once: response` remembers which responses it told.
const OnceFor = 30 * 24 * time.Hour

// Plan is one configuration made ready to decide with. It is safe for concurrent use and never changes.
type Plan struct {
	Config *config.Config

	set          *rules.Set
	destinations map[target]*config.Destination
	steps        map[stepKey]configured
	scratch      sync.Pool
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

// New makes a configuration ready.
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
	p.scratch.New = func() any { return new([]rules.Match) }
	return p
}

// OriginOf is how deliveries of a rule or webhook name it.
func OriginOf(r *config.Rule) state.Origin {
	if r.Match.Kind == rules.WebhookKind {
		return state.Origin{Kind: state.Webhook, Name: r.Name}
	}
	return state.Origin{Kind: state.Rule, Name: r.Name}
}

// Decision is what one event owes.
type Decision struct {
	// Rules are those that matched or erred.
	Rules []state.RuleOutcome
	Owed  []Owed
	// Work is what asking them took, in steps of rules/expression.
	Work int
}

// Owed is one delivery and what builds it today.
type Owed struct {
	// Delivery is Waiting; Due is later than now only where it is delayed.
	Delivery    state.Delivery
	Destination *config.Destination
	Build       connectors.Connector
	// Sets are the settings that the step writes itself.
	Sets []string
	// Once is the key to reserve before the first attempt; empty where it may happen again.
	Once string
}

// Decide asks every rule and webhook of the event's tenant. Repeated for the same event and configuration it gives
// the same deliveries.
func (p *Plan) Decide(ev *event.Event, now time.Time) Decision {
	buffer := p.scratch.Get().(*[]rules.Match)
	defer p.scratch.Put(buffer)
	var d Decision
	*buffer, d.Work = p.set.Match(ev, (*buffer)[:0])
	for _, m := range *buffer {
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
			build, here := step.Build[ev.Tenant]
			destination := p.destinations[target{ev.Tenant, step.Destination}]
			if !here || destination == nil {
				continue // a rule of every tenant, and this one has no such destination
			}
			owed := Owed{
				Delivery: state.Delivery{
					ID:     DeliveryID(ev.ID, origin, step.Name),
					Tenant: ev.Tenant, EventID: ev.ID, Origin: origin, Step: step.Name,
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

// Today is a delivery with what builds it now and where it goes; false when the configuration no longer has its step.
func (p *Plan) Today(d state.Delivery, ev *event.Event) (Owed, bool) {
	c, known := p.steps[stepKey{d.Tenant, d.Origin, d.Step}]
	if !known {
		if c, known = p.steps[stepKey{"*", d.Origin, d.Step}]; !known {
			return Owed{}, false
		}
	}
	build, here := c.step.Build[d.Tenant]
	destination := p.destinations[target{d.Tenant, c.step.Destination}]
	if !here || destination == nil {
		return Owed{}, false
	}
	d.Destination, d.Connector = c.step.Destination, c.step.Connector(destination)
	return Owed{Delivery: d, Destination: destination, Build: build, Sets: c.step.Sets, Once: onceKey(c.rule, d.Origin, d.Step, ev)}, true
}

// Destination is one of a tenant's; nil where there is none.
func (p *Plan) Destination(tenant, name string) *config.Destination {
	return p.destinations[target{tenant, name}]
}

// Explain says of every rule and webhook of the event's tenant whether it matches, and why not.
func (p *Plan) Explain(ev *event.Event) []rules.Explanation { return p.set.Explain(ev) }

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// DeliveryID is `dl_`, the event's id, `_` and 13 characters made of the rule or webhook and the step, so that
// deciding again gives the same id and the id leads to its event.
func DeliveryID(eventID string, origin state.Origin, step string) string {
	var text [256]byte
	key := append(text[:0], origin.Kind...)
	key = append(key, 0)
	key = append(key, origin.Name...)
	key = append(key, 0)
	key = append(key, step...)
	sum := sha256.Sum256(key)
	var code [16]byte
	base32Lower.Encode(code[:], sum[:10])
	return "dl_" + eventID + "_" + string(code[:13])
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
