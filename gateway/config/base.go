package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules"
)

// index finds what the files define, for overlays. It is made for the first one, and all share it.
type index struct {
	once    sync.Once
	tenants map[string]*names
	// everywhere are the rules of tenant "*", by name; their names are taken in every tenant. steps are their steps, by destination.
	everywhere map[string]*Rule
	steps      map[string][]ruleStep
}

// names are what the files define in one tenant.
type names struct {
	sources      map[string]*Source
	destinations map[string]*Destination
	rules        map[string]*Rule
	all          []*Source
}

// fetching returns the destinations whose tokens the gateway fetches, by name.
func (n *names) fetching() []*Destination {
	all := (&Config{Destinations: slices.Collect(maps.Values(n.destinations))}).Fetching()
	slices.SortFunc(all, func(a, b *Destination) int { return strings.Compare(a.Name, b.Name) })
	return all
}

type ruleStep struct {
	rule *Rule
	step *Step
}

// indexed returns the configuration's index.
func (c *Config) indexed() *index {
	x := c.index
	if x == nil { // made by hand
		x = &index{}
	}
	x.once.Do(func() { x.fill(c) })
	return x
}

func (x *index) fill(c *Config) {
	x.tenants, x.everywhere, x.steps = map[string]*names{}, map[string]*Rule{}, map[string][]ruleStep{}
	of := func(tenant string) *names {
		n := x.tenants[tenant]
		if n == nil {
			n = &names{sources: map[string]*Source{}, destinations: map[string]*Destination{}, rules: map[string]*Rule{}}
			x.tenants[tenant] = n
		}
		return n
	}
	for _, s := range c.Sources {
		n := of(s.Tenant)
		n.sources[s.Name], n.all = s, append(n.all, s)
	}
	for _, d := range c.Destinations {
		of(d.Tenant).destinations[d.Name] = d
	}
	for _, r := range c.Rules {
		if r.Match.Kind != rules.RuleKind {
			continue // a webhook's subscription, whose name is that of its destination
		}
		if r.Tenant != AnyTenant {
			of(r.Tenant).rules[r.Name] = r
			continue
		}
		x.everywhere[r.Name] = r
		for _, s := range r.Steps {
			x.steps[s.Destination] = append(x.steps[s.Destination], ruleStep{r, s})
		}
	}
}

// of returns what the files define in a tenant.
func (x *index) of(tenant string) *names {
	if n := x.tenants[tenant]; n != nil {
		return n
	}
	return &names{}
}

// lay sets a step's connector to the settings of its connection: all of them, or for an action those that the connection has
// written and shares with it.
func lay(into, alone connectors.Connector, written []string) {
	to, from := reflect.ValueOf(into).Elem(), reflect.ValueOf(alone).Elem()
	if to.Type() == from.Type() {
		to.Set(from)
		return
	}
	fields := document.Fields(from.Type())
	for _, f := range document.Fields(to.Type()) {
		if len(f.Index) == 1 || !slices.Contains(written, f.Name) {
			continue // a setting of the action itself
		}
		if i := slices.IndexFunc(fields, func(own document.Field) bool { return own.Name == f.Name && own.Type == f.Type }); i >= 0 {
			to.FieldByIndex(f.Index).Set(from.FieldByIndex(fields[i].Index))
		}
	}
}
