package observe

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

// Bounds of an overview: what it shows, and what it reads for that.
const (
	maxAttention    = 50
	maxDestinations = 8
	// candidates are the destinations that those are chosen from: the ones with most failed attempts of today and yesterday. To read the
	// hours of all takes ten times as long.
	candidates = 50
	maxSurveys = 8
	// maxNewest is how many events are looked at to find one that was received: others are the gateway's own notices.
	maxNewest = 10
	// newestDead is how many dead letters are looked at to tell why there are some.
	newestDead = 200
	// maxSources is how many sources are looked at for refused requests and silence.
	maxSources = 500
	// receivedWithin is for how long a tenant must have received nothing to be called empty.
	receivedWithin = 30 * 24 * time.Hour
)

// overview answers with how a tenant stands. It asks the store for a few things, side by side, and searches through nothing.
func (o *Observer) overview(c *route.Call) error {
	now := o.Clock.Now()
	v := &view.Overview{
		Tenant: c.Tenant, At: view.Time{Time: now}, HoursFrom: view.Time{Time: view.TrendFrom(now)},
		Destinations: []view.OverviewDestination{}, Surveys: []view.Survey{},
	}
	var found []view.Attention
	var err error
	if c.Tenant == access.AnyTenant {
		found, err = o.wholeOverview(c.Base, v)
	} else {
		found, err = o.tenantOverview(c.Base, v, now)
	}
	if err != nil {
		return err
	}
	slices.SortStableFunc(found, moreUrgent)
	v.AttentionTotal = len(found)
	v.Attention = append([]view.Attention{}, found[:min(len(found), maxAttention)]...)
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

// wholeOverview fills in what concerns the gateway as a whole, and returns what needs attention.
func (o *Observer) wholeOverview(ctx context.Context, v *view.Overview) (found []view.Attention, err error) {
	h := o.Stats.Health(ctx)
	v.Tiles.Waiting = view.TileWaiting{Count: h.Waiting, Oldest: view.Time{Time: h.OldestWaiting}, OldestS: o.age(h.OldestWaiting)}
	v.Tiles.Dead = h.Dead
	holds, err := o.Store.Holds(ctx, access.AnyTenant)
	if err != nil {
		return nil, err
	}
	plan := o.Plan()
	for i := range holds {
		standing := state.Standing{Destination: holds[i].Destination, Waiting: holds[i].Waiting, Hold: holds[i].Hold}
		if a, is := holdOf(plan, holds[i].Tenant, &standing); is {
			a.Tenant = holds[i].Tenant
			found = append(found, a)
		}
	}
	for tenant := range plan.Tenants() {
		for _, a := range documentsOf(plan, tenant) {
			a.Tenant = tenant
			found = append(found, a)
		}
	}
	return append(found, warningsOf(o.Warnings())...), nil
}

// figures are what an overview reads of one tenant.
type figures struct {
	plan *decide.Plan
	// from is the start of the first hour; sourcesFrom and surveysFrom are those of what is read of sources and surveys.
	now, from, sourcesFrom, surveysFrom time.Time

	// deliveries and events are the totals by hour, lastDeliveries and lastEvents those of the last 60 minutes by minute, received
	// the events by day.
	deliveries, events, lastDeliveries, lastEvents, received []state.Count
	// destinations are the candidates, by name and hour; so are sources and rules. surveys are by name and day.
	destinations, sources, rules, surveys []state.Count

	standing []state.Standing
	dead     *state.Page[state.Delivery]
}

// tenantOverview fills in what concerns one tenant, and returns what needs attention.
func (o *Observer) tenantOverview(ctx context.Context, v *view.Overview, now time.Time) ([]view.Attention, error) {
	f, err := o.figures(ctx, v.Tenant, now)
	if err != nil {
		return nil, err
	}
	t := &v.Tiles
	t.Events = view.NewTileCount(f.events, f.lastEvents, f.from, state.EventsAccepted)
	t.Deliveries = view.NewTileCount(f.deliveries, f.lastDeliveries, f.from, state.EndedDelivered)
	t.SuccessRate, t.P95 = view.NewTileRate(f.deliveries, f.from), view.NewTileP95(f.deliveries, f.from)
	var oldest time.Time
	t.Waiting.Count, oldest, t.Dead = sumOf(f.standing)
	t.Waiting.Oldest, t.Waiting.OldestS = view.Time{Time: oldest}, o.age(oldest)
	received := view.Sum(f.received)
	if received.Counts[state.EventsAccepted] == 0 && t.Waiting.Count == 0 && t.Dead == 0 {
		if v.Empty, err = o.isEmpty(ctx, v.Tenant); err != nil {
			return nil, err
		}
	}
	plan := f.plan
	for _, counts := range byName(f.destinations) {
		d := plan.Destination(v.Tenant, counts[0].Name)
		standing := state.Standing{Destination: d.Name}
		if i := slices.IndexFunc(f.standing, func(s state.Standing) bool { return s.Destination == d.Name }); i >= 0 {
			standing = f.standing[i]
		}
		v.Destinations = append(v.Destinations, view.OverviewDestination{
			Name: d.Name, Product: d.Product, State: view.NewDestination(d, &standing).State, Trend: view.NewTrend(counts, f.from),
		})
	}
	slices.SortStableFunc(v.Destinations, func(a, b view.OverviewDestination) int {
		return cmp.Or(cmp.Compare(b.Failed, a.Failed), cmp.Compare(b.Attempts, a.Attempts), cmp.Compare(a.Name, b.Name))
	})
	v.Destinations = v.Destinations[:min(len(v.Destinations), maxDestinations)]
	v.Surveys = viewSurveys(f.surveys, f.surveysFrom)
	v.Surveys = v.Surveys[:min(len(v.Surveys), maxSurveys)]
	if err := o.addTitles(ctx, v.Tenant, v.Surveys); err != nil {
		return nil, err
	}
	return slices.Concat(
		holdsOf(plan, v.Tenant, f.standing), deadOf(plan, f.dead.Items, f.standing), sourcesOf(plan, v.Tenant, f), rulesOf(plan, v.Tenant, f.rules),
		documentsOf(plan, v.Tenant), warningsOf(tooManyAsked(plan.Overlay(v.Tenant))),
	), nil
}

// isEmpty reports whether a tenant without statistics has no event either: events are counted in memory first, and written a little later.
func (o *Observer) isEmpty(ctx context.Context, tenant string) (bool, error) {
	newest, err := o.Store.Events(ctx, tenant, state.EventQuery{Since: o.Since(tenant), Limit: maxNewest})
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(newest.Items, func(r *state.Record) bool { return !strings.HasPrefix(string(r.Event.Type), event.GatewayPrefix) }), nil
}

// figures reads what an overview of a tenant is made of.
func (o *Observer) figures(ctx context.Context, tenant string, now time.Time) (*figures, error) {
	f := &figures{
		plan: o.Plan(), now: now, from: view.TrendFrom(now), sourcesFrom: state.ByHour.Start(now.Add(-stats.UsualWithin)), surveysFrom: view.SurveysFrom(now),
	}
	var sources []string
	for _, s := range f.plan.Sources(tenant) {
		sources = append(sources, s.Name)
	}
	slices.Sort(sources)
	sources = sources[:min(len(sources), maxSources)]
	total := []string{""}
	count := func(into *[]state.Count, kind state.StatKind, names []string, step state.StatStep, since time.Time) func() error {
		return func() (err error) {
			*into, err = o.counts(ctx, tenant, state.CountQuery{Kind: kind, Names: names, Step: step, Since: since})
			return err
		}
	}
	return f, route.Together(
		count(&f.deliveries, state.DestinationStats, total, state.ByHour, f.from),
		count(&f.events, state.SourceStats, total, state.ByHour, f.from),
		count(&f.lastDeliveries, state.DestinationStats, total, state.ByMinute, now.Add(-time.Hour)),
		count(&f.lastEvents, state.SourceStats, total, state.ByMinute, now.Add(-time.Hour)),
		count(&f.received, state.SourceStats, total, state.ByDay, now.Add(-receivedWithin)),
		func() error { return o.addCandidates(ctx, tenant, f) },
		func() (err error) {
			if len(sources) > 0 {
				f.sources, err = o.counts(ctx, tenant, state.CountQuery{
					Kind: state.SourceStats, Names: sources, Step: state.ByHour, Since: f.sourcesFrom, Counters: true,
				})
			}
			return err
		},
		func() (err error) { // most tenants have no rule that errs, and many rules
			q := state.CountQuery{Kind: state.RuleStats, Names: total, Step: state.ByHour, Since: f.from, Counters: true, Sum: true}
			erred, err := o.counts(ctx, tenant, q)
			if err != nil || len(erred) == 0 || erred[0].Counts[state.RuleErred] == 0 {
				return err
			}
			q.Names, q.Sum = nil, false
			f.rules, err = o.counts(ctx, tenant, q)
			return err
		},
		func() (err error) {
			f.surveys, err = o.surveyCounts(ctx, tenant, f.surveysFrom)
			return err
		},
		func() (err error) {
			f.standing, err = o.Store.Standing(ctx, tenant, nil)
			return err
		},
		func() (err error) {
			f.dead, err = o.Store.Deliveries(ctx, tenant, state.DeliveryQuery{State: state.Dead, Limit: newestDead})
			return err
		},
	)
}

// addCandidates reads the hours of the destinations that are shown, if any is: of the configured ones, those with most failed attempts of
// today and yesterday.
func (o *Observer) addCandidates(ctx context.Context, tenant string, f *figures) error {
	days, err := o.counts(ctx, tenant, state.CountQuery{
		Kind: state.DestinationStats, Step: state.ByDay, Since: state.ByDay.Start(f.from), Counters: true, Sum: true,
	})
	if err != nil {
		return err
	}
	type candidate struct {
		name             string
		failed, attempts int64
	}
	var all []candidate
	plan := f.plan
	for i := range days {
		if c := &days[i]; plan.Destination(tenant, c.Name) != nil { // no page shows one that is not configured
			all = append(all, candidate{c.Name, stats.Failed(c), stats.Attempts(c)})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.failed, a.failed), cmp.Compare(b.attempts, a.attempts), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range all[:min(len(all), candidates)] {
		names = append(names, c.name)
	}
	if len(names) == 0 {
		return nil
	}
	f.destinations, err = o.counts(ctx, tenant, state.CountQuery{Kind: state.DestinationStats, Names: names, Step: state.ByHour, Since: f.from})
	return err
}

// counts reads what was counted of a tenant, without what is of a former tenant of its name.
func (o *Observer) counts(ctx context.Context, tenant string, q state.CountQuery) ([]state.Count, error) {
	if own := o.Since(tenant); own.After(q.Since) {
		q.Since = q.Step.Start(own).Add(q.Step.Length())
	}
	return o.Store.Counts(ctx, tenant, q)
}

// byName cuts counts, which are sorted by name, into those of each name.
func byName(counts []state.Count) (all [][]state.Count) {
	for len(counts) > 0 {
		n := slices.IndexFunc(counts, func(c state.Count) bool { return c.Name != counts[0].Name })
		if n < 0 {
			n = len(counts)
		}
		all, counts = append(all, counts[:n]), counts[n:]
	}
	return all
}
