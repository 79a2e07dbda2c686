package manage

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// listing is a list of one kind, as it was asked for.
type listing struct {
	kind
	m    *Management
	plan *decide.Plan
	// secrets: path tokens are shown. all: the list is one of all tenants.
	secrets, all bool
	// text is what their names, titles or profiles have, in small letters; empty: all are listed. order is the parameter `sort`.
	text, order string
}

// wanted reports whether something that is found by these is listed.
func (l *listing) wanted(t settings.Titled) bool { return l.text == "" || t.Has(l.text) }

// filed returns what files define in a tenant and is listed, by name.
func (l *listing) filed(c *route.Call) []shown {
	return forCaller(c, slices.DeleteFunc(l.ofFiles(l.plan, c.Tenant, "", l.secrets), func(v shown) bool {
		return l.all && v.Common().Tenant != c.Tenant || l.text != "" && !l.wanted(titled(v))
	}))
}

// titled returns what something that a file defines is found by.
func titled(v shown) settings.Titled {
	var t settings.Titled
	_ = json.Unmarshal(v.Common().Spec, &t) // it was written by the gateway
	t.Name = v.Common().Name
	return t
}

// byName returns a page of the list by name.
func (l *listing) byName(c *route.Call, cursor string, limit int) (p view.Page[shown], err error) {
	after, err := route.After(cursor, func(name string) bool { return l.is(l.m, c, name) })
	if err != nil {
		return p, err
	}
	var entries []settings.Entry
	var more bool
	if c.Tenant != access.AnyTenant {
		wanted := func(t settings.Titled) bool { return t.Name > after && l.wanted(t) }
		if entries, more, err = l.m.Book.Search(c.Base, c.Tenant, string(l.kind), wanted, limit+1); err != nil {
			return p, Refusal(err)
		}
	}
	filed := slices.DeleteFunc(l.filed(c), func(v shown) bool { return v.Common().Name <= after })
	p.Data = l.merge(l.plan, c.Tenant, filed, entries, l.secrets)
	if more || len(p.Data) > limit {
		p.Data = p.Data[:min(limit, len(p.Data))]
		next := route.Next(p.Data[len(p.Data)-1].Common().Name)
		p.Next = &next
	}
	return p, l.include(c, entries, p.Data)
}

// ordered returns a page of the list by a figure, which takes one read of those of all.
func (l *listing) ordered(c *route.Call, cursor string, limit int) (p view.Page[shown], err error) {
	filed := map[string]shown{}
	var names []string
	for _, v := range l.filed(c) {
		filed[v.Common().Name] = v
		names = append(names, v.Common().Name)
	}
	documents, err := l.m.Book.Titles(c.Base, c.Tenant, string(l.kind))
	if err != nil {
		return p, Refusal(err)
	}
	for _, t := range documents {
		if l.wanted(t) && filed[t.Name] == nil {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	if err := l.sort(c, names); err != nil {
		return p, err
	}
	return route.PageOfOrdered(names, cursor, limit, func(name string) string { return name }, func(page []string) ([]shown, error) {
		entries, _, err := l.m.Book.Search(c.Base, c.Tenant, string(l.kind), func(t settings.Titled) bool { return slices.Contains(page, t.Name) }, len(page))
		if err != nil {
			return nil, Refusal(err)
		}
		var ofFiles []shown
		for _, name := range page {
			if v := filed[name]; v != nil {
				ofFiles = append(ofFiles, v)
			}
		}
		all := l.merge(l.plan, c.Tenant, ofFiles, entries, l.secrets)
		slices.SortFunc(all, func(a, b shown) int {
			return cmp.Compare(slices.Index(page, a.Common().Name), slices.Index(page, b.Common().Name))
		})
		return all, l.include(c, entries, all)
	})
}

// figuresAtOnce is how many names one read has: their hours stay below state.MaxCountCells.
const figuresAtOnce = 2000

// sort sorts names, which are sorted, by the figure that the order names: that of 24 hours.
func (l *listing) sort(c *route.Call, names []string) error {
	by, down := strings.CutPrefix(l.order, "-")
	if by == "name" {
		slices.Reverse(names)
		return nil
	}
	of, figure := state.RuleStats, matched
	switch by {
	case "errors":
		figure = func(c *state.Count) int64 { return c.Counts[state.RuleErred] }
	case "events":
		of, figure = state.SourceStats, func(c *state.Count) int64 { return c.Counts[state.EventsAccepted] }
	case "refused":
		of, figure = state.SourceStats, stats.Refused
	}
	figures := map[string]int64{}
	for some := range slices.Chunk(names, figuresAtOnce) {
		counts, err := l.m.countsByName(c, of, some, state.ByHour, view.TrendFrom(l.m.Clock.Now()))
		if err != nil {
			return err
		}
		for name, hours := range counts {
			for i := range hours {
				figures[name] += figure(&hours[i])
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		if down {
			a, b = b, a
		}
		return cmp.Compare(figures[a], figures[b])
	})
	return nil
}

// include adds what the parameter `include` asks for to a page. What was counted is of one tenant.
func (l *listing) include(c *route.Call, entries []settings.Entry, page []shown) (err error) {
	asked := strings.Split(c.Asked("include"), ",")
	if len(page) == 0 || c.Tenant == access.AnyTenant {
		return nil
	}
	if l.isDestination() && slices.Contains(asked, "standing") {
		err = l.m.addStanding(c, l.plan, entries, page)
	}
	if slices.Contains(asked, "seen") {
		err = l.m.addSeenToAll(c, l.kind, page)
	}
	if slices.Contains(asked, "tests") {
		l.m.addTests(c, page)
	}
	return err
}
