package notice

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Of sources: what makes them silent or rejecting. See Definitions.
const (
	silentFor    = time.Hour
	silentGaps   = 6
	silentEvents = 10 // with fewer in silentWithin, nothing is usual
	silentWithin = 14 * 24 * time.Hour

	rejectingFor      = 10 * time.Minute
	rejectingRequests = 5
	rejectingWithin   = 24 * time.Hour

	// sourcesEach bounds the sources of one look, so that the store is not asked for all at once; looks take turns.
	sourcesEach = 20
)

// turn remembers which source was looked at last.
type turn struct{ last target }

// next returns at most n sources after the last, going round.
func (t *turn) next(all []target, n int) []target {
	if len(all) == 0 {
		return nil
	}
	at, found := slices.BinarySearchFunc(all, t.last, compareTargets)
	if found {
		at++
	}
	n = min(n, len(all))
	some := make([]target, 0, n)
	for i := range n {
		some = append(some, all[(at+i)%len(all)])
	}
	t.last = some[n-1]
	return some
}

func compareTargets(a, b target) int {
	if a.tenant != b.tenant {
		return strings.Compare(a.tenant, b.tenant)
	}
	return strings.Compare(a.name, b.name)
}

// sourcesOf returns the sources of the tenants that hear of them, sorted.
func sourcesOf(plan *decide.Plan, tenants map[string]heard) []target {
	var all []target
	for _, tenant := range slices.Sorted(maps.Keys(tenants)) {
		if !tenants[tenant].sources() {
			continue
		}
		for _, s := range plan.Sources(tenant) {
			if s.Enabled {
				all = append(all, target{tenant, s.Name})
			}
		}
	}
	slices.SortFunc(all, compareTargets)
	return all
}

// lookAtSources tells of sources whose condition has changed. It looks at some of them, the others have their turn later.
func (n *Notifier) lookAtSources(ctx context.Context, tenants map[string]heard, kept map[string]*record) error {
	now := n.Clock.Now()
	changed := map[string][]transition{}
	for _, s := range n.sources.next(sourcesOf(n.Plan(), tenants), sourcesEach) {
		t, err := n.sourceNow(ctx, s, now)
		if err != nil {
			return err
		}
		last := told{}
		if r := kept[s.tenant]; r != nil {
			last = r.Sources[s.name]
		}
		if t.is != last.Is && now.Sub(last.At) >= settle {
			t.was = last.Is
			changed[s.tenant] = append(changed[s.tenant], t)
		}
	}
	for tenant, all := range changed {
		if err := n.tellAll(ctx, tenant, recordOf(kept, tenant), true, all, tenants[tenant]); err != nil {
			return err
		}
	}
	return nil
}

// sourceNow returns the condition of a source, from its statistics.
func (n *Notifier) sourceNow(ctx context.Context, s target, now time.Time) (transition, error) {
	ask := state.CountQuery{Kind: state.SourceStats, Names: []string{s.name}, Step: state.ByMinute, Since: now.Add(-rejectingWithin)}
	minutes, err := n.Store.Counts(ctx, s.tenant, ask)
	if err != nil {
		return transition{}, fmt.Errorf("read statistics of a source: %w", err)
	}
	ask.Step, ask.Since = state.ByHour, now.Add(-silentWithin)
	hours, err := n.Store.Counts(ctx, s.tenant, ask)
	if err != nil {
		return transition{}, fmt.Errorf("read statistics of a source: %w", err)
	}
	t := transition{name: s.name, since: now}
	if requests, since, why := refusedOnly(minutes); requests >= rejectingRequests && now.Sub(since) >= rejectingFor {
		t.is, t.since, t.count, t.reason = Rejecting, since, requests, why
		return t, nil
	}
	newest, usual, longest := rhythm(minutes, hours)
	if gap := now.Sub(newest); !newest.IsZero() && gap > silentFor && gap > silentGaps*usual && gap > longest {
		t.is, t.since = Silent, newest
		t.silent = "an event comes every " + roughly(usual) + " usually"
		t.reason = t.silent
	}
	return t, nil
}

// came returns how many events a source had that it accepted or knew: all of them prove that the platform still sends.
func came(c *state.Count) int64 {
	return c.Counts[state.EventsAccepted] + c.Counts[state.EventsDuplicate]
}

// refusedOnly returns how many requests were refused since the last event that came, since when, and why the most were.
func refusedOnly(minutes []state.Count) (requests int, since time.Time, why string) {
	minutes = slices.SortedFunc(slices.Values(minutes), func(a, b state.Count) int { return b.At.Compare(a.At) })
	var reasons [len(state.RefusalReasons)]int64
	for i := range minutes {
		c := &minutes[i]
		if came(c) > 0 {
			break
		}
		for reason := range reasons {
			if refused := c.Counts[state.RequestsRefused+reason]; refused > 0 {
				reasons[reason] += refused
				requests += int(refused)
				since = c.At
			}
		}
	}
	if requests == 0 {
		return 0, since, ""
	}
	most := 0
	for i, count := range reasons {
		if count > reasons[most] {
			most = i
		}
	}
	return requests, since, state.RefusalReasons[most]
}

// rhythm returns when the newest event came, to the minute, the median gap between events, and the second longest gap: nights and
// weekends recur, and one outage is no habit. Without silentEvents, newest is zero.
func rhythm(minutes, hours []state.Count) (newest time.Time, median, longest time.Duration) {
	hours = slices.SortedFunc(slices.Values(hours), func(a, b state.Count) int { return a.At.Compare(b.At) })
	type gaps struct {
		each time.Duration
		n    int64
	}
	var all []gaps
	var events int64
	var last time.Time // hour with events
	for i := range hours {
		came := came(&hours[i])
		if came == 0 {
			continue
		}
		at := hours[i].At
		events += came
		if !last.IsZero() {
			all = append(all, gaps{at.Sub(last), 1})
		}
		if came > 1 {
			all = append(all, gaps{time.Hour / time.Duration(came), came - 1})
		}
		last = at
	}
	if events < silentEvents {
		return time.Time{}, 0, 0
	}
	newest = last.Add(time.Hour) // the hour is over, or it is not: a minute says more
	for i := range minutes {
		if c := &minutes[i]; came(c) > 0 && !c.At.Before(last) {
			newest = c.At
			last = c.At
		}
	}
	slices.SortFunc(all, func(a, b gaps) int { return int(a.each - b.each) })
	var total, seen int64
	for _, g := range all {
		total += g.n
	}
	for _, g := range all {
		if seen += g.n; 2*seen >= total {
			median = g.each
			break
		}
	}
	for i, skipped := len(all)-1, int64(0); i >= 0; i-- {
		if skipped += all[i].n; skipped >= 2 {
			longest = all[i].each
			break
		}
	}
	return newest, median, longest
}

// roughly writes a duration for people.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return plural(max(int(d/time.Second), 1), "second")
	case d < 2*time.Hour:
		return plural(int(d/time.Minute), "minute")
	}
	return plural(int(d/time.Hour), "hour")
}
