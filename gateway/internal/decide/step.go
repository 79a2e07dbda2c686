package decide

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// Reasons of a waiting delivery whose step the configuration lacks: the step may come back, or other replicas have it.
const (
	Absent = "not configured now"
	Newer  = "only a newer configuration has its step"
)

// Reasons of a waiting delivery that goes on when a document of its tenant compiles again.
const (
	BrokenDestination = "its destination has a fault in its settings"
	BrokenRule        = "its rule has a fault in its settings"
)

// HasStep reports whether the configuration has a step of a tenant's rule or webhook, and its destination.
func (p *Plan) HasStep(tenant string, origin state.Origin, step string) bool {
	if origin.IsAlone() {
		return p.Destination(tenant, origin.Name) != nil
	}
	_, ok := p.stepOf(tenant, p.overlays.Get(tenant), origin, step)
	return ok
}

// IsBroken reports whether the document of a tenant that defines a rule, webhook or tested destination does not compile.
func (p *Plan) IsBroken(tenant string, origin state.Origin) bool {
	o := p.overlays.Get(tenant)
	if o == nil {
		return false
	}
	for _, name := range DocumentsOf(origin) {
		if d := o.document(name); d != nil && d.State == config.Broken {
			return true
		}
	}
	return false
}

// DocumentsOf returns the names of the documents that may define the steps of an origin.
func DocumentsOf(origin state.Origin) []string {
	switch origin.Kind {
	case state.Rule:
		return []string{"rule/" + origin.Name}
	case state.Webhook:
		return []string{"webhook/" + origin.Name}
	default: // a test is of a destination
		return []string{"connection/" + origin.Name, "webhook/" + origin.Name}
	}
}

// Missing returns the names of the documents that may define what the plan lacks of a step: its destination if the plan has the
// rule, else the rule.
func (p *Plan) Missing(tenant string, origin state.Origin, step string) []string {
	if c, ok := p.findStep(tenant, p.overlays.Get(tenant), origin, step); ok {
		return DocumentsOf(state.Origin{Kind: state.Test, Name: c.step.Destination})
	}
	return DocumentsOf(origin)
}

// DocumentVersion returns the version of the document that the plan was made with, whatever its state; 0 if it had none.
func (p *Plan) DocumentVersion(tenant, name string) uint64 {
	if o := p.overlays.Get(tenant); o != nil {
		if d := o.document(name); d != nil {
			return d.Version
		}
	}
	return 0
}

// document returns nil if the overlay has no document of that name.
func (o *overlay) document(name string) *config.CompiledDocument {
	all := o.config.Documents // by name
	i, found := slices.BinarySearchFunc(all, name, func(d config.CompiledDocument, name string) int { return strings.Compare(d.Name, name) })
	if !found {
		return nil
	}
	return &all[i]
}

// ReasonOf returns a delivery's reason. For a waiting delivery whose step the configuration lacks, or whose destination is
// Broken, it says so, even if the delivery was last handled while the configuration had them.
func (p *Plan) ReasonOf(d *state.Delivery) string {
	if d.State != state.Waiting || d.Reason == Newer {
		return d.Reason
	}
	over := p.overlays.Get(d.Tenant)
	if d.Origin.IsAlone() {
		switch destination := p.destination(d.Tenant, over, d.Origin.Name); {
		case destination == nil:
			return Absent
		case destination.Broken:
			return over.reason(BrokenDestination, d.Origin)
		}
		return d.Reason
	}
	found, ok := p.stepOf(d.Tenant, over, d.Origin, d.Step)
	switch {
	case !ok && p.IsBroken(d.Tenant, d.Origin):
		return over.reason(BrokenRule, d.Origin)
	case !ok:
		return Absent
	case found.destination.Broken:
		return over.reason(BrokenDestination, state.Origin{Kind: state.Test, Name: found.destination.Name})
	}
	return d.Reason
}

