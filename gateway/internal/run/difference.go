package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules"
)

// kinds are the kinds of entities of a configuration, in the order in which a difference lists them.
var kinds = []string{"source", "connection", "webhook", "rule", "token"}

// entity is one source, connection, webhook, rule or token.
type entity struct{ kind, tenant, name string }

// entities maps all entities of a configuration to a checksum of their settings.
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
	removedNames            []string       // in order
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
			d.removedNames = append(d.removedNames, e.kind+" "+qualified(e.tenant, e.name))
		}
	}
	for tenant := range maps.Keys(had) {
		if !has[tenant] {
			d.emptied = append(d.emptied, tenant)
		}
	}
	slices.Sort(d.removedNames)
	slices.Sort(d.emptied)
	return d
}

// qualified is a name with its tenant, unless that is the default one.
func qualified(tenant, name string) string {
	if tenant == config.DefaultTenant {
		return name
	}
	return tenant + "/" + name
}

// drastic describes what a difference removes if that looks like an empty or half-written file: more than a third of one
// kind, or everything of a tenant. Otherwise it returns "". Removing one of two is not drastic, nor is renaming the only
// one: small files are edited like that.
func (d difference) drastic() string {
	var parts []string
	for _, kind := range kinds {
		removed, before := d.removed[kind], d.before[kind]
		if removed*3 > before && (removed > 1 || removed == before && d.added[kind] == 0) {
			parts = append(parts, fmt.Sprintf("%d of %d %s", removed, before, plural(before, kind)))
		}
	}
	text := strings.Join(parts, ", ")
	if len(d.emptied) > 0 {
		if text != "" {
			text += ", and "
		}
		text += "everything of tenant " + few(d.emptied)
	}
	return text
}

// String is the difference as `+1 rule, ~2 sources, -1 webhook`. Where no entity differs it says so: other settings, profiles
// or tests may.
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

// maxNames is how many names one line of the log lists.
const maxNames = 10

// few joins names, and replaces those beyond maxNames by their count.
func few(names []string) string {
	if len(names) <= maxNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
}
