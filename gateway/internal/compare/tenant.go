package compare

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
)

// tenant is one tenant under both configurations.
type tenant struct {
	name          string
	before, after *decide.Plan
	// rules are those that may send something else, by their origin; sources are those whose events may be read differently.
	rules   map[state.Origin]*rule
	sources map[string]*reader
	// steps: what becomes of waiting deliveries may differ; unread are the rules of which that is not known.
	steps  bool
	unread map[state.Origin]bool
	// open are rules whose condition has a variable: without its value, they match everything.
	open map[state.Origin]*rule
	// askBefore and askAfter ask these rules only.
	askBefore, askAfter *decide.Plan
}

// rule is a rule or webhook that may send something else.
type rule struct {
	before, after *config.Rule // nil: there is none
	owner         string       // the tenant, or * for a rule of every tenant
	// sameSteps: it builds the same requests of an event, so that only what it matches can differ.
	sameSteps bool
}

// reader is a source that may read its requests differently.
type reader struct {
	had bool // it took in events
	has bool // it would take in events
}

// What does not change which requests are built, or which events a rule matches.
var (
	ofDelivery = []string{"retry", "timeout", "concurrency", "rate", "batch", "capture", "transport", "order", "tls"}
	ofMatching = []string{"when", "events", "enabled", "tests"}
	ofTests    = []string{"tests"}
	ofProof    = []string{"verify", "unverified", "allow_from", "accept_test", "capture", "enabled"}
)

// tenant compiles the documents of a tenant over both configurations, and finds what differs.
func (c *comparison) tenant(ctx context.Context, name string) (*tenant, error) {
	t := &tenant{name: name, before: c.before.plan, after: c.after.plan, rules: map[state.Origin]*rule{}, sources: map[string]*reader{}, unread: map[state.Origin]bool{}, open: map[state.Origin]*rule{}}
	if c.running.Overlay(name) != nil {
		documents, err := c.Book.Documents(ctx, name)
		if err != nil {
			return nil, err
		}
		t.before = t.before.With(config.Overlay(t.before.Config, name, documents))
		t.after = t.after.With(config.Overlay(t.after.Config, name, documents))
	}
	c.findRules(t)
	c.findSources(t)
	var before, after []*config.Rule
	for _, r := range t.rules {
		if r.before != nil && !r.before.Match.Disabled { // Asking would ask it all the same
			before = append(before, r.before)
		}
		if r.after != nil && !r.after.Match.Disabled {
			after = append(after, r.after)
		}
	}
	t.askBefore, t.askAfter = t.before.Asking(name, before...), t.after.Asking(name, after...)
	return t, nil
}

// behaves reports whether events of the tenant may lead to something else.
func (t *tenant) behaves() bool { return len(t.rules)+len(t.sources) > 0 }

// onlySource returns the source whose events are compared; empty: those of all.
func (t *tenant) onlySource() string {
	if len(t.rules) == 0 && len(t.sources) == 1 {
		for name := range t.sources {
			return name
		}
	}
	return ""
}

func (c *comparison) findRules(t *tenant) {
	all := map[state.Origin]*rule{}
	of := func(r *config.Rule) *rule {
		origin := decide.OriginOf(r)
		if all[origin] == nil {
			all[origin] = &rule{owner: r.Tenant}
		}
		return all[origin]
	}
	for _, r := range t.before.Rules(t.name) {
		of(r).before = r
	}
	for _, r := range t.after.Rules(t.name) {
		of(r).after = r
	}
	for origin, r := range all {
		if c.hasVariable(r.before, "when") || c.hasVariable(r.after, "when") {
			t.open[origin] = r
		}
		if differs, sameSteps := c.ruleDiffers(t, r); differs {
			t.steps = true
			if t.open[origin] != nil {
				c.noteOpen(origin, r)
				continue
			}
			if c.hasVariable(r.before, "send") || c.hasVariable(r.after, "send") {
				c.note("a destination of " + string(origin.Kind) + " " + qualified(r.owner, origin.Name) + " is a variable, whose value is not read: its deliveries are not compared")
				t.unread[origin] = true
				continue
			}
			if defers(r.before) || defers(r.after) {
				c.note("rules that are asked of a response as a whole (settle, incomplete_delay) were asked of each event by itself")
			}
			c.noteEnabled(t, r)
			r.sameSteps = sameSteps
			t.rules[origin] = r
		}
	}
}

// noteOpen says that what a rule matches is not known.
func (c *comparison) noteOpen(origin state.Origin, r *rule) {
	c.note("the condition of " + string(origin.Kind) + " " + qualified(r.owner, origin.Name) + " has a variable, whose value is not read: what it matches is not compared")
}

func defers(r *config.Rule) bool { return r != nil && len(r.Match.Deferred) > 0 }

