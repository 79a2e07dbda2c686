package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules"
)

// kinds are what a configuration consists of, in the order in which a difference tells them.
var kinds = []string{"source", "connection", "webhook", "rule", "token"}

// entity is one thing that a configuration has.
type entity struct{ kind, tenant, name string }

// entities are all things that a configuration has, each with a number that changes with it.
func entities(c *config.Config) map[entity]uint64 {
	all := map[entity]uint64{}
	add := func(kind string, i config.Item) { all[entity{kind, i.Tenant, i.Name}] = i.Sum }
	for _, s := range c.Sources {
		add("source", s.Item)
	}
	for _, d := range c.Destinations {
		if d.Product == "webhook" {
			add("webhook", d.Item)
		} else {
			add("connection", d.Item)
		}
	}
	for _, r := range c.Rules {
		if r.Match.Kind != rules.WebhookKind { // a webhook's own rule is part of it
			add("rule", r.Item)
		}
	}
	for _, t := range c.Tokens {
		add("token", config.Item{Tenant: t.Tenant, Name: t.Name, Sum: t.Sum})
	}
	return all
}

// difference is what a reload changes.
type difference struct {
	added, removed, changed map[string]int // by kind
	before                  map[string]int // how many there were, by kind
	names                   []string       // of what is removed, in order
	emptied                 []string       // tenants that lose everything
}

func differ(before, after *config.Config) difference {
	d := difference{added: map[string]int{}, removed: map[string]int{}, changed: map[string]int{}, before: map[string]int{}}
	old, now := entities(before), entities(after)
	has := map[string]bool{}
	for e, sum := range now {
		has[e.tenant] = true
		if was, ok := old[e]; !ok {
			d.added[e.kind]++
		} else if was != sum {
			d.changed[e.kind]++
		}
	}
	had := map[string]bool{}
	for e := range old {
		d.before[e.kind]++
		had[e.tenant] = true
		if _, ok := now[e]; !ok {
			d.removed[e.kind]++
			d.names = append(d.names, e.kind+" "+owned(e.tenant, e.name))
		}
	}
	for tenant := range maps.Keys(had) {
		if !has[tenant] {
			d.emptied = append(d.emptied, tenant)
		}
	}
	slices.Sort(d.names)
	slices.Sort(d.emptied)
	return d
}

func owned(tenant, name string) string {
	if tenant == config.DefaultTenant {
		return name
	}
	return tenant + "/" + name
}

// drastic says why a difference is more likely a file that was emptied, or is half written, than what somebody wants: more
// than a third of one kind goes, or everything of a tenant. One of two may go, and the only one may get another name: small
// files are edited like that.
func (d difference) drastic() string {
	var why []string
	for _, kind := range kinds {
		removed, before := d.removed[kind], d.before[kind]
		if removed*3 > before && (removed > 1 || removed == before && d.added[kind] == 0) {
			why = append(why, fmt.Sprintf("%d of %d %s", removed, before, plural(before, kind)))
		}
	}
	text := strings.Join(why, ", ")
	if len(d.emptied) > 0 {
		if text != "" {
			text += ", and "
		}
		text += "everything of tenant " + few(d.emptied)
	}
	return text
}

// String is the difference as `+1 rule, ~2 sources, -1 webhook`; where all of them are as they were, it says so, as other settings, profiles or tests may differ.
func (d difference) String() string {
	var parts []string
	for _, kind := range kinds {
		for _, each := range []struct {
			sign string
			n    int
		}{{"+", d.added[kind]}, {"~", d.changed[kind]}, {"-", d.removed[kind]}} {
			if each.n > 0 {
				parts = append(parts, fmt.Sprintf("%s%d %s", each.sign, each.n, plural(each.n, kind)))
			}
		}
	}
	if len(parts) == 0 {
		return "no source, connection, webhook, rule or token differs"
	}
	return strings.Join(parts, ", ")
}

func plural(n int, kind string) string {
	if n == 1 {
		return kind
	}
	return kind + "s"
}

// mostNames is how many names a line of the log tells.
const mostNames = 10

// few are names in one text, the first of them where they are many.
func few(names []string) string {
	if len(names) <= mostNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), len(names)-mostNames)
}
