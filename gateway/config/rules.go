package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// stepSettings is one entry of a rule's `send`.
type stepSettings struct {
	name     string         // as written: crm or crm.note
	key      *document.Node // where the name is written
	as       string
	amend    *document.Node // `amend: true`; nil: it is not set
	retract  *document.Node // `retract: true`; nil: it is not set
	settings *document.Node // nil if there are none
}

// BindNode reads `- crm`, `- crm.note: {…}` and `- {crm: {…}, as: vip, amend: true, retract: true}`.
func (s *stepSettings) BindNode(n *document.Node, _ string) document.Faults {
	switch n.Kind {
	case document.Scalar:
		s.name, s.key = n.Text, n
		return nil
	case document.Mapping:
	default:
		n.ConcealTexts()
		return document.Faults{n.Fault(fmt.Sprintf("an entry of `send` must be a name, or a name with settings, and is %s", n.Kind), "write - alarms, or - crm: {…}")}
	}
	var faults document.Faults
	for _, p := range n.Pairs {
		if p.Key.Text == "as" {
			if p.Value.Kind != document.Scalar || !validName(p.Value.Text) {
				faults = append(faults, p.Value.Fault("`as` must be a name for this step", nameRule))
			}
			s.as = p.Value.Text
			continue
		}
		if p.Key.Text == "amend" || p.Key.Text == "retract" {
			on := false
			faults = append(faults, document.Bind(p.Value, &on, document.Options{})...)
			switch {
			case !on:
			case p.Key.Text == "amend":
				s.amend = p.Key
			default:
				s.retract = p.Key
			}
			continue
		}
		if s.key != nil {
			p.Value.ConcealTexts() // nobody says what is a secret in it
			faults = append(faults, p.Key.Fault(fmt.Sprintf("an entry of `send` names one destination, and this one names `%s` already", s.name), "begin a new entry: - "+p.Key.Text+":"))
			continue
		}
		s.name, s.key = p.Key.Text, p.Key
		switch p.Value.Kind {
		case document.Mapping:
			s.settings = p.Value
		case document.Null:
		default:
			faults = append(faults, p.Value.Fault(fmt.Sprintf("the settings of `%s` must be a mapping, and are %s", s.name, p.Value.Kind), fmt.Sprintf("write - %s: {setting: value}, or - %s without settings", s.name, s.name)))
		}
	}
	if s.key == nil && len(faults) == 0 {
		faults = append(faults, n.Fault("an entry of `send` names no destination", "write - alarms, or - crm: {…}"))
	}
	return faults
}

func (l *loader) addRules(f *fileSettings) {
	for i := range f.Rules {
		if l.enough() {
			return
		}
		s := &f.Rules[i]
		if s.Node == nil || s.Node.Kind != document.Mapping {
			continue
		}
		tenant, key := l.owner(f, tenantName(s.Tenant)), s.Node.Key("name")
		if key == nil {
			key = s.Node
		}
		if s.Name != "" {
			l.claimRule(target{tenant, string(s.Name)}, key)
		}
		r := &Rule{
			Item:  Item{Tenant: tenant, Name: string(s.Name), At: key.At, Sum: l.sum(s.Node)},
			Delay: s.Delay, Once: s.Once != "",
			Match: &rules.Rule{Tenant: tenant, Name: string(s.Name), Events: []string{completed}, When: s.When, Disabled: !enabled(s.Enabled)},
		}
		l.write(&r.Item, kindRule, s.Node)
		if at := s.Node.Key("events"); at != nil {
			if r.Match.Events = l.events(at, s.Events); at.Kind == document.List && len(at.Items) == 0 {
				l.fault(at.Fault("`events` is empty", "name events, or remove the setting: the default is response.completed"))
			}
		}
		l.settle(r, s.Settle, s.Delay, s.Node.Key("settle"))
		r.setZone(s.Timezone)
		l.warnOfWhole(r.Match, s.Node.Key("when"))
		if s.Delay > maxDelay {
			l.fault(s.Node.Key("delay").Fault("`delay` is longer than 7d", "write at most 7d: a waiting delivery keeps its event in the store"))
		}
		if send := s.Node.Key("send"); send != nil && send.Kind != document.List && l.base != nil {
			send.ConcealTexts()
		}
		if send := s.Node.Key("send"); send != nil && (send.Kind == document.List || send.Kind == document.Null) && len(s.Send) == 0 {
			l.fault(send.Fault(fmt.Sprintf("the rule `%s` has no destination", s.Name), "name a connection or webhook; to switch a rule off, write enabled: false"))
		}
		if l.base != nil && len(s.Send) > maxDocumentSteps {
			l.fault(s.Node.Key("send").Fault(fmt.Sprintf("there are %d steps; at most %d are allowed", len(s.Send), maxDocumentSteps), "make another rule of some of them"))
			s.Send = s.Send[:maxDocumentSteps]
		}
		l.steps(r, s)
		l.guardrails(r, s)
		if !l.options.texts {
			l.tests(r, s)
			l.warnOfRule(r, s)
		}
		l.lintings = append(l.lintings, linting{r, key, s.Node.Key("when"), s})
		l.config.Rules = append(l.config.Rules, r)
	}
}