// ruleDiffers reports whether a rule may send something else, and whether it builds the same requests all the same.
func (c *comparison) ruleDiffers(t *tenant, r *rule) (differs, sameSteps bool) {
	if r.before == nil || r.after == nil {
		return true, false
	}
	for _, s := range r.after.Steps {
		if c.destinationDiffers(t, s.Destination) {
			return true, false
		}
	}
	for _, s := range r.before.Steps {
		if c.destinationDiffers(t, s.Destination) {
			return true, false
		}
	}
	if wasStored, isStored := stored(&r.before.Item), stored(&r.after.Item); wasStored || isStored {
		return wasStored != isStored || r.before.Sum != r.after.Sum, false
	}
	kind := kindRule
	if r.after.Match.Kind == rules.WebhookKind {
		kind = kindWebhook
	}
	if r.before.Tenant != r.after.Tenant { // one of every tenant has become the tenant's own
		return true, false
	}
	d := c.differences[item{kind, r.after.Tenant, r.after.Name}]
	if kind == kindWebhook {
		return d != nil && !d.only(ofDelivery...), d.only("when", "events")
	}
	return d != nil && !d.only(ofTests...), d.only(ofMatching...)
}

// stored reports whether an item is of a stored document.
func stored(i *config.Item) bool { return strings.HasPrefix(i.At.File, config.StorePrefix) }

// destinationDiffers reports whether requests to a destination may differ.
func (c *comparison) destinationDiffers(t *tenant, name string) bool {
	was, is := t.before.Destination(t.name, name), t.after.Destination(t.name, name)
	switch {
	case was == nil || is == nil:
		return was != is
	case was.Broken != is.Broken || was.Enabled != is.Enabled || was.Product != is.Product:
		return true
	}
	if wasStored, isStored := stored(&was.Item), stored(&is.Item); wasStored || isStored {
		return wasStored != isStored || was.Sum != is.Sum
	}
	for _, kind := range []string{kindConnection, kindWebhook} {
		if d := c.differences[item{kind, t.name, name}]; d != nil {
			return !d.only(slices.Concat(ofDelivery, ofMatching)...)
		}
	}
	return false
}

func (c *comparison) findSources(t *tenant) {
	names := map[string]bool{}
	for _, plan := range []*decide.Plan{t.before, t.after} {
		for _, s := range plan.Sources(t.name) {
			names[s.Name] = true
		}
	}
	for name := range names {
		was, is := t.before.Source(t.name, name), t.after.Source(t.name, name)
		s := &reader{had: was != nil && was.Enabled, has: is != nil && is.Enabled}
		if was == nil {
			continue // of which there are no events yet
		}
		if s.had != s.has || is != nil && c.sourceDiffers(was, is) {
			t.sources[name] = s
		}
	}
}

func (c *comparison) sourceDiffers(was, is *config.Source) bool {
	if wasStored, isStored := stored(&was.Item), stored(&is.Item); wasStored || isStored {
		return wasStored != isStored || was.Sum != is.Sum
	}
	d := c.differences[item{kindSource, is.Tenant, is.Name}]
	return d != nil && !d.only(ofProof...)
}

// hasVariable reports whether a setting of a rule of the files has a variable.
func (c *comparison) hasVariable(r *config.Rule, setting string) bool {
	if r == nil || stored(&r.Item) {
		return false
	}
	kind := kindRule
	if r.Match.Kind == rules.WebhookKind {
		kind = kindWebhook
	}
	return c.refers(item{kind, r.Tenant, r.Name}, setting)
}

// refers reports whether a setting of the files, or a text in its list, has a variable, now or with the new configuration.
func (c *comparison) refers(of item, setting string) bool {
	for _, s := range []*side{c.before, c.after} {
		if w := s.items[of]; w != nil {
			settings, _ := parse(w.Spec).(map[string]any)
			all, isList := settings[setting].([]any)
			if !isList {
				all = []any{settings[setting]}
			}
			for _, each := range all {
				if text, _ := each.(string); strings.Contains(strings.ReplaceAll(text, "$${", ""), "${") {
					return true
				}
			}
		}
	}
	return false
}

// noteEnabled says which of the rule and its destinations are switched by a variable.
func (c *comparison) noteEnabled(t *tenant, r *rule) {
	const switched = "`enabled` of %s %s is a variable, whose value is not read: it is taken to be enabled"
	for _, each := range []*config.Rule{r.before, r.after} {
		if each == nil {
			continue
		}
		if c.hasVariable(each, "enabled") {
			c.note(fmt.Sprintf(switched, decide.OriginOf(each).Kind, qualified(r.owner, each.Name)))
		}
		for _, s := range each.Steps {
			for _, kind := range []string{kindConnection, kindWebhook} {
				if c.refers(item{kind, t.name, s.Destination}, "enabled") {
					c.note(fmt.Sprintf(switched, kind, qualified(t.name, s.Destination)))
				}
			}
		}
	}
}

// note adds a note once.
func (c *comparison) note(text string) {
	const most = 20
	if len(c.out.Notes) < most && !slices.Contains(c.out.Notes, text) {
		c.out.Notes = append(c.out.Notes, text)
	}
}

// qualified is a name with its tenant, unless that is the default one.
func qualified(tenant, name string) string {
	if tenant == config.DefaultTenant {
		return name
	}
	return tenant + "/" + name
}
