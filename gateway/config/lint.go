package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// proofBudget bounds the work of proving what is known of one condition of a file. Documents share what loader.work has left.
const proofBudget = 50_000

var findingCodes = map[expression.FindingKind]checks.Code{
	expression.NeverTrue: checks.NeverTrue, expression.AlwaysTrue: checks.AlwaysTrue, expression.OutOfRange: checks.OutOfRange,
}

// prove warns of a condition, or parts of it, that is never or always true.
func (l *loader) prove(at *document.Node, c *expression.Condition) {
	if at == nil || at.HasUnset() || c.IsZero() || l.base == nil && !l.options.Lint {
		return
	}
	budget := proofBudget
	if l.base != nil {
		budget = l.work
	}
	if budget <= 0 {
		return
	}
	found, left := c.Prove(budget)
	if l.base != nil {
		l.work = left
	}
	for _, f := range found {
		l.warning(findingCodes[f.Kind], at.FaultAt(f.Offset, f.Length, f.Message, f.Remedy))
	}
}

// linting is a rule of the files, or the subscription of a webhook, with what is written of it.
type linting struct {
	rule *Rule
	// key is where its name is written, when its condition.
	key, when *document.Node
	settings  *ruleSettings // nil for a subscription
}

// lint warns of what only all files together show.
func (l *loader) lint() {
	l.warnOfUnused()
	l.warnOfRepeated()
	l.warnOfUnfilled()
}

// warnOfUnused warns of connections that no rule uses. In a tenant that has no rules in files, those of the API use them.
func (l *loader) warnOfUnused() {
	used, ruled := map[target]bool{}, map[string]bool{}
	for _, at := range l.lintings {
		if at.settings == nil {
			continue
		}
		ruled[at.rule.Tenant] = true
		if at.rule.Match.Disabled {
			continue
		}
		for _, step := range at.rule.Steps {
			for tenant := range step.Build {
				used[target{tenant, step.Destination}] = true
			}
		}
	}
	for _, f := range l.files {
		for _, e := range f.Connections {
			at := target{l.owner(f, e.Value.Tenant), e.Name}
			d := l.destinations[at]
			if d == nil || !d.Enabled || used[at] || !ruled[at.tenant] && !ruled[AnyTenant] {
				continue
			}
			message := fmt.Sprintf("no rule uses the connection `%s`", e.Name)
			if d.named {
				message = fmt.Sprintf("only disabled rules use the connection `%s`", e.Name)
			}
			l.warning(checks.UnusedConnection, e.Key.Fault(message, "name it in send: of a rule, or remove it"))
		}
	}
}

// warnOfRepeated warns of rules whose every step is in an earlier rule with the same events, condition and limits.
func (l *loader) warnOfRepeated() {
	seen := map[string]linting{}
	for _, at := range l.lintings {
		if at.settings == nil || at.rule.Match.Disabled || len(at.rule.Steps) == 0 || at.settings.Node.HasUnset() {
			continue
		}
		same := at.identity()
		var first *linting
		repeated := true
		var keys []string
		for i := range at.settings.Send {
			key := same + "\x00" + at.settings.Send[i].identity()
			if earlier, ok := seen[key]; !ok {
				repeated = false
			} else if first == nil {
				first = &earlier
			}
			keys = append(keys, key)
		}
		for _, key := range keys {
			if _, ok := seen[key]; !ok {
				seen[key] = at
			}
		}
		if repeated {
			l.warning(checks.RepeatedRule, at.key.Fault(
				fmt.Sprintf("the rule `%s` repeats `%s` (%s): each event is sent twice", at.rule.Name, first.rule.Name, first.rule.At),
				"remove one of them, or correct what was meant to be different"))
		}
	}
}

