// Package rules decides which rules an event concerns, and explains why.
//
// A Set is made once from all rules of a configuration. It is indexed by tenant, by type and by what a
// rule's condition must find equal, so that an event meets the few rules that may match and not all.
package rules

import (
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Kind tells a rule from a webhook's subscription; their names are apart.
type Kind uint8

// The kinds.
const (
	RuleKind Kind = iota
	WebhookKind
)

func (k Kind) String() string {
	if k == WebhookKind {
		return "webhook"
	}
	return "rule"
}

// AllTenants is the tenant of a rule that runs in every tenant.
const AllTenants = "*"

// Rule is what an event is asked: its tenant, its type, a condition.
type Rule struct {
	Kind Kind
	// Tenant is the owner, or AllTenants.
	Tenant string
	Name   string
	// Events are canonical types, `prefix.*` or `*`. `*` leaves out test, unknown and gateway.*, which must be
	// named. Without any the rule hears nothing.
	Events []string
	// When is asked last; nil matches.
	When     *expression.Condition
	Disabled bool
}

// Hears says whether a rule's patterns take an event type.
func (r *Rule) AcceptsType(eventType string) bool {
	for _, pattern := range r.Events {
		if TypeMatches(pattern, eventType) {
			return true
		}
	}
	return false
}

// TypeMatches says whether a pattern takes an event type: the type itself, `prefix.*`, or `*`, which leaves out
// what must be named.
func TypeMatches(pattern, eventType string) bool {
	switch pattern {
	case eventType:
		return true
	case "*":
		return !mustBeNamed(eventType)
	}
	prefix, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasSuffix(prefix, ".") && len(eventType) > len(prefix) && strings.HasPrefix(eventType, prefix)
}

func mustBeNamed(eventType string) bool {
	return eventType == event.TypeTest || eventType == event.TypeUnknown || strings.HasPrefix(eventType, event.GatewayPrefix)
}

// EventError is a name in `events` that stands for nothing.
type EventError struct {
	// Index is its place in the list.
	Index int
	Name  string
	// Nearest is what was probably meant; may be empty.
	Nearest string
}

func (e *EventError) Error() string {
	if e.Nearest != "" {
		return fmt.Sprintf("`%s` is not an event; did you mean %s?", e.Name, e.Nearest)
	}
	return fmt.Sprintf("`%s` is not an event", e.Name)
}

// EventErrors are all names of a list that stand for nothing.
type EventErrors []*EventError

func (e EventErrors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives the single faults.
func (e EventErrors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// ExpandEvents makes canonical types and patterns of the names in `events`. Aliases are the platforms' own
// event names and the canonical types they stand for. A canonical type is never read as an alias. The
// error is EventErrors.
func ExpandEvents(names []string, aliases map[string][]string) ([]string, error) {
	var faults EventErrors
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	for i, name := range names {
		switch {
		case name == "*" || event.IsCanonical(name) || knownPrefix(name):
			add(name)
		case len(aliases[name]) > 0:
			for _, t := range aliases[name] {
				add(t)
			}
		default:
			faults = append(faults, &EventError{Index: i, Name: name, Nearest: nearestEvent(name, aliases)})
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return out, nil
}

// knownPrefix says whether a `prefix.*` can take any event at all.
func knownPrefix(pattern string) bool {
	if pattern == event.GatewayPrefix+"*" {
		return true
	}
	for _, t := range event.Types {
		if pattern != "*" && pattern != t && TypeMatches(pattern, t) {
			return true
		}
	}
	return false
}

func nearestEvent(name string, aliases map[string][]string) string {
	known := append([]string{}, event.Types...)
	for _, t := range event.Types {
		if prefix, _, ok := strings.Cut(t, "."); ok {
			known = append(known, prefix+".*")
		}
	}
	if near := event.Nearest(name, known); near != "" {
		return near
	}
	own := make([]string, 0, len(aliases))
	for alias := range aliases {
		own = append(own, alias)
	}
	return event.Nearest(name, sorted(own))
}
