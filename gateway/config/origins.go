package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// origins lists the sources and tokens that can bring events into a tenant.
type origins struct {
	sources []*Source
	// names are the names of its sources, including disabled ones; publishers are the sources that tokens may publish as.
	names, publishers []string
	// free reports that a source takes events in surveygate's own format, which may name another source and set every field.
	free bool
}

// originsOf returns a tenant's origins. It is called after the sources and tokens of all files are loaded.
func (l *loader) originsOf(tenant string) *origins {
	if l.origins == nil {
		l.origins = map[string]*origins{}
		entry := func(tenant string) *origins {
			if l.origins[tenant] == nil {
				l.origins[tenant] = &origins{}
			}
			return l.origins[tenant]
		}
		for at := range l.sources {
			r := entry(at.tenant)
			r.names = append(r.names, at.name)
		}
		for _, s := range l.config.Sources {
			r := entry(s.Tenant)
			r.sources = append(r.sources, s)
			r.free = r.free || s.Receiver.Free()
		}
		if l.base != nil {
			r := entry(tenant)
			for _, s := range l.base.all {
				r.names, r.sources, r.free = append(r.names, s.Name), append(r.sources, s), r.free || s.Receiver.Free()
			}
		}
		for _, t := range l.config.Tokens {
			if slices.Contains(t.Scopes, "publish") {
				r := entry(t.Tenant)
				r.publishers = append(r.publishers, t.Sources...)
			}
		}
	}
	r := l.origins[tenant]
	if r == nil {
		r = &origins{}
	}
	if everywhere := l.origins[AnyTenant]; everywhere != nil {
		with := *r
		with.publishers = slices.Concat(r.publishers, everywhere.publishers)
		r = &with
	}
	return r
}

// ruleOrigins lists the sources whose events can match a rule.
type ruleOrigins struct {
	sources []*Source
	// open reports that the rule can match published events, whose publisher may set every field.
	open bool
}

// ruleOriginsOf returns a rule's origins in a tenant: those that its condition does not exclude.
func (l *loader) ruleOriginsOf(r *Rule, tenant string) ruleOrigins {
	wanted, narrow := r.Match.When.RequiredValues("source")
	sees := func(name string) bool { return !narrow || slices.Contains(wanted, name) }
	from := l.originsOf(tenant)
	a := ruleOrigins{open: from.free || slices.ContainsFunc(from.publishers, func(name string) bool { return name == AnySource || sees(name) })}
	for _, s := range from.sources {
		if sees(s.Name) {
			a.sources = append(a.sources, s)
		}
	}
	return a
}

// sourcesIn returns a tenant's sources.
func (l *loader) sourcesIn(tenant string) []*Source {
	var all []*Source
	if l.base != nil {
		all = append(all, l.base.all...)
	}
	for _, s := range l.config.Sources {
		if s.Tenant == tenant {
			all = append(all, s)
		}
	}
	return all
}