// identity is equal for rules that match the same events and send them at the same times, whatever they send.
func (at linting) identity() string {
	events := slices.Compact(slices.Sorted(slices.Values(at.rule.Match.Events)))
	rest := at.settings.Node.With(func(key string) bool {
		return !slices.Contains([]string{"name", "tenant", "events", "when", "send", "tests", "enabled"}, key)
	})
	return strings.Join([]string{at.rule.Tenant, strings.Join(events, " "), at.rule.Match.When.Canonical(), string(rest.Sorted().JSON())}, "\x00")
}

// identity is equal for steps that send the same.
func (s *stepSettings) identity() string {
	settings := ""
	if s.settings != nil && len(s.settings.Pairs) > 0 {
		settings = string(s.settings.Sorted().JSON())
	}
	return fmt.Sprintf("%s %t %t %s", s.name, s.amend != nil, s.retract != nil, settings)
}

// warnOfUnfilled warns of fields in conditions and holes of rules that no source of the rule fills.
func (l *loader) warnOfUnfilled() {
	fills := map[*Source][]string{}
	for _, at := range l.lintings {
		sources := l.closedOrigins(at.rule)
		if len(sources) == 0 || at.rule.Match.Disabled {
			continue
		}
		for _, s := range sources {
			if fills[s] == nil {
				fills[s] = s.Receiver.Fills()
			}
		}
		report := func(n *document.Node, reads []expression.Read) {
			for _, read := range reads {
				if n == nil || n.HasUnset() || byGateway(at.rule, read.Path) || slices.ContainsFunc(sources, func(s *Source) bool { return filled(fills[s], read.Path) }) {
					continue
				}
				names := make([]string, len(sources))
				for i, s := range sources {
					names[i] = "`" + s.Name + "`"
				}
				l.warning(checks.NobodyFills, n.FaultAt(read.Offset, read.Length,
					fmt.Sprintf("no event of %s has `%s`", few(names), read.Name),
					"name its question in roles: of the source, or read it from the body with raw(…)"))
			}
		}
		report(at.when, at.rule.Match.When.Reads())
		if at.settings != nil {
			for i := range at.settings.Send {
				eachHole(at.settings.Send[i].settings, report)
			}
		}
	}
}

// closedOrigins returns the sources that all events of a rule come from; nil if others may come, whose fields are not known.
func (l *loader) closedOrigins(r *Rule) []*Source {
	if r.Tenant == AnyTenant || slices.ContainsFunc(r.Match.Events, func(e string) bool { return strings.HasPrefix(e, event.GatewayPrefix) }) {
		return nil
	}
	for _, t := range l.config.Tokens {
		if (t.Tenant == r.Tenant || t.Tenant == AnyTenant) && (slices.Contains(t.Scopes, "admin") || slices.Contains(t.Scopes, "settings")) {
			return nil // it makes further tokens or sources
		}
	}
	from := l.ruleOriginsOf(r, r.Tenant)
	if from.open {
		return nil
	}
	return from.sources
}

// byGateway reports whether the gateway fills a field itself.
func byGateway(r *Rule, path string) bool {
	switch path {
	case "response.cleared":
		return true
	case "response.started_at", "response.completed_at", "response.updated_at":
		return len(r.Match.Deferred) > 0
	}
	return event.IsOfWhole(path) || strings.HasPrefix(path, "notice.") || path == "notice"
}

// filled reports whether a path is one of those that are filled, a part of one, or a group with one of them.
func filled(fills []string, path string) bool {
	return slices.ContainsFunc(fills, func(f string) bool {
		return f == path || strings.HasPrefix(path, f+".") || strings.HasPrefix(f, path+".")
	})
}

// eachHole calls report for the texts with holes below a node.
func eachHole(n *document.Node, report func(n *document.Node, reads []expression.Read)) {
	if n == nil {
		return
	}
	for _, item := range n.Items {
		eachHole(item, report)
	}
	for _, pair := range n.Pairs {
		eachHole(pair.Value, report)
	}
	if n.Kind != document.Scalar || !strings.Contains(n.Text, "{{") {
		return
	}
	if v, err := expression.CompileValue(n.Text); err == nil {
		report(n, v.Reads())
	}
}
