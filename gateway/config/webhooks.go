package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules"
)

func (l *loader) addWebhooks(f *fileSettings) {
	for i := range f.Webhooks {
		if l.enough() {
			return
		}
		s := &f.Webhooks[i]
		if s.Node == nil || s.Node.Kind != document.Mapping {
			continue
		}
		name := s.Node.Key("name")
		if name == nil {
			name = s.Node
		}
		d := &destination{
			key: name, subscription: s,
			Destination: l.origin(Item{Tenant: l.owner(f, s.Tenant), Name: string(s.Name), At: name.At, Sum: l.sum(s.Node)}),
		}
		d.Product = productWebhook
		l.write(&d.Item, kindWebhook, s.Node)
		if s.Name != "" && !l.register(d, productWebhook) {
			continue
		}
		subscription := d.known()
		d.settings = s.Node.With(func(key string) bool { return !slices.Contains(subscription, key) })
		connector, ok := connectors.New(productWebhook)
		if !ok {
			l.fault(s.Node.Fault("webhooks are not built into this program", "import connectors/webhook"))
			continue
		}
		l.connect(d, connector)
		preset := webhook.PresetName("")
		if w, ok := connector.(*webhook.Connector); ok {
			preset = w.Preset
		}
		l.delivery(d, s.Node, s.deliverySettings, preset, connector)
		l.tls(d, s.Node.Key("tls"), connector)
		l.webhooks = append(l.webhooks, d)
	}
}

// subscribe adds a rule for every webhook that has events, after all other rules.
func (l *loader) subscribe() {
	for _, d := range l.webhooks {
		l.subscription(d)
	}
}

func (l *loader) subscription(d *destination) {
	s, before := d.subscription, len(l.faults)
	events := l.events(s.Node.Key("events"), s.Events)
	switch at := s.Node.Key("events"); {
	case at == nil:
		if when := s.Node.Named("when"); when != nil {
			l.fault(when.Fault("`when` without `events` has no effect", "add events: [response.completed], or move the condition to the rule that names this webhook"))
		} else if settle := s.Node.Named("settle"); settle != nil {
			l.fault(settle.Fault("`settle` without `events` has no effect", "add events: [response.completed], or move it to the rule that names this webhook"))
		} else if zone := s.Node.Named("timezone"); zone != nil {
			l.fault(zone.Fault("`timezone` without `events` has no effect", "add events: [response.completed], or move it to the rule that names this webhook"))
		} else if wait := s.Node.Named("incomplete_delay"); wait != nil && sendsIncomplete(d) {
			l.warning(checks.NoIncomplete, wait.Fault("`incomplete_delay` without `events` has no effect", "add events: [response.completed, response.partial], or write settle: and the time in the rule that names this webhook"))
		} else if !d.named {
			l.warning(checks.DeafWebhook, d.key.Fault(fmt.Sprintf("the webhook `%s` receives nothing: it has no events, and no rule names it", d.Name), "add events: [response.completed]"))
		}
		return
	case at.Kind == document.List && len(at.Items) == 0:
		l.fault(at.Fault("`events` is empty", "name events, or remove the setting if rules name this webhook"))
		return
	case len(l.faults) > before, len(events) == 0, s.When == nil && s.Node.Key("when") != nil:
		return // a subscription whose own settings have faults is unknown
	}
	// The webhook itself may have faults. A stored one then owes what it subscribes to until it is mended.
	events = l.incomplete(d, events)
	r := &Rule{
		Item:  d.Item,
		Match: &rules.Rule{Kind: rules.WebhookKind, Tenant: d.Tenant, Name: d.Name, Events: events, When: s.When, Disabled: !d.Enabled},
		Steps: []*Step{{
			Name: d.Name, Destination: d.Name, At: d.At,
			Build: map[string]connectors.Connector{d.Tenant: d.alone},
		}},
	}
	l.settle(r, s.Settle, d.Delay, s.Node.Key("settle"))
	r.setZone(s.Timezone)
	r.Steps[0].Build[d.Tenant] = r.inZone(d.alone)
	l.deferIncomplete(r, d.bound, s.Node.Key("incomplete_delay"))
	l.warnOfWhole(r.Match, s.Node.Key("when"))
	l.warnOfCondition(r, s.Node.Key("when"), s.When)
	l.warnOfWords(r, d.settings)
	l.lintings = append(l.lintings, linting{r, d.key, s.Node.Key("when"), nil})
	l.config.Rules = append(l.config.Rules, r)
}

const partial, completed = "response.partial", "response.completed"

// sendsIncomplete reports whether a webhook sends unfinished responses.
func sendsIncomplete(d *destination) bool {
	w, ok := d.bound.(*webhook.Connector)
	return ok && w.SendIncomplete
}

// incomplete subscribes a webhook that sends unfinished responses to them. It warns about a webhook that subscribes to them
// but does not send them.
func (l *loader) incomplete(d *destination, events []string) []string {
	w, ok := d.bound.(*webhook.Connector)
	switch {
	case !ok:
	case w.SendIncomplete && slices.Contains(events, completed) && !(&rules.Rule{Events: events}).AcceptsType(partial):
		return append(slices.Clone(events), partial)
	case !w.SendIncomplete && slices.Contains(events, partial):
		l.warning(checks.UnsentPartial, d.subscription.Node.Key("events").Fault("`response.partial` is subscribed to but never sent", "add send_incomplete: true"))
	}
	return events
}

// events returns the canonical types for a list of event names.
func (l *loader) events(n *document.Node, names []string) []string {
	if n.HasUnset() {
		return nil
	}
	if l.base != nil && len(names) > maxEvents {
		l.fault(n.Fault(fmt.Sprintf("there are %d events; at most %d are allowed", len(names), maxEvents), "write `response.*`, or `*` for all"))
		return nil
	}
	events, err := rules.ExpandEvents(names, l.aliases)
	if faults, ok := errors.AsType[rules.EventErrors](err); ok {
		for _, f := range faults {
			at := n
			if f.Index < len(n.Items) {
				at = n.Items[f.Index]
			}
			remedy := "write a type such as response.completed, `response.*`, `*`, or a platform's own name"
			if f.Nearest != "" {
				remedy = "did you mean " + f.Nearest + "?"
			}
			l.fault(at.Fault(fmt.Sprintf("`%s` is not an event", f.Name), remedy))
		}
	}
	return events
}
