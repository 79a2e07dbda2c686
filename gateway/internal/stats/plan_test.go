package stats

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// Events above a plan are counted over all replicas together, on both engines: in the tenant's numbers, and each once in the metrics.
func TestEventsOverPlan(t *testing.T) {
	t.Parallel()
	for engine, open := range map[string]func(*testing.T, clock.Clock) (state.Store, error){
		"embedded": func(t *testing.T, c clock.Clock) (state.Store, error) {
			t.Helper()
			return embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: c})
		},
		"redis": func(t *testing.T, c clock.Clock) (state.Store, error) {
			t.Helper()
			return redis.Open(redis.Options{URL: redistest.Start(t).URL(), Prefix: "p", Clock: c})
		},
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := clock.NewManual(start.Truncate(time.Minute).Add(30 * time.Second))
			store, err := open(t, c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = store.Close() }()
			limits := map[string]int{"acme": 100, "free": -1, "none": 0}
			replica := func() *Stats {
				return New(Options{Store: store, Clock: c, EventsPerMinute: func(tenant string) int { return limits[tenant] }})
			}
			one, two := replica(), replica()
			take := func(s *Stats, tenant, source string, n int) {
				t.Helper()
				s.Source(tenant, source).Accepted(n, c.Now())
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			holds := func(tenant string, want PlanUse) {
				t.Helper()
				got, err := PlanUseOf(t.Context(), store, tenant, time.Time{}, limits[tenant], c.Now())
				if err != nil || got != want {
					t.Errorf("%s: %+v, %v; want %+v", tenant, got, err, want)
				}
			}
			take(one, "acme", "pollqr", 60)
			holds("acme", PlanUse{ThisMinute: 60})
			take(two, "acme", "stream", 60)
			take(one, "acme", "pollqr", 50)
			take(one, "free", "pollqr", 1000)
			take(two, "none", "pollqr", 2)
			holds("acme", PlanUse{ThisMinute: 170, Over1h: 70, Over24h: 70})
			holds("free", PlanUse{ThisMinute: 1000})
			holds("none", PlanUse{ThisMinute: 2, Over1h: 2, Over24h: 2})
			if a, b := one.overPlan.Load(), two.overPlan.Load(); a != 50 || b != 22 {
				t.Errorf("the replicas counted %d and %d", a, b)
			}
			text, err := one.Scrape(false)
			if err != nil || !strings.Contains(string(text), "\nsurveygate_events_over_plan_total 50\n") {
				t.Errorf("%v %s", err, text)
			}
			c.Advance(2 * time.Hour)
			take(two, "acme", "pollqr", 101)
			holds("acme", PlanUse{ThisMinute: 101, Over1h: 1, Over24h: 71})
			if len(two.minutes) != 1 {
				t.Errorf("minutes that are over are kept: %v", two.minutes)
			}
		})
	}
}