const maxDelay = maxWait

// claimRule registers a rule's name. The name of a rule of tenant `*` is taken in every tenant.
func (l *loader) claimRule(at target, key *document.Node) {
	taken := l.rules[at.name]
	if taken == nil {
		taken = map[string]*document.Node{}
		l.rules[at.name] = taken
	}
	first := cmp.Or(taken[at.tenant], taken[AnyTenant])
	if at.tenant == AnyTenant {
		for _, first = range taken {
			break
		}
	}
	if first != nil {
		l.twice(key, first, "rule", at)
		return
	}
	taken[at.tenant] = key
}

// steps builds a rule's steps, for every tenant that it runs in.
func (l *loader) steps(r *Rule, s *ruleSettings) {
	names := map[string]*document.Node{}
	for i := range s.Send {
		set := &s.Send[i]
		if l.enough() {
			return
		}
		if set.key == nil || set.key.Unset {
			continue
		}
		name, action, _ := strings.Cut(set.name, ".")
		step := &Step{Name: set.name, Destination: name, Action: action, Build: map[string]connectors.Connector{}, At: set.key.At}
		if set.as != "" {
			step.Name = set.as
		}
		if set.settings != nil {
			for _, p := range set.settings.Pairs {
				step.Sets = append(step.Sets, p.Key.Text)
			}
			if r.Tenant == AnyTenant {
				step.settings = set.settings.Detached()
			}
		}
		if first := names[step.Name]; first != nil {
			l.conceal(nil, step, set)
			l.fault(set.key.Fault(fmt.Sprintf("the rule sends to `%s` twice", step.Name), fmt.Sprintf("give one of them another name: - {%s: …, as: %s-2}", set.name, strings.ReplaceAll(step.Name, ".", "-"))))
			continue
		}
		names[step.Name] = set.key
		l.amends(r, step, set)
		found := l.find(r.Tenant, name)
		if len(found) == 0 {
			l.conceal(nil, step, set)
			l.fault(l.nowhere(r, set, name))
			continue
		}
		for _, d := range found {
			d.named = true
			if d.Broken {
				l.conceal(d, step, set)
				step.Build[d.Tenant] = nil // its settings are judged when the destination is mended
				continue
			}
			c := l.step(r, d, step.Connector(d.Destination), set)
			if c == nil {
				l.conceal(d, step, set)
				continue
			}
			l.canAmend(step, set, c)
			step.Build[d.Tenant] = c
		}
		r.Steps = append(r.Steps, step)
	}
}

// find returns the destinations of a name: at most one, or for AnyTenant those of all tenants, sorted by tenant.
func (l *loader) find(tenant, name string) []*destination {
	if tenant != AnyTenant {
		if d := l.destinations[target{tenant, name}]; d != nil {
			return []*destination{d}
		}
		if l.base != nil && l.base.destinations[name] != nil {
			d := l.base.destinations[name]
			return []*destination{{Destination: d, alone: d.Alone}}
		}
		return nil
	}
	var found []*destination
	for at, d := range l.destinations {
		if at.name == name {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b *destination) int { return strings.Compare(a.Tenant, b.Tenant) })
	return found
}

