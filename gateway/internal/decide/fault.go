package decide

import (
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// FaultyRule is a rule or webhook of a tenant's document that does not compile: no event is matched against it.
type FaultyRule struct {
	Origin state.Origin
	// Reason is BrokenRule with the first fault.
	Reason string
}

// FaultyRules returns the rules and webhooks of the event's tenant that do not compile, in the order of their documents' names; nil
// for events that no rule is matched against.
func (p *Plan) FaultyRules(ev *event.Event) []FaultyRule {
	o := p.overlays.Get(ev.Tenant)
	if o == nil || !isMatched(ev) {
		return nil
	}
	var all []FaultyRule
	for i := range o.config.Documents {
		d := &o.config.Documents[i]
		kind, name, _ := strings.Cut(d.Name, "/")
		origin := state.Origin{Kind: state.OriginKind(kind), Name: name}
		if d.State != config.Broken || origin.Kind != state.Rule && origin.Kind != state.Webhook || o.hasRule(origin) {
			continue
		}
		all = append(all, FaultyRule{origin, o.reason(BrokenRule, origin)})
	}
	return all
}

// hasRule reports whether the overlay has a rule or webhook that events are matched against. That of a webhook may compile though
// its destination does not.
func (o *overlay) hasRule(origin state.Origin) bool {
	for _, r := range o.rules {
		if OriginOf(r) == origin {
			return true
		}
	}
	return false
}

// reason returns a reason with the first fault of the documents that may define an origin.
func (o *overlay) reason(reason string, origin state.Origin) string {
	if o == nil {
		return reason
	}
	for _, name := range DocumentsOf(origin) {
		if d := o.document(name); d != nil && d.State == config.Broken && len(d.Faults) > 0 {
			return reason + ": " + d.Faults[0].Message
		}
	}
	return reason
}
