package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// ask evaluates every rule and webhook of a configuration; nil: the configuration is no longer stored.
func (x *Explanation) ask(plan *decide.Plan, ev *event.Event) {
	if plan == nil {
		return
	}
	for _, each := range plan.Explain(ev) {
		configured := each.Configured
		origin := decide.OriginOf(configured)
		rule := view.ExplainedRule{
			Kind: origin.Kind, Name: origin.Name, Matched: each.Matched, Why: each.Why,
			Missing: each.Missing, Faults: each.Faults,
		}
		if !each.Rule.When.IsZero() {
			rule.When = each.Rule.When.String()
		}
		if each.Err != nil {
			rule.Error = each.Err.Error()
		}
		rule.Parts = parts(&each.Explanation)
		if each.Matched {
			for _, s := range configured.Steps {
				step := view.ExplainedStep{Name: s.Name, Destination: s.Destination}
				destination, _, here := plan.Target(ev.Tenant, s)
				if destination != nil {
					step.Connector = s.Connector(destination)
				}
				if !here {
					step.Note = "not sent: tenant " + ev.Tenant + " has no " + s.Destination
				}
				rule.Steps = append(rule.Steps, step)
			}
		}
		x.Rules = append(x.Rules, rule)
	}
	for _, faulty := range plan.FaultyRules(ev) {
		x.Rules = append(x.Rules, view.ExplainedRule{Kind: faulty.Origin.Kind, Name: faulty.Origin.Name, Why: faulty.Reason})
	}
}

// parts returns the parts of a condition with their values.
func parts(e *rules.Explanation) (all []view.ConditionPart) {
	for _, p := range e.Parts {
		part := view.ConditionPart{Text: p.Text, Value: p.Value, Depth: p.Depth, Decided: p.Decided, NotAsked: p.NotAsked, Operand: p.Operand}
		if slices.Contains(e.Missing, p.Text) {
			part.Value = "absent" // what makes the rest unknown
		}
		all = append(all, part)
	}
	return all
}

// Rule explains one rule or webhook; nil if the configuration does not have it.
func Rule(plan *decide.Plan, ev *event.Event, origin state.Origin) *view.ExplainedRule {
	var x Explanation
	x.ask(plan, ev)
	return x.rule(origin)
}

// Alone explains a rule that is asked of the response as a whole, as if an event were all of it.
func Alone(r *config.Rule, ev *event.Event) *view.ExplainedRule {
	e := decide.Whole(r.Match, ev)
	return &view.ExplainedRule{
		Kind: decide.OriginOf(r).Kind, Name: r.Name, Matched: e.Matched, Why: "of the event by itself, " + e.Why, Parts: parts(&e), Missing: e.Missing, Faults: e.Faults,
	}
}

// record replaces what was evaluated by what was recorded, because that is what happened.
func (x *Explanation) record(o *state.Outcome) {
	for _, was := range o.Rules {
		rule := x.rule(was.Origin)
		if rule == nil {
			x.Rules = append(x.Rules, view.ExplainedRule{Kind: was.Origin.Kind, Name: was.Origin.Name, Why: "it matched"})
			rule = &x.Rules[len(x.Rules)-1]
		}
		if rule.Matched = was.Err == ""; !rule.Matched {
			rule.Error, rule.Why = was.Err, "its condition failed: "+was.Err
		}
	}
}

// attach adds deliveries and holds to their steps. A delivery whose rule is missing, as after a replay with a later
// configuration, adds its rule.
func (x *Explanation) attach(deliveries []state.Delivery, holds []state.DestinationOnHold, today *decide.Plan) {
	for i := range deliveries {
		d := &deliveries[i]
		step := x.step(d.Origin, d.Step)
		if step == nil || step.Delivery != nil { // the second is a fresh copy of the first
			rule := x.rule(d.Origin)
			if rule == nil {
				why := "it matched when the event was replayed"
				if d.Origin.IsAlone() {
					why = "somebody asked for a test delivery"
				}
				x.Rules = append(x.Rules, view.ExplainedRule{Kind: d.Origin.Kind, Name: d.Origin.Name, Matched: true, Why: why})
				rule = &x.Rules[len(x.Rules)-1]
			}
			rule.Steps = append(rule.Steps, view.ExplainedStep{Name: d.Step})
			step = &rule.Steps[len(rule.Steps)-1]
		}
		step.Destination, step.Connector, step.Note = d.Destination, d.Connector, ""
		step.Delivery = explained(d, x, today)
		step.Delivery.Hint = view.DeliveryHint(d)
		for _, h := range holds {
			if h.Destination == d.Destination && d.State == state.Waiting && (h.Hold.Until.IsZero() || h.Hold.Until.After(x.At)) {
				step.Hold = &view.ExplainedHold{
					Kind: h.Hold.Kind, Reason: h.Hold.Reason, Since: h.Hold.Since, Until: h.Hold.Until,
					Hint: view.HoldHint(&h.Hold, d.Destination, d.Connector, documentOf(today, d)),
				}
			}
		}
	}
	if x.State == "pending" {
		return
	}
	for i := range x.Rules {
		for j := range x.Rules[i].Steps {
			if s := &x.Rules[i].Steps[j]; s.Delivery == nil && s.Note == "" {
				s.Note = "no delivery is kept of it"
			}
		}
	}
}