// tenants returns the configured tenants that a rule runs in.
func (l *loader) tenants(r *Rule) []string {
	if r.Tenant != AnyTenant {
		return []string{r.Tenant}
	}
	all := []string{DefaultTenant}
	for _, s := range l.config.Sources {
		all = append(all, s.Tenant)
	}
	for _, d := range l.config.Destinations {
		all = append(all, d.Tenant)
	}
	for _, t := range l.config.Tokens {
		if t.Tenant != AnyTenant {
			all = append(all, t.Tenant)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// warnOfRule warns about comparisons that can never be true, and about steps that need a consent that no source provides.
func (l *loader) warnOfRule(r *Rule, s *ruleSettings) {
	l.warnOfCondition(r, s.Node.Key("when"), s.When)
	l.prove(s.Node.Key("settle").Key("until"), s.Settle.Until)
	for i := range s.Send {
		l.warnOfWords(r, s.Send[i].settings)
	}
	for _, step := range r.Steps {
		for _, d := range l.find(r.Tenant, step.Destination) {
			l.warnOfWords(r, d.settings)
		}
	}
	if !r.Match.Disabled {
		l.warnOfConsent(r, s)
	}
}

// warnOfCondition warns about comparisons that can never be true, and about a condition that is never or always true. Where a word is
// the reason, that is said alone.
func (l *loader) warnOfCondition(r *Rule, at *document.Node, c *expression.Condition) {
	before := len(l.config.Warnings)
	l.warnOfComparisons(r, at, c.Comparisons())
	if len(l.config.Warnings) == before {
		l.prove(at, c)
	}
}

// warnOfConsent warns about steps that skip every event, because they need a consent that no source of the rule provides.
func (l *loader) warnOfConsent(r *Rule, s *ruleSettings) {
	for _, step := range r.Steps {
		if !l.spend(1 + len(l.originsOf(r.Tenant).sources)) {
			return
		}
		for _, tenant := range l.tenants(r) {
			c := step.Build[tenant]
			if c == nil {
				continue
			}
			if setting, ok := connectors.ConsentOf(c); !ok || setting != connectors.ConsentRequired {
				continue
			}
			a := l.ruleOriginsOf(r, tenant)
			if a.open || len(a.sources) == 0 || slices.ContainsFunc(a.sources, func(s *Source) bool {
				return slices.Contains(s.Receiver.Fills(), "respondent.consent")
			}) {
				continue
			}
			names := make([]string, len(a.sources))
			for i, s := range a.sources {
				names[i] = "`" + s.Name + "`"
			}
			at := slices.IndexFunc(s.Send, func(set stepSettings) bool { return set.key != nil && set.key.At == step.At })
			if at < 0 {
				continue
			}
			l.warning(checks.NoConsent, s.Send[at].key.Fault(
				fmt.Sprintf("`%s` skips every event: it needs consent, and events of %s never carry it", step.Name, strings.Join(names, ", ")),
				"name the question that asks for consent, on the source: roles: {QUESTION: consent}; or write consent: assume, if consent is given elsewhere"))
		}
	}
}

// warnOfWords warns about comparisons in the expressions below a node that can never be true.
func (l *loader) warnOfWords(r *Rule, n *document.Node) {
	if n == nil {
		return
	}
	for _, item := range n.Items {
		l.warnOfWords(r, item)
	}
	for _, pair := range n.Pairs {
		l.warnOfWords(r, pair.Value)
	}
	if n.Kind != document.Scalar || !strings.ContainsAny(n.Text, "\"'`") || !l.spend(10) {
		return // it contains no string literal
	}
	if v, err := expression.CompileValue(n.Text); err == nil { // otherwise the fault is reported when it is bound, or it is not an expression
		l.warnOfComparisons(r, n, v.Comparisons())
	}
}

// warnOfComparisons warns about comparisons of one expression with a text that the name can never have.
func (l *loader) warnOfComparisons(r *Rule, n *document.Node, all []expression.Comparison) {
	if n == nil || n.HasUnset() {
		return
	}
	for _, c := range all {
		if !l.spend(1 + len(l.originsOf(r.Tenant).sources)) {
			return
		}
		words, closed := l.wordsOf(r, c.Name)
		if !closed || slices.Contains(words, c.Text) {
			continue
		}
		message, remedy := fmt.Sprintf("`%s` is never `%s`", shortest(c.Name), c.Text), document.DidYouMean(c.Text, words)
		if c.Name == "type" {
			if event.IsCanonical(c.Text) {
				if wanted, _ := r.Match.When.RequiredValues("type"); !slices.Contains(wanted, c.Text) {
					continue // excluding a type that never arrives is harmless
				}
				message = fmt.Sprintf("the rule does not subscribe to `%s`", c.Text)
				remedy = "add it to events:, or remove it here"
			} else if own := l.aliases[c.Text]; len(own) > 0 {
				remedy = "here it is called " + strings.Join(own, " or ")
			}
		}
		f := n.FaultAt(c.Offset, c.Length, message, remedy)
		f.Page = expression.DocsURL
		l.warning(checks.NeverWord, f)
	}
}

// shortest returns the short name of a path.
func shortest(path string) string {
	for _, n := range event.Glossary() {
		if n.Path == path {
			return n.Name
		}
	}
	return path
}

// wordsOf returns all values that a name can have in a rule's events; closed is false if it can have any value.
func (l *loader) wordsOf(r *Rule, name string) (words []string, closed bool) {
	switch name {
	case "nps_group":
		return event.NPSGroups, true
	case event.NameWeekday:
		return event.Weekdays, true
	case "type":
		return l.typesOf(r)
	case "response.status":
		if len(r.Match.Deferred) > 0 { // otherwise warnOfWhole says more
			return event.Statuses(), true
		}
	case "tenant":
		return l.tenants(r), r.Tenant != AnyTenant // which tenants the API stores is not known
	case "source":
		return l.sourcesOf(r)
	}
	for _, tenant := range l.tenants(r) {
		a := l.ruleOriginsOf(r, tenant)
		if a.open {
			return nil, false
		}
		for _, s := range a.sources {
			texts, known := s.Receiver.Constants(name)
			if !known {
				return nil, false
			}
			words = append(words, texts...)
		}
	}
	return words, len(words) > 0 // a name that no source fills has no known set of values
}

// typesOf returns the event types that a rule subscribes to.
func (l *loader) typesOf(r *Rule) (types []string, closed bool) {
	for _, pattern := range r.Match.Events {
		if strings.HasPrefix(pattern, event.GatewayPrefix) {
			return nil, false
		}
	}
	for _, t := range event.Types {
		if r.Match.AcceptsType(t) {
			types = append(types, t)
		}
	}
	return types, len(types) > 0
}

// sourcesOf returns the sources of a rule's events: those of its tenant, and those that tokens may publish as.
func (l *loader) sourcesOf(r *Rule) (names []string, closed bool) {
	if r.Match.AcceptsType(event.TypeEntry) || slices.ContainsFunc(r.Match.Events, func(e string) bool { return strings.HasPrefix(e, event.GatewayPrefix) }) {
		return nil, false
	}
	names = append(names, event.DefaultSource)
	configured := l.base != nil
	for _, tenant := range l.tenants(r) {
		from := l.originsOf(tenant)
		configured = configured || len(from.names) > 0
		if from.free || slices.Contains(from.publishers, AnySource) {
			return nil, false
		}
		names = slices.Concat(names, from.names, from.publishers)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names, configured // files without any leave the sources to the API
}