// nowhere returns the fault of a name without a destination. It suggests a similar name, or says which other tenant has it.
func (l *loader) nowhere(r *Rule, set *stepSettings, name string) document.Fault {
	var here []string
	if l.base != nil {
		here = slices.Collect(maps.Keys(l.base.destinations))
	}
	for at := range l.destinations {
		if at.tenant == r.Tenant || r.Tenant == AnyTenant {
			here = append(here, at.name)
		} else if at.name == name {
			return set.key.Fault(fmt.Sprintf("`%s` belongs to the tenant `%s`, but this rule belongs to `%s`", name, at.tenant, r.Tenant),
				"a rule can only use destinations of its own tenant: add tenant: "+at.tenant)
		}
	}
	slices.Sort(here)
	here = slices.Compact(here)
	remedy := "add it under connections: or webhooks:"
	if l.base != nil {
		remedy = "store the connection or webhook first"
	}
	if len(here) > 0 {
		remedy = document.DidYouMean(name, here)
	}
	return set.key.Fault(fmt.Sprintf("there is no connection or webhook `%s`", name), remedy)
}

// webhookStepSettings are the settings of a webhook that a step may override.
var webhookStepSettings = []string{"body", "headers"}

// step builds a step's connector: the product's defaults, overridden by the connection, then by the step. It returns nil if
// there are faults.
func (l *loader) step(r *Rule, d *destination, connector string, set *stepSettings) connectors.Connector {
	c := l.bindStep(d, connector, set)
	if c == nil {
		return nil
	}
	return r.inZone(c)
}

func (l *loader) bindStep(d *destination, connector string, set *stepSettings) connectors.Connector {
	if d.Product == "" {
		return nil // the connection's fault is reported already
	}
	c, known := connectors.New(connector)
	if !known {
		var names []string
		for _, action := range connectors.Actions(d.Product) {
			names = append(names, d.Name+"."+action)
		}
		remedy := fmt.Sprintf("%s has no actions: write - %s", d.Product, d.Name)
		if len(names) > 0 {
			remedy = document.DidYouMean(set.name, names)
		}
		l.fault(set.key.Fault(fmt.Sprintf("`%s` is not an action of %s", strings.TrimPrefix(connector, d.Product+"."), d.Product), remedy))
		return nil
	}
	isAction := connector != d.Product
	if !isAction && set.settings == nil {
		return d.alone
	}
	if d.alone != nil { // else faults of the connection are reported where it is defined
		lay(c, d.alone, d.sets)
	}
	before := len(l.faults)
	if set.settings != nil {
		settings := set.settings
		if d.Product == productWebhook {
			settings = l.stepOverrides(settings)
		}
		l.bind(settings, c, document.Options{Partial: true, Rule: true})
	}
	if d.alone == nil || len(l.faults) > before {
		return nil
	}
	at := set.settings
	if at == nil {
		at = set.key
	}
	if missing := document.Missing(c, at, ""); isAction && len(missing) > 0 {
		l.fault(missing...)
		return nil
	}
	below := d.settings
	if l.base != nil {
		below = nil // a fault of this step is one of its rule, and not of the document of its connection
	}
	if l.check(d, c, at, below); len(l.faults) > before {
		return nil
	}
	return c
}

// stepOverrides refuses settings that a step may not override: a webhook's URL and how it is signed.
func (l *loader) stepOverrides(n *document.Node) *document.Node {
	c, _ := connectors.New(productWebhook)
	var own []string
	for _, field := range document.FieldsOf(c) {
		own = append(own, field.Name)
	}
	for _, p := range n.Pairs {
		if slices.Contains(own, p.Key.Text) && !slices.Contains(webhookStepSettings, p.Key.Text) {
			l.fault(p.Key.Fault(fmt.Sprintf("`%s` is a setting of the webhook, not of a rule", p.Key.Text), "move it to the webhook; a rule may set body and headers"))
		}
	}
	return n.With(func(key string) bool {
		return !slices.Contains(own, key) || slices.Contains(webhookStepSettings, key)
	})
}

// tests applies a rule's tests, and checks them as far as possible without running them.
func (l *loader) tests(r *Rule, s *ruleSettings) {
	for _, t := range s.Tests {
		if t.Given == nil || t.Node == nil || t.Node.Kind != document.Mapping {
			continue
		}
		test := Test{Expect: t.Expect, At: t.Node.At}
		steps := make([]string, len(r.Steps))
		for i, step := range r.Steps {
			steps[i] = step.Name
		}
		if expect := t.Node.Key("expect"); expect != nil && expect.Kind == document.List {
			for _, item := range expect.Items {
				if item.Kind == document.Scalar && !slices.Contains(steps, item.Text) && len(steps) == len(s.Send) {
					l.fault(item.Fault(fmt.Sprintf("`%s` is not a step of this rule", item.Text), document.DidYouMean(item.Text, steps)))
				}
			}
		}
		given := t.Given
		switch {
		case given.Kind == document.Null:
			test.Given = []byte("{}")
		case given.Kind == document.List:
			if !l.givenList(r, given) {
				continue
			}
			test.Given = given.JSON()
		case given.Kind != document.Mapping:
			l.fault(given.Fault(fmt.Sprintf("`given` must be an event or a list of events, and is %s", given.Kind), "write given: {nps_score: 3, email: jo@example.com}"))
			continue
		case given.Named("file") != nil:
			if !l.body(r, given, &test) {
				continue
			}
		default:
			test.Given = given.JSON()
			l.given(r, given, test.Given)
		}
		r.Tests = append(r.Tests, test)
	}
}