func explained(d *state.Delivery, x *Explanation, today *decide.Plan) *view.ExplainedDelivery {
	v := &view.ExplainedDelivery{ID: d.ID, State: d.State, Reason: today.ReasonOf(d), Attempts: d.Attempts, Updated: d.Updated, Revision: d.Revision}
	if d.State == state.Waiting {
		v.Due = d.Due
		v.Now = d.Leased && d.Due.After(x.At)
	}
	for i := range d.Log {
		a := &d.Log[i]
		v.Log = append(v.Log, view.ExplainedAttempt{
			N: a.N, At: a.At, TookMS: view.Milliseconds(a.Took),
			Verdict: a.Verdict, Status: a.Status, Reason: a.Reason, Repeat: a.Repeat,
		})
	}
	return v
}

// compare adds what today's configuration would decide differently.
func (x *Explanation) compare(today *decide.Plan, ev *event.Event) {
	now := map[state.Origin]bool{}
	for _, each := range today.Explain(ev) {
		origin := decide.OriginOf(each.Configured)
		now[origin] = true
		was := x.rule(origin)
		switch {
		case was == nil && each.Matched && !x.Unknown:
			x.Changed = append(x.Changed, view.RuleChange{Kind: origin.Kind, Name: origin.Name, Why: "it is new, and would match"})
		case was == nil && each.Matched, was != nil && !was.Matched && each.Matched:
			x.Changed = append(x.Changed, view.RuleChange{Kind: origin.Kind, Name: origin.Name, Why: "it would match today"})
		case was != nil && was.Matched && !each.Matched:
			x.Changed = append(x.Changed, view.RuleChange{Kind: origin.Kind, Name: origin.Name, Why: "it would not match today: " + each.Why})
		}
	}
	faulty := map[state.Origin]string{}
	for _, f := range today.FaultyRules(ev) {
		faulty[f.Origin] = f.Reason
	}
	for i := range x.Rules {
		r := &x.Rules[i]
		origin := state.Origin{Kind: r.Kind, Name: r.Name}
		if !r.Matched || now[origin] {
			continue
		}
		why := "it is gone from today's configuration"
		if reason := faulty[origin]; reason != "" {
			why = "it would not match today: " + reason
		}
		x.Changed = append(x.Changed, view.RuleChange{Kind: r.Kind, Name: r.Name, Why: why})
	}
}

func (x *Explanation) rule(o state.Origin) *view.ExplainedRule {
	for i := range x.Rules {
		if x.Rules[i].Kind == o.Kind && x.Rules[i].Name == o.Name {
			return &x.Rules[i]
		}
	}
	return nil
}

func (x *Explanation) step(o state.Origin, name string) *view.ExplainedStep {
	rule := x.rule(o)
	if rule == nil {
		return nil
	}
	for i := range rule.Steps {
		if rule.Steps[i].Name == name {
			return &rule.Steps[i]
		}
	}
	return nil
}

// summarise returns the explanation in one sentence.
func (x *Explanation) summarise() string {
	switch x.State {
	case "pending":
		return "it is accepted and waits for its decision"
	case "dead":
		if x.Event.Stream != "" {
			return "no event can be made of this entry: " + x.Dead
		}
		return "the event itself is a dead letter: " + x.Dead
	}
	matched, failed := 0, 0
	counts := map[state.DeliveryState]int{}
	held := map[string]bool{}
	steps, owed := 0, 0
	for i := range x.Rules {
		r := &x.Rules[i]
		if r.Matched {
			matched++
		}
		if r.Error != "" {
			failed++
		}
		for j := range r.Steps {
			steps++
			if s := &r.Steps[j]; s.Delivery != nil {
				owed++
				counts[s.Delivery.State]++
				if s.Hold != nil {
					held[s.Destination] = true
				}
			}
		}
	}
	var parts []string
	switch {
	case len(x.Rules) == 0 && !x.Event.Erased.IsZero():
		parts = append(parts, "no rule and no webhook matched it")
	case len(x.Rules) == 0:
		parts = append(parts, "no rule and no webhook of tenant "+x.Event.Tenant+" is there to match it")
	case matched == 0:
		parts = append(parts, fmt.Sprintf("none of %s matched, so nothing is owed to anybody", plural(len(x.Rules), "rule or webhook", "rules and webhooks")))
	case x.State == "dry":
		parts = append(parts, fmt.Sprintf("%s would match and owe %s", plural(matched, "rule or webhook", "rules and webhooks"), plural(steps, "delivery", "deliveries")))
	case owed == 0:
		parts = append(parts, fmt.Sprintf("%s matched, and nothing came of it to deliver", plural(matched, "rule or webhook", "rules and webhooks")))
	default:
		var each []string
		for _, s := range []state.DeliveryState{state.Delivered, state.Skipped, state.Waiting, state.Dead, state.Dropped} {
			if counts[s] > 0 {
				each = append(each, fmt.Sprintf("%d %s", counts[s], s))
			}
		}
		parts = append(parts, plural(owed, "delivery", "deliveries")+": "+strings.Join(each, ", "))
	}
	if len(held) > 0 {
		parts = append(parts, plural(len(held), "destination is", "destinations are")+" on hold")
	}
	if failed > 0 {
		parts = append(parts, plural(failed, "condition", "conditions")+" failed")
	}
	return strings.Join(parts, "; ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// documentOf returns the name of the document that defines the destination of a delivery; empty if a file does.
func documentOf(plan *decide.Plan, d *state.Delivery) string {
	if of := plan.Destination(d.Tenant, d.Destination); of != nil {
		document, _ := view.DocumentOf(of)
		return document
	}
	return ""
}
