package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Settle is how long a rule waits for a response to come to rest. Zero: it does not wait.
type Settle struct {
	// For is the time without another event of the response; with Until, the time from the first one.
	For time.Duration
	// Until ends the wait as soon as it is true of the response; nil: only the time does.
	Until *expression.Condition
}

// MaxSettle bounds how long a response may take to come to rest.
const MaxSettle = 24 * time.Hour

// BindNode reads a time, or a mapping.
func (s *settleSettings) BindNode(n *document.Node, name string) document.Faults {
	switch n.Kind {
	case document.Mapping:
		type plain settleSettings
		faults := document.Bind(n, (*plain)(s), document.Options{Rule: true})
		if at := n.Key("for"); at != nil && len(faults) == 0 {
			faults = append(faults, checkSettle(at, s.For)...)
		}
		return faults
	case document.Scalar:
		faults := document.Bind(n, &s.For, document.Options{})
		if len(faults) == 0 {
			faults = checkSettle(n, s.For)
		}
		return faults
	}
	if n.Unset {
		return nil
	}
	return document.Faults{n.Fault(fmt.Sprintf("`%s` must be a time or a mapping, and is %s", name, n.Kind), "write settle: 2m, or settle: {for: 10m, until: has(email)}")}
}

func checkSettle(at *document.Node, wait time.Duration) document.Faults {
	switch {
	case at.Unset:
		return nil
	case wait <= 0:
		return document.Faults{at.Fault("the time to settle is not longer than 0", "write a time such as 2m, or remove the setting")}
	case wait > MaxSettle:
		return document.Faults{at.Fault("the time to settle is longer than 24h", "write at most 24h")}
	}
	return nil
}

// settle makes a rule wait for responses to come to rest. delay is its own; at is where `settle` is written; nil: it is not.
func (l *loader) settle(r *Rule, s settleSettings, delay time.Duration, at *document.Node) {
	if at == nil || s.For == 0 {
		return
	}
	r.Settle = Settle(s)
	r.Match.Deferred = r.Match.Events
	if delay > 0 {
		l.fault(at.Fault("`settle` and `delay` are both set", "remove `delay`: `settle` is a wait, too"))
	}
}

// setZone sets the time zone of the rule, and that of its conditions. Those of its steps follow where they are built.
func (r *Rule) setZone(z zone) {
	if z.Location == nil {
		return
	}
	r.Zone = z.Location
	r.Match.When = expression.InZone(r.Match.When, r.Zone)
	r.Settle.Until = expression.InZone(r.Settle.Until, r.Zone)
}

// inZone returns the connector of a step with the rule's time zone.
func (r *Rule) inZone(c connectors.Connector) connectors.Connector {
	if r.Zone == nil {
		return c
	}
	return expression.InZone(c, r.Zone)
}

// unfinished are the types of events of a response that may still be completed.
var unfinished = []string{event.TypeResponseStarted, partial, event.TypeAnswerUpserted}

// deferIncomplete makes a webhook with `incomplete_delay` wait before it tells of an unfinished response. It subscribes to all types of
// events that such a response has. at is where `incomplete_delay` is written.
func (l *loader) deferIncomplete(r *Rule, c connectors.Connector, at *document.Node) {
	w, ok := c.(*webhook.Connector)
	if !ok || w.IncompleteDelay == 0 || !w.SendIncomplete {
		return
	}
	if !r.Match.AcceptsType(partial) {
		l.warning(at.Fault("`incomplete_delay` has no effect without `response.partial`", "add response.partial to events:"))
		return
	}
	r.IncompleteDelay = w.IncompleteDelay
	r.Match.Events = slices.Clone(r.Match.Events)
	for _, t := range unfinished {
		if !r.Match.AcceptsType(t) {
			r.Match.Events = append(r.Match.Events, t)
		}
	}
	r.Match.Deferred = append(slices.Clone(r.Match.Deferred), unfinished...)
}

// AtDue reports whether something is asked when a delivery of an event of a type is due: the response as a whole, or a guardrail.
func (r *Rule) AtDue(eventType string) bool {
	return !r.Guard.IsZero() || r.Match.Defers(eventType)
}

// IsUnfinished reports whether a rule waits by IncompleteDelay before it tells of events of a type.
func (r *Rule) IsUnfinished(eventType string) bool {
	return r.IncompleteDelay > 0 && slices.Contains(unfinished, eventType)
}

// warnOfWhole warns about a condition that asks for what is known of a response as a whole, in a rule that is not asked of it.
func (l *loader) warnOfWhole(r *rules.Rule, at *document.Node) {
	if at == nil || r.When.IsZero() || len(r.Deferred) > 0 {
		return
	}
	for _, path := range r.When.Paths() {
		if event.IsOfWhole(path) {
			l.warning(at.Fault(fmt.Sprintf("`%s` is known of a response as a whole, and this is asked of each event", path), "add settle: and a time, such as 2m"))
			return
		}
	}
}
