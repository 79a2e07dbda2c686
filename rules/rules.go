// Package rules decides which rules an event matches, and explains why.
//
// A Set is made once from all rules of a configuration. It is indexed by tenant, by event type and by the equalities that a
// condition requires, so that only the few rules that may match are evaluated.
package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Kind distinguishes rules from webhooks. A rule and a webhook may have the same name.
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

// AllTenants is the tenant of a rule that applies to the events of all tenants.
const AllTenants = "*"

// Rule selects events by tenant, type and condition. It stands for a rule of the configuration, or for a webhook.
type Rule struct {
	Kind Kind
	// Tenant is the owner, or AllTenants.
	Tenant string
	Name   string
	// Events are patterns (see TypeMatches) of the event types that the rule accepts. ExpandEvents makes them from the `events`
	// setting. A rule without patterns accepts no event.
	Events []string
	// When is the condition. A nil condition matches every event.
	When *expression.Condition
	// Deferred are patterns of the types whose events match whatever the condition says: it is asked later, of the response as a
	// whole (package response).
	Deferred []string
	// Disabled rules match no event, but Explain lists them.
	Disabled bool
}

// Defers reports whether the condition is not asked of events of a type, but of their response later.
func (r *Rule) Defers(eventType string) bool { return matchesAny(r.Deferred, eventType) }

// AcceptsType reports whether one of the rule's patterns matches an event type.
func (r *Rule) AcceptsType(eventType string) bool { return matchesAny(r.Events, eventType) }

func matchesAny(patterns []string, eventType string) bool {
	for _, pattern := range patterns {
		if TypeMatches(pattern, eventType) {
			return true
		}
	}
	return false
}

// TypeMatches reports whether a pattern matches an event type. A pattern is a type, `prefix.*`, or `*`. `*` does not match test,
// unknown and gateway.*, which must be named.
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

// EventError is the error for an unknown name in an `events` list.
type EventError struct {
	// Index is the index of the name in the list.
	Index int
	Name  string
	// Nearest is the name that was probably meant; empty if none is similar.
	Nearest string
}

func (e *EventError) Error() string {
	if e.Nearest != "" {
		return fmt.Sprintf("`%s` is not an event; did you mean %s?", e.Name, e.Nearest)
	}
	return fmt.Sprintf("`%s` is not an event", e.Name)
}

// EventErrors are the errors for all unknown names of a list.
type EventErrors []*EventError

func (e EventErrors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap returns the single errors.
func (e EventErrors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// ExpandEvents converts the names of an `events` list to patterns (see TypeMatches) without duplicates. aliases maps the
// platforms' own event names to canonical types. A name that is a canonical type is never treated as an alias. The error is of
// type EventErrors.
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

// knownPrefix reports whether a `prefix.*` matches any canonical type.
func knownPrefix(pattern string) bool {
	for _, t := range slices.Concat(event.Types, event.NoticeTypes) {
		if pattern != "*" && pattern != t && TypeMatches(pattern, t) {
			return true
		}
	}
	return false
}

func nearestEvent(name string, aliases map[string][]string) string {
	known := slices.Concat(event.Types, event.NoticeTypes)
	for _, t := range known {
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
