package decide

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Played is what rules and webhooks would send for events of a test. Nothing is sent.
type Played struct {
	// Sent are the steps that are sent, in the order of the events, and of one event in the order of the configuration: each step once
	// for each time.
	Sent []Sent
	// Asked are the conditions that were asked, each with what it was asked of.
	Asked []Asked

	plan   *Plan
	only   *config.Rule // nil: all of the tenant
	events []*event.Event
	whys   [][]unsent // by event
}

// Sent is a step that is sent, with its request.
type Sent struct {
	Origin  state.Origin
	Step    string
	Request *connectors.Request
}

// Asked is a rule or webhook whose condition was asked of an event, or of a response as a whole.
type Asked struct {
	Rule  *config.Rule
	Event *event.Event
}

// unsent is why something is not sent.
type unsent struct {
	origin state.Origin
	why    string
}

// Play returns the steps that a rule sends for events of one response, in the order in which they are received, each step once for
// each time it is sent. A rule that is asked of the response as a whole is asked after the last of them. notSent says why others are
// not sent; it takes as long as an explanation of every rule of the tenant.
func (p *Plan) Play(r *config.Rule, events ...*event.Event) (sent []string, notSent func() []string) {
	played := p.PlayRule(r, events...)
	for _, s := range played.Sent {
		sent = append(sent, s.Step)
	}
	return sent, played.NotSent
}

// PlayRule plays events against one rule, which must be of the events' tenant or of every tenant.
func (p *Plan) PlayRule(r *config.Rule, events ...*event.Event) *Played { return p.play(r, events) }

// PlayAll plays events against every rule and webhook of their tenant.
func (p *Plan) PlayAll(events ...*event.Event) *Played { return p.play(nil, events) }

func (p *Plan) play(only *config.Rule, events []*event.Event) *Played {
	played := &Played{plan: p, only: only, events: events, whys: make([][]unsent, len(events))}
	told := map[string]bool{}
	for i := range events {
		played.one(i, told)
	}
	return played
}

// covers reports whether a rule is one of those that are played.
func (p *Played) covers(origin state.Origin) bool { return p.only == nil || origin == OriginOf(p.only) }

// one plays one of the events. told are the keys of `once` that were reserved.
func (p *Played) one(i int, told map[string]bool) {
	ev := p.events[i]
	all := []*config.Rule{p.only}
	if p.only == nil {
		all = p.plan.Rules(ev.Tenant)
	}
	for _, r := range all {
		if !r.Match.Disabled && r.Match.AcceptsType(ev.Type) && !r.Match.Defers(ev.Type) && isMatched(ev) {
			p.Asked = append(p.Asked, Asked{r, ev})
		}
	}
	d := p.plan.Decide(ev, ev.Received)
	for _, o := range d.Rules {
		if o.Err != "" && p.covers(o.Origin) {
			p.whys[i] = append(p.whys[i], unsent{o.Origin, "the rule failed: " + o.Err})
		}
	}
	for j := range d.Owed {
		owed := &d.Owed[j]
		if !p.covers(owed.Delivery.Origin) {
			continue
		}
		request, why := p.owed(owed, i, told)
		if why != "" {
			p.whys[i] = append(p.whys[i], unsent{owed.Delivery.Origin, owed.Delivery.Step + " " + why})
			continue
		}
		p.Sent = append(p.Sent, Sent{Origin: owed.Delivery.Origin, Step: owed.Delivery.Step, Request: request})
		if owed.Once != "" {
			told[owed.Once] = true
		}
	}
}

// owed returns the request of a delivery that an event owes, or why nothing is sent.
func (p *Played) owed(owed *Owed, i int, told map[string]bool) (request *connectors.Request, why string) {
	if owed.Build == nil {
		return nil, "cannot be built: its destination has a fault"
	}
	look := Look{Event: p.events[i]}
	if owed.AtDue != nil {
		var err error
		if look, err = p.plan.playWhole(owed, p.events[i], p.events[:i], p.events[i+1:]); err != nil {
			look.Skip = err.Error()
		}
		if look.Asked != nil {
			p.Asked = append(p.Asked, Asked{owed.AtDue, look.Asked})
		}
	}
	if told[owed.Once] && look.Skip == "" {
		look.Skip = "once: an earlier event of this response came first"
	}
	switch {
	case look.Dead != "":
		return nil, "is not sent: " + look.Dead
	case look.Skip != "":
		return nil, "is skipped: " + look.Skip
	case look.Event == nil:
		return nil, "is not sent yet: it " + look.Reason
	}
	request, err := tryBuild(owed.Build, look.Event)
	var skip *connectors.Skipped
	switch {
	case errors.As(err, &skip):
		return nil, "is skipped: " + skip.Reason
	case err != nil:
		return nil, "cannot be built: " + err.Error()
	}
	return request, ""
}

