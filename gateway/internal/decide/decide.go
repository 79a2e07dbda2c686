package decide

import (
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// OnceFor is how long `once: response` remembers a response.
const OnceFor = 30 * 24 * time.Hour

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
	// Build is nil if Destination is Broken.
	Build connectors.Connector
	// Sets are the settings that the step writes itself.
	Sets []string
	// Step is the step; nil for a test.
	Step *config.Step
	// Once is the key to reserve before the first attempt; empty without `once`.
	Once string
	// AtDue is the rule, if something is asked when the delivery is due, before each attempt: the response as it stands, or a
	// guardrail; else nil.
	AtDue *config.Rule
}

// Decide matches every rule and webhook of the event's tenant. The same event and plan give the same deliveries, in the same
// order: those of the base first.
func (p *Plan) Decide(ev *event.Event, now time.Time) Decision {
	if event.IsAlone(ev.Source) {
		return p.alone(ev, now)
	}
	buffer := p.base.scratch.Get().(*[]rules.Match)
	defer p.base.scratch.Put(buffer)
	var d Decision
	over := p.overlays.Get(ev.Tenant)
	if over == nil {
		*buffer, d.Work = p.base.set.Match(ev, (*buffer)[:0])
		p.owe(&d, ev, now, nil, p.base.rules, *buffer)
		return d
	}
	var n int
	*buffer, n, d.Work = p.base.set.MatchBoth(over.set, ev, (*buffer)[:0])
	p.owe(&d, ev, now, over, p.base.rules, (*buffer)[:n])
	p.owe(&d, ev, now, over, over.rules, (*buffer)[n:])
	return d
}

// owe adds what the rules owe that matched, and the names of those that are unknown.
func (p *Plan) owe(d *Decision, ev *event.Event, now time.Time, over *overlay, all []*config.Rule, matches []rules.Match) {
	for _, m := range matches {
		rule := all[m.Index]
		if m.Unknown {
			d.Unknown = append(d.Unknown, rule.Name)
			continue
		}
		origin := OriginOf(rule)
		outcome := state.RuleOutcome{Origin: origin}
		if m.Err != nil {
			outcome.Err = m.Err.Error()
			d.Rules = append(d.Rules, outcome)
			continue
		}
		d.Rules = append(d.Rules, outcome)
		for _, step := range rule.Steps {
			destination, build, ok := p.target(ev.Tenant, over, step)
			if !ok {
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
				Step:        step,
			}
			if destination.Broken {
				owed.Delivery.Reason = BrokenDestination
			}
			if rule.AtDue(ev.Type) {
				owed.AtDue = rule
				owed.Delivery.Due, owed.Delivery.Reason = firstLook(rule, destination, ev, now)
			} else if wait := rule.Delay + destination.Delay; wait > 0 {
				owed.Delivery.Due = now.Add(wait)
				owed.Delivery.Reason = delayed
			}
			owed.Once = onceKey(rule, origin, step.Name, ev)
			d.Owed = append(d.Owed, owed)
		}
	}
}

// Sets returns the sets of rules that a tenant's events are matched against. The caller must not change the list.
func (p *Plan) Sets(tenant string) []*rules.Set {
	if over := p.overlays.Get(tenant); over != nil {
		return []*rules.Set{p.base.set, over.set}
	}
	return p.base.sets
}

// TestID is the id of an event whose source is event.IsAlone: it says which destination it is for, and apart makes two events of
// one.
func TestID(destination, apart string) string { return destination + "/" + apart }

// AloneDelivery returns the one delivery that an event owes under any plan whose source is event.IsAlone: to its destination.
func AloneDelivery(ev *event.Event, now time.Time) state.Delivery {
	destination, _, _ := strings.Cut(ev.OrigID, "/")
	origin := state.Origin{Kind: state.Test, Name: destination}
	if ev.Source == event.ErasureSource {
		origin.Kind = state.Erasure
	}
	return state.Delivery{
		ID: state.DeliveryID(ev, origin, origin.Name), Tenant: ev.Tenant, EventID: ev.ID, Origin: origin, Step: origin.Name,
		Destination: origin.Name, State: state.Waiting, Created: now, Updated: now, Due: now,
	}
}

// alone decides an event that no rule is asked about. It owes nothing to a destination that was removed meanwhile.
func (p *Plan) alone(ev *event.Event, now time.Time) (d Decision) {
	if owed, ok := p.Today(AloneDelivery(ev, now), ev); ok {
		d.Owed = []Owed{owed}
	}
	return d
}

// onceKey is what is reserved for one step of a rule: by `once: response`, or by the one delivery of a response that is incomplete
// after `incomplete_delay`; empty where nothing is reserved. Neither the kind nor the names can hold NUL.
func onceKey(r *config.Rule, origin state.Origin, step string, ev *event.Event) string {
	unfinished := r.IsUnfinished(ev.Type)
	if !r.Once && !unfinished {
		return ""
	}
	response := ev.ResponseKey()
	if response == "" {
		return ""
	}
	if unfinished {
		step += "\x00incomplete"
	}
	return string(origin.Kind) + "\x00" + origin.Name + "\x00" + step + "\x00" + response
}