// targeted is a step with where it sends to in one tenant.
type targeted struct {
	configured
	destination *config.Destination
	build       connectors.Connector // nil if the destination is Broken
}

// stepOf returns a tenant's step with its destination. over is the tenant's overlay, which may be nil.
func (p *Plan) stepOf(tenant string, over *overlay, origin state.Origin, step string) (t targeted, ok bool) {
	if t.configured, ok = p.findStep(tenant, over, origin, step); !ok {
		return targeted{}, false
	}
	t.destination, t.build, ok = p.target(tenant, over, t.step)
	return t, ok
}

// findStep returns a step of a tenant's rule, or of a rule of every tenant, whether the tenant has its destination or not.
func (p *Plan) findStep(tenant string, over *overlay, origin state.Origin, step string) (c configured, ok bool) {
	if c, ok = p.base.steps[stepKey{tenant, origin, step}]; !ok {
		c, ok = p.base.steps[stepKey{config.AnyTenant, origin, step}]
	}
	if !ok && over != nil {
		c, ok = over.steps[stepKey{tenant, origin, step}]
	}
	return c, ok
}

// Today returns a delivery with its present connector and destination; false if the configuration lacks its step.
func (p *Plan) Today(d state.Delivery, ev *event.Event) (Owed, bool) {
	over := p.overlays.Get(d.Tenant)
	if d.Origin.IsAlone() { // the connection or the webhook by itself, without any rule's step
		destination := p.destination(d.Tenant, over, d.Origin.Name)
		if destination == nil || destination.Alone == nil && !destination.Broken {
			return Owed{}, false
		}
		d.Destination, d.Connector = destination.Name, destination.Product
		owed := Owed{Delivery: d, Destination: destination}
		switch {
		case destination.Broken:
		case d.Origin.Kind == state.Erasure:
			if owed.Build = forgetting(destination.Alone); owed.Build == nil {
				return Owed{}, false
			}
		default:
			owed.Build = destination.Alone
		}
		return owed, true
	}
	t, ok := p.stepOf(d.Tenant, over, d.Origin, d.Step)
	if !ok {
		return Owed{}, false
	}
	d.Destination, d.Connector = t.step.Destination, t.step.Connector(t.destination)
	owed := Owed{
		Delivery: d, Destination: t.destination, Build: t.build, Sets: t.step.Sets, Step: t.step, Once: onceKey(t.rule, d.Origin, d.Step, ev),
	}
	if t.rule.AtDue(ev.Type) || d.Reason == DigestWaits {
		owed.AtDue = t.rule
	}
	return owed, true
}

// Explanation says why a rule or webhook matches an event or does not.
type Explanation struct {
	rules.Explanation
	// Configured is the rule or webhook.
	Configured *config.Rule
}

// Explain says of every rule and webhook of the event's tenant whether it matches, and why not. It returns nil for events
// that no rule is matched against.
func (p *Plan) Explain(ev *event.Event) []Explanation {
	if !isMatched(ev) {
		return nil
	}
	over := p.overlays.Get(ev.Tenant)
	if over == nil {
		return explanations(nil, p.base.rules, p.base.set.Explain(ev))
	}
	ofBase, ofOverlay := p.base.set.ExplainBoth(over.set, ev)
	return explanations(explanations(nil, p.base.rules, ofBase), over.rules, ofOverlay)
}

// isMatched reports whether rules are matched against an event.
func isMatched(ev *event.Event) bool {
	return ev.Type != event.TypeEntry && !event.IsAlone(ev.Source)
}

// IsAsked reports whether rules are asked about an event that is kept: nothing is asked of one whose content was erased.
func IsAsked(ev *event.Event) bool { return isMatched(ev) && !ev.IsErased() }

// explanations appends the explanations of rules.
func explanations(out []Explanation, all []*config.Rule, explained []rules.Explanation) []Explanation {
	for _, e := range explained {
		out = append(out, Explanation{e, all[e.Index]})
	}
	return out
}
