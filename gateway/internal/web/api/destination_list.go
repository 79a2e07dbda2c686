package api

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// added is what a caller wants to know of destinations beside their settings.
type added struct{ standing, trend bool }

// addedOf reads the parameter `include` of destinations.
func addedOf(c *route.Call) added {
	words := strings.Split(c.Asked("include"), ",")
	return added{slices.Contains(words, "standing"), slices.Contains(words, "trend")}
}

func (a *API) destinations(c *route.Call) error {
	with, text, order := addedOf(c), strings.ToLower(c.Asked("q")), cmp.Or(c.Asked("sort"), "name")
	if order != "name" && c.Tenant == access.AnyTenant {
		return answer.Invalid("of all tenants they are in the order of tenants and names: ask for one tenant", "sort")
	}
	return route.List(c, a.Tenants.IDs, func(c *route.Call, cursor string, limit int) (p view.Page[view.Destination], err error) {
		mine := slices.Clone(a.Plan().DestinationsOf(c.Tenant))
		if text != "" {
			mine = slices.DeleteFunc(mine, func(d *config.Destination) bool {
				return !strings.Contains(strings.ToLower(d.Name), text) && !strings.Contains(strings.ToLower(d.Product), text)
			})
		}
		name := func(d *config.Destination) string { return d.Name }
		slices.SortFunc(mine, func(x, y *config.Destination) int { return strings.Compare(x.Name, y.Name) })
		show := func(page []*config.Destination) ([]view.Destination, error) {
			return a.viewDestinations(c, with, page...)
		}
		if order == "name" {
			return route.PageOfSorted(mine, cursor, limit, name, show)
		}
		if err := a.sortDestinations(c, mine, order); err != nil {
			return p, err
		}
		return route.PageOfOrdered(mine, cursor, limit, name, show)
	})
}

// sortDestinations sorts destinations, which are sorted by name, by a figure of all of them, which takes one read.
func (a *API) sortDestinations(c *route.Call, all []*config.Destination, order string) error {
	by, down := strings.CutPrefix(order, "-")
	if by == "name" {
		slices.Reverse(all)
		return nil
	}
	// A figure is nil where there is none.
	figures := map[string]*float64{}
	number := func(n float64) *float64 { return &n }
	switch by {
	case "waiting", "oldest", "dead":
		standing, err := a.standing(c, all...)
		if err != nil {
			return err
		}
		for i, s := range standing {
			figure := number(float64(s.Waiting))
			switch {
			case by == "dead":
				figure = number(float64(s.Dead))
			case by == "oldest" && s.OldestWaiting.IsZero():
				figure = nil
			case by == "oldest": // the age, so that `-oldest` is the one that has waited longest
				figure = number(-float64(s.OldestWaiting.UnixMilli()))
			}
			figures[all[i].Name] = figure
		}
	default:
		sums, err := a.trends(c.Base, c.Tenant, state.CountQuery{Sum: true, Counters: by != "p95"}, all...)
		if err != nil {
			return err
		}
		for name, sum := range sums {
			figures[name] = trendFigure(by, &sum[0])
		}
	}
	slices.SortStableFunc(all, func(x, y *config.Destination) int {
		a, b := figures[x.Name], figures[y.Name]
		switch {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return 1
		case b == nil:
			return -1
		case down:
			return cmp.Compare(*b, *a)
		}
		return cmp.Compare(*a, *b)
	})
	return nil
}

// trendFigure returns the figure of a destination's attempts that a list is sorted by; nil where there is none.
func trendFigure(by string, sum *state.Count) *float64 {
	figure := float64(stats.Attempts(sum))
	switch by {
	case "failed":
		figure = float64(stats.Failed(sum))
	case "success":
		return stats.SuccessRate(sum)
	case "p95":
		p := stats.PercentilesOf(sum.Took)
		if p.Few {
			return nil
		}
		figure = float64(p.P95)
	}
	return &figure
}

// trends returns what was counted of destinations in 24 hours, by name and hour, as q wants it beyond that. It
// reads a part of them in each of a few calls side by side, since reading takes more time of this process than of the store.
func (a *API) trends(ctx context.Context, tenant string, q state.CountQuery, some ...*config.Destination) (map[string][]state.Count, error) {
	since := view.TrendFrom(a.Clock.Now())
	if own := a.Tenants.Since(tenant); own.After(since) { // what is before is of a former tenant of the name
		since = state.ByHour.Start(own).Add(time.Hour)
	}
	q.Kind, q.Step, q.Since = state.DestinationStats, state.ByHour, since
	parts := slices.Collect(slices.Chunk(some, trendsAtOnce))
	counts, reads := make([][]state.Count, len(parts)), make([]func() error, len(parts))
	for i, part := range parts {
		asked := q
		asked.Names = make([]string, len(part))
		for n, d := range part {
			asked.Names[n] = d.Name
		}
		reads[i] = func() (err error) {
			counts[i], err = a.Store.Counts(ctx, tenant, asked)
			return err
		}
	}
	for some := range slices.Chunk(reads, trendReads) {
		if err := route.Together(some...); err != nil {
			return nil, err
		}
	}
	by := make(map[string][]state.Count, len(some))
	for _, part := range counts {
		for len(part) > 0 { // they are sorted by name
			n := 1
			for n < len(part) && part[n].Name == part[0].Name {
				n++
			}
			by[part[0].Name], part = part[:n:n], part[n:]
		}
	}
	return by, nil
}

// trendsAtOnce is how many destinations one read has, trendReads how many reads run at the same time.
const (
	trendsAtOnce = 128
	trendReads   = 4
)

// viewDestinations returns the views of destinations of the call's tenant, with one read each of what they have.
func (a *API) viewDestinations(c *route.Call, with added, some ...*config.Destination) ([]view.Destination, error) {
	if len(some) == 0 {
		return nil, nil
	}
	standing, err := a.standing(c, some...)
	if err != nil {
		return nil, err
	}
	var trends map[string][]state.Count
	if with.trend {
		if trends, err = a.trends(c.Base, c.Tenant, state.CountQuery{}, some...); err != nil {
			return nil, err
		}
	}
	from := view.TrendFrom(a.Clock.Now())
	all := make([]view.Destination, len(some))
	for i, d := range some {
		all[i] = view.NewDestination(d, &standing[i])
		if with.standing {
			all[i].Standing = view.NewStanding(d, &standing[i], a.Plan().Config.Retention.Waiting.Age)
		}
		if with.trend {
			trend := view.NewTrend(trends[d.Name], from)
			all[i].Trend = &trend
		}
	}
	return all, nil
}