// tryBuild builds a request. A connector that panics fails one test and not all.
func tryBuild(c connectors.Connector, ev *event.Event) (request *connectors.Request, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("building its request panics")
		}
	}()
	return c.Build(ev.WithBudget(nil))
}

// NotSent says why nothing was sent by rules that did not match, and by steps of those that did. It takes as long as an explanation of
// every rule of the tenant for each event.
func (p *Played) NotSent() []string { return p.NotSentBy(p.covers) }

// NotSentBy is NotSent of some rules and webhooks.
func (p *Played) NotSentBy(about func(state.Origin) bool) (all []string) {
	for i, ev := range p.events {
		whys := p.whys[i]
		for _, e := range p.plan.Explain(ev) {
			if origin := OriginOf(e.Configured); !e.Matched {
				whys = append(whys, unsent{origin, "no match: " + e.Why + because(e.Parts)})
			}
		}
		for _, w := range whys {
			if !about(w.origin) {
				continue
			}
			text := w.why
			if p.only == nil {
				text = fmt.Sprintf("%s %s: %s", w.origin.Kind, w.origin.Name, text)
			}
			if len(p.events) > 1 {
				text = fmt.Sprintf("event %d: %s", i+1, text)
			}
			all = append(all, text)
		}
	}
	return all
}

// maxBecause is the number of parts of a condition that are named.
const maxBecause = 3

// because names the parts that make a condition false, with the values that they read; empty for one that is not false.
func because(parts []rules.Part) string {
	if len(parts) == 0 || parts[0].Value != expression.False.String() {
		return ""
	}
	var all []string
	for i := range parts {
		if !parts[i].Decided || parts[i].Operand {
			continue
		}
		if len(all) == maxBecause {
			all = append(all, "…")
			break
		}
		about := []string{"`" + strings.Join(strings.Fields(parts[i].Text), " ") + "`"}
		for j := i + 1; j < len(parts) && parts[j].Depth > parts[i].Depth; j++ {
			if parts[j].Depth == parts[i].Depth+1 {
				about = append(about, parts[j].Text+" is "+parts[j].Value)
			}
		}
		all = append(all, strings.Join(about, ", "))
	}
	return ": " + strings.Join(all, "; ")
}

// playWhole looks at the response for a deferred rule: at once, for one that need not wait, and else when all events have come and
// every wait is over. Guardrails keep nothing back: what they do depends on the time of day, and on what was sent before.
func (p *Plan) playWhole(owed *Owed, ev *event.Event, before, after []*event.Event) (Look, error) {
	owed = owed.unguarded()
	var all []Known
	known := func(events ...*event.Event) {
		for _, e := range events {
			if e != ev && e.ResponseKey() != ev.ResponseKey() {
				continue
			}
			o := &state.Outcome{}
			for _, other := range p.Decide(e, e.Received).Owed {
				o.Deliveries = append(o.Deliveries, other.Delivery)
			}
			all = append(all, Known{e, o})
		}
	}
	known(before...)
	known(ev)
	if !owed.AtDue.Settle.Until.IsZero() {
		if look, err := owed.Look(ev, all, false, ev.Received); err != nil || look.Wait.IsZero() {
			return look, err
		}
	}
	known(after...)
	return owed.Look(ev, all, false, all[len(all)-1].Event.Received.Add(config.MaxSettle+time.Second))
}

// PlayWhole looks at the response of a delivery whose rule is asked of the response as a whole, as Play does: when all its events have
// come and every wait is over, without guardrails. all are the events of the response, oldest first.
func (p *Plan) PlayWhole(owed *Owed, ev *event.Event, all []*event.Event) (Look, error) {
	at := slices.IndexFunc(all, func(e *event.Event) bool { return e.ID == ev.ID })
	if at < 0 {
		return p.playWhole(owed, ev, nil, nil)
	}
	return p.playWhole(owed, ev, all[:at], all[at+1:])
}

// unguarded returns a delivery without the guardrails of its rule.
func (o *Owed) unguarded() *Owed {
	owed, rule := *o, *o.AtDue
	rule.Guard = config.Guard{}
	owed.AtDue = &rule
	return &owed
}