// maxGiven bounds the events of one test.
const maxGiven = 50

// givenList checks a test's list of events; false: it cannot be played.
func (l *loader) givenList(r *Rule, given *document.Node) bool {
	switch n := len(given.Items); {
	case n == 0:
		l.fault(given.Fault("`given` is an empty list", "write the events of one response, in the order in which they are received"))
		return false
	case n > maxGiven:
		l.fault(given.Fault(fmt.Sprintf("there are %d events; at most %d are allowed", n, maxGiven), "leave some of them out"))
		return false
	}
	for _, item := range given.Items {
		switch {
		case item.Kind != document.Mapping:
			l.fault(item.Fault(fmt.Sprintf("an event of `given` must be a mapping, and is %s", item.Kind), "write - {type: response.completed, nps_score: 3}"))
			return false
		case item.Named("file") != nil:
			l.fault(item.Named("file").Fault("a list of events cannot have the body of a file", "write the events themselves, or one file alone: given: {source: pollqr, file: body.json}"))
			return false
		}
		l.given(r, item, item.JSON())
	}
	return true
}

// body applies the source and file of a test that uses a platform's own body.
func (l *loader) body(r *Rule, given *document.Node, test *Test) bool {
	var set struct {
		Source string `yaml:"source"`
		File   string `yaml:"file"`
	}
	faults := document.Bind(given, &set, document.Options{})
	l.fault(faults...)
	if len(faults) > 0 {
		return false
	}
	if l.base != nil {
		l.fault(given.Named("file").Fault("a stored rule cannot test the body of a file", "write given: and the event itself"))
		return false
	}
	var names []string
	for at := range l.sources {
		if at.tenant == r.Tenant || r.Tenant == AnyTenant {
			names = append(names, at.name)
		}
	}
	if slices.Sort(names); !slices.Contains(names, set.Source) {
		remedy := document.DidYouMean(set.Source, names)
		if len(names) == 0 {
			remedy = "add it under sources:"
		}
		l.fault(given.Key("source").Fault(fmt.Sprintf("there is no source `%s`", set.Source), remedy))
		return false
	}
	test.Source, test.File = set.Source, set.File
	return true
}

// epoch is the time of receipt of events that are only checked.
var epoch = time.Unix(0, 0).UTC()

// given checks a test's event.
func (l *loader) given(r *Rule, n *document.Node, body []byte) {
	if n.HasUnset() {
		return
	}
	_, err := event.ParseOne(body, event.Defaults{Tenant: firstOf(r), AnyTenant: true, Source: "api", Type: completed, Received: epoch, Notices: true})
	var field *event.FieldError
	switch {
	case err == nil:
	case errors.As(err, &field):
		at, steps := n, strings.Split(field.Path, ".")
		for i, step := range steps {
			if i == len(steps)-1 && at.Named(step) != nil && field.Nearest != "" {
				at = at.Named(step)
				break
			}
			next := at.Key(step)
			if next == nil {
				break
			}
			at = next
		}
		remedy := ""
		if field.Nearest != "" {
			remedy = "did you mean " + field.Nearest + "?"
		}
		l.fault(at.Fault("`"+field.Path+"` "+field.Problem, remedy))
	default:
		l.fault(n.Refusal("given", err))
	}
}

// firstOf returns the tenant that a rule's tests run in.
func firstOf(r *Rule) string {
	if r.Tenant != AnyTenant {
		return r.Tenant
	}
	var tenants []string
	for _, step := range r.Steps {
		tenants = slices.AppendSeq(tenants, maps.Keys(step.Build))
	}
	if len(tenants) == 0 {
		return DefaultTenant
	}
	return slices.Min(tenants)
}
