package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/event"
)

// MaxAsked is how many rules and webhooks of a tenant's documents may be asked about one event.
const MaxAsked = 200

// asksTooMany refuses changes by which more than MaxAsked rules and webhooks would be asked about events of one type. Those that are
// there already, and that others need, may still be changed so that they are fewer.
func (p *planned) asksTooMany(was *config.TenantConfig) error {
	if len(p.overlay.Rules) <= MaxAsked {
		return nil
	}
	for _, c := range p.changes {
		for _, r := range p.overlay.Rules {
			if c.Delete || r.Match.Disabled || r.At.File != storeName(c.Name) {
				continue
			}
			for _, eventType := range typesOf(r) {
				if n := asked(p.overlay, eventType); n > MaxAsked && n > asked(was, eventType) {
					f := document.At(storeName(c.Name),
						fmt.Sprintf("%d rules and webhooks of the tenant would be asked about `%s`; at most %d are", n, eventType, MaxAsked),
						"name fewer types under `events`, or delete or disable others")
					f.Loc = []any{"events"}
					return &FaultsError{c.Name, document.Faults{f}}
				}
			}
		}
	}
	return nil
}

// AskedMost returns the type of events about which most of a tenant's documents are asked, and how many those are, if they are more than
// MaxAsked: an earlier version took them. Otherwise it returns 0.
func AskedMost(o *config.TenantConfig) (eventType string, n int) {
	if o == nil || len(o.Rules) <= MaxAsked {
		return "", 0
	}
	types := map[string]bool{}
	for _, r := range o.Rules {
		if !r.Match.Disabled {
			for _, name := range typesOf(r) {
				types[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if each := asked(o, name); each > max(n, MaxAsked) {
			eventType, n = name, each
		}
	}
	return eventType, n
}

// typesOf returns the types of events that a rule is asked about: those that its patterns match, and those that it names.
func typesOf(r *config.Rule) (types []string) {
	for _, eventType := range slices.Concat(event.Types, event.NoticeTypes) {
		if r.Match.AcceptsType(eventType) {
			types = append(types, eventType)
		}
	}
	for _, pattern := range r.Match.Events {
		if !strings.Contains(pattern, "*") && !slices.Contains(types, pattern) {
			types = append(types, pattern)
		}
	}
	return types
}

// asked counts the rules and webhooks that are asked about a type.
func asked(o *config.TenantConfig, eventType string) (n int) {
	for _, r := range o.Rules {
		if !r.Match.Disabled && r.Match.AcceptsType(eventType) {
			n++
		}
	}
	return n
}
