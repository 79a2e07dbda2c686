package stats

import (
	"context"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// PlanUse is how many events a tenant has had, against what its plan allows in a minute. Events of all ways count: platforms' requests and
// streams are accepted above a plan too. What was accepted within the last ten seconds, on any process, may be missing.
type PlanUse struct {
	// ThisMinute is how many were accepted since the minute began.
	ThisMinute int64
	// Over1h and Over24h are those that exceeded the plan of today, added up over the minutes of the last hour and of the last day.
	Over1h, Over24h int64
}

// PlanUseOf reads how a tenant stands; perMinute is its plan, less than 0: no limit. What was counted in minutes before own is of a former
// tenant of the name.
func PlanUseOf(ctx context.Context, store state.Store, tenant string, own time.Time, perMinute int, now time.Time) (u PlanUse, err error) {
	this := time.Unix(minuteOf(now), 0)
	since := this
	if perMinute >= 0 {
		since = now.Add(-24 * time.Hour)
	}
	if own.After(since) {
		since = time.Unix(minuteOf(own), 0).Add(time.Minute)
	}
	counts, err := store.Counts(ctx, tenant, state.CountQuery{Kind: state.SourceStats, Names: []string{""}, Step: state.ByMinute, Since: since})
	if err != nil {
		return u, fmt.Errorf("read how many events a tenant had: %w", err)
	}
	for i := range counts {
		n := counts[i].Counts[state.EventsAccepted]
		if counts[i].At.Equal(this) {
			u.ThisMinute = n
		}
		over := overPlan(n, perMinute)
		if counts[i].At.After(now.Add(-time.Hour)) {
			u.Over1h += over
		}
		u.Over24h += over
	}
	return u, nil
}

// overPlan returns how many of n events of a minute exceed a plan.
func overPlan(n int64, perMinute int) int64 {
	if perMinute < 0 {
		return 0
	}
	return max(n-int64(perMinute), 0)
}

// Bounds of the counter of events above plans. shareOf is the share of a plan that a process must have accepted by itself before it asks
// the store how many there were on all processes: with more processes than that, a part may be missing. maxAsked bounds the reads of a write.
const (
	shareOf  = 16
	maxAsked = 200
)

// tenantMinute is a minute of a tenant.
type tenantMinute struct {
	tenant string
	minute int64
}

// countOverPlan adds events above the plans of their tenants to the metric. written are counts that were written just now: of the total of
// a minute, which all processes have written to, this process adds its own part of what exceeds the plan.
func (s *Stats) countOverPlan(ctx context.Context, written []state.Count) {
	if s.options.EventsPerMinute == nil {
		return
	}
	asked, now := 0, s.options.Clock.Now().Unix()
	for at := range s.minutes {
		if at.minute < now-2*60 {
			delete(s.minutes, at)
		}
	}
	for i := range written {
		c := &written[i]
		n := c.Counts[state.EventsAccepted]
		if c.Kind != state.SourceStats || c.Name != "" || n == 0 {
			continue
		}
		limit := s.options.EventsPerMinute(c.Tenant)
		if limit < 0 {
			continue
		}
		at := tenantMinute{c.Tenant, c.At.Unix()}
		s.minutes[at] += n
		if s.minutes[at] <= int64(limit/shareOf) || asked == maxAsked {
			continue
		}
		asked++
		total, err := s.options.Store.Counts(ctx, c.Tenant, state.CountQuery{
			Kind: state.SourceStats, Names: []string{""}, Step: state.ByMinute, Since: c.At, Until: c.At.Add(time.Minute),
		})
		if err == nil && len(total) == 1 {
			s.overPlan.Add(min(n, overPlan(total[0].Counts[state.EventsAccepted], limit)))
		}
	}
}
