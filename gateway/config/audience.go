package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// reach is where the events of a tenant come from.
type reach struct {
	sources []*Source
	// names are those of its sources, also of such as are switched off; publishers those that tokens may publish as.
	names, publishers []string
	// free says that a source takes events in our own spelling, which may name another source and hold every field.
	free bool
}

// reachOf is where the events of a tenant come from. The sources and tokens of all files are known by then.
func (l *loader) reachOf(tenant string) *reach {
	if l.reaches == nil {
		l.reaches = map[string]*reach{}
		of := func(tenant string) *reach {
			if l.reaches[tenant] == nil {
				l.reaches[tenant] = &reach{}
			}
			return l.reaches[tenant]
		}
		for at := range l.sources {
			r := of(at.tenant)
			r.names = append(r.names, at.name)
		}
		for _, s := range l.config.Sources {
			r := of(s.Tenant)
			r.sources = append(r.sources, s)
			r.free = r.free || s.Receiver.Free()
		}
		for _, t := range l.config.Tokens {
			if slices.Contains(t.Scopes, "publish") {
				r := of(t.Tenant)
				r.publishers = append(r.publishers, t.Sources...)
			}
		}
	}
	r := l.reaches[tenant]
	if r == nil {
		r = &reach{}
	}
	if everywhere := l.reaches[AnyTenant]; everywhere != nil {
		with := *r
		with.publishers = slices.Concat(r.publishers, everywhere.publishers)
		r = &with
	}
	return r
}

// audience is where the events of a rule come from.
type audience struct {
	sources []*Source
	// open says that somebody's own code publishes events that the rule hears, and writes into them what it likes.
	open bool
}

// audienceOf finds the sources that a rule can see in a tenant: those that its condition does not leave out.
func (l *loader) audienceOf(r *Rule, tenant string) audience {
	wanted, narrow := r.Match.When.RequiredValues("source")
	sees := func(name string) bool { return !narrow || slices.Contains(wanted, name) }
	from := l.reachOf(tenant)
	a := audience{open: from.free || slices.ContainsFunc(from.publishers, func(name string) bool { return name == AnySource || sees(name) })}
	for _, s := range from.sources {
		if sees(s.Name) {
			a.sources = append(a.sources, s)
		}
	}
	return a
}

// tenants are those that a rule runs in and that something is configured for.
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

// warnOfRule tells what of a rule can never be: words that no event has, and a consent that nobody can have given.
func (l *loader) warnOfRule(r *Rule, s *ruleSettings) {
	l.warnOfComparisons(r, s.Node.Key("when"), s.When.Comparisons())
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

// warnOfConsent tells of steps that skip everybody: they need a consent that no source of the rule gives.
func (l *loader) warnOfConsent(r *Rule, s *ruleSettings) {
	for _, step := range r.Steps {
		for _, tenant := range l.tenants(r) {
			c := step.Build[tenant]
			if c == nil {
				continue
			}
			if setting, ok := connectors.ConsentOf(c); !ok || setting != connectors.ConsentRequired {
				continue
			}
			a := l.audienceOf(r, tenant)
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
			l.warning(s.Send[at].key.Fault(
				fmt.Sprintf("`%s` skips everybody: it needs consent, and nothing says who gave it in events of %s", step.Name, strings.Join(names, ", ")),
				"say which question asks for it, on the source: roles: {QUESTION: consent}; or write consent: assume, where everybody agreed elsewhere"))
		}
	}
}

// warnOfWords tells of comparisons in the expressions below a node with a word that the name never is.
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
	if n.Kind != document.Scalar || !strings.ContainsAny(n.Text, "\"'`") {
		return // nothing in it is a fixed text
	}
	if v, err := expression.CompileValue(n.Text); err == nil { // else it is told where it is bound, or is no expression
		l.warnOfComparisons(r, n, v.Comparisons())
	}
}

// warnOfComparisons tells of comparisons of the expression at a node with a word that the name never is.
func (l *loader) warnOfComparisons(r *Rule, n *document.Node, all []expression.Comparison) {
	if n == nil || n.HasUnset() {
		return
	}
	for _, c := range all {
		words, closed := l.wordsOf(r, c.Name)
		if !closed || slices.Contains(words, c.Text) {
			continue
		}
		message, remedy := fmt.Sprintf("`%s` is never `%s`", shortest(c.Name), c.Text), document.DidYouMean(c.Text, words)
		if c.Name == "type" {
			if event.IsCanonical(c.Text) {
				if wanted, _ := r.Match.When.RequiredValues("type"); !slices.Contains(wanted, c.Text) {
					continue // to leave out what never comes changes nothing
				}
				message = fmt.Sprintf("the rule never hears of `%s`", c.Text)
				remedy = "write it under events: too, or take it out here"
			} else if own := l.aliases[c.Text]; len(own) > 0 {
				remedy = "here it is called " + strings.Join(own, " or ")
			}
		}
		f := n.FaultAt(c.Offset, c.Length, message, remedy)
		f.Page = expression.DocsURL
		l.warning(f)
	}
}

// shortest is a name as people write it.
func shortest(path string) string {
	for _, n := range event.Glossary() {
		if n.Path == path {
			return n.Name
		}
	}
	return path
}

// wordsOf are all texts that a name can be in the events that a rule hears; closed is false where it may be any.
func (l *loader) wordsOf(r *Rule, name string) (words []string, closed bool) {
	switch name {
	case "nps_group":
		return event.NPSGroups, true
	case "type":
		return l.typesOf(r)
	case "tenant":
		anywhere := slices.ContainsFunc(l.config.Tokens, func(t *Token) bool { return t.Tenant == AnyTenant })
		return l.tenants(r), r.Tenant != AnyTenant || !anywhere
	case "source":
		return l.sourcesOf(r)
	}
	for _, tenant := range l.tenants(r) {
		a := l.audienceOf(r, tenant)
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
	return words, len(words) > 0 // a name that nothing fills has no set that a word could be outside of
}

// typesOf are the event types that a rule hears.
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

// sourcesOf are the sources that a rule can see events of: those of its tenant, and what tokens may publish as.
func (l *loader) sourcesOf(r *Rule) (names []string, closed bool) {
	if r.Match.AcceptsType(event.TypeEntry) || slices.ContainsFunc(r.Match.Events, func(e string) bool { return strings.HasPrefix(e, event.GatewayPrefix) }) {
		return nil, false
	}
	names = append(names, event.DefaultSource)
	for _, tenant := range l.tenants(r) {
		from := l.reachOf(tenant)
		if from.free || slices.Contains(from.publishers, AnySource) {
			return nil, false
		}
		names = slices.Concat(names, from.names, from.publishers)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names, true
}
