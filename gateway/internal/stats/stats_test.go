package stats

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// store remembers what it is told, or refuses it.
type store struct {
	state.Store
	health  state.Health
	looks   int
	held    []state.DestinationOnHold
	fail    error
	written chan []state.Count
}

func (s *store) Health(context.Context) state.Health { s.looks++; return s.health }

func (s *store) Holds(context.Context, string) ([]state.DestinationOnHold, error) {
	return s.held, s.away()
}

func (s *store) Standing(_ context.Context, tenant string, names []string) ([]state.Standing, error) {
	all := make([]state.Standing, len(names))
	for i, name := range names {
		all[i] = state.Standing{Destination: name}
		if tenant == "acme" && name == "crm" {
			all[i].Waiting, all[i].OldestWaiting = 4, start.Add(-time.Minute)
		}
	}
	return all, s.away()
}

// away is the error of questions while the store is.
func (s *store) away() error { return s.health.Err }

func (s *store) AddCounts(_ context.Context, counts []state.Count) ([]state.Count, error) {
	if s.fail != nil {
		return counts, s.fail
	}
	s.written <- counts
	return nil, nil
}

func newStats(s *store) (*Stats, *clock.Manual) {
	c := clock.NewManual(start)
	return New(Options{
		Store: s, Clock: c, Version: "v1.2.3", Generation: func() string { return "abc" },
		Destinations: func() map[string][]string { return map[string][]string{"acme": {"crm"}, "default": {"hook", "alarms"}} },
	}), c
}

func TestScrape(t *testing.T) {
	t.Parallel()
	st := &store{
		health: state.Health{
			Pending: 3, Oldest: start.Add(-2 * time.Second), Waiting: 5, OldestWaiting: start.Add(-90 * time.Second),
			Counted: true, Dead: 1, Events: 9, Bytes: 4096, DedupeWindow: time.Hour,
		},
		held: []state.DestinationOnHold{
			{Tenant: "acme", Destination: "crm", Hold: state.Hold{Kind: state.HoldPaused}},
			{Hold: state.Hold{Kind: state.HoldCircuit, Until: start.Add(time.Minute)}},
			{Hold: state.Hold{Kind: state.HoldCircuit, Until: start.Add(-time.Minute)}}, // over
		},
	}
	s, _ := newStats(st)
	pollqr := s.Source("default", "pollqr")
	pollqr.Accepted.Add(2)
	pollqr.Duplicate.Add(1)
	pollqr.Rejected("signature")
	s.Source("acme", "pollqr").Accepted.Add(1)
	s.Accept(300 * time.Microsecond)
	s.Attempt("default", "crm", "hubspot", "delivered", 30*time.Millisecond, start)
	s.Batch("append", 3)
	text, err := s.Scrape()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`surveygate_events_total{outcome="accepted",source="pollqr"} 2`,
		`surveygate_events_total{outcome="duplicate",source="pollqr"} 1`,
		`surveygate_events_total{outcome="accepted",source="acme/pollqr"} 1`,
		`surveygate_rejected_total{reason="signature",source="pollqr"} 1`,
		`surveygate_deliveries_total{connector="hubspot",destination="crm",verdict="delivered"} 1`,
		`surveygate_delivery_seconds_bucket{le="0.025"} 0`,
		`surveygate_delivery_seconds_bucket{le="0.05"} 1`,
		`surveygate_accept_seconds_bucket{le="0.0005"} 1`,
		`surveygate_accept_seconds_count 1`,
		`surveygate_batch_size_bucket{stage="append",le="2"} 0`,
		`surveygate_batch_size_bucket{stage="append",le="4"} 1`,
		`surveygate_waiting{state="pending"} 3`,
		`surveygate_waiting{state="waiting"} 5`,
		`surveygate_waiting{state="dead"} 1`,
		`surveygate_oldest_waiting_seconds 90`,
		`surveygate_oldest_pending_seconds 2`,
		`surveygate_destinations_on_hold{kind="paused"} 1`,
		`surveygate_destinations_on_hold{kind="circuit"} 1`,
		`surveygate_destinations_on_hold{kind="revoked"} 0`,
		`surveygate_destination_waiting{destination="acme/crm"} 4`,
		`surveygate_destination_waiting{destination="hook"} 0`,
		`surveygate_destination_oldest_waiting_seconds{destination="acme/crm"} 60`,
		`surveygate_destination_held{destination="acme/crm",kind="paused"} 1`,
		`surveygate_store_up 1`,
		`surveygate_config_generation{generation="abc"} 1`,
		`surveygate_build_info{goversion="go`,
		`go_goroutines `,
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the scrape lacks %s", line)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
}

// However many names come along, a family stays bounded, and nothing is lost from its sum.
func TestBoundedSeries(t *testing.T) {
	t.Parallel()
	s, _ := newStats(&store{})
	for i := range 3 * maxSeries {
		s.Attempt("acme", "d"+strings.Repeat("x", i), "hubspot", "delivered", 0, start)
	}
	if n := len(*s.deliveries.series.Load()); n > maxSeries+1 {
		t.Errorf("%d series", n)
	}
	text, err := s.Scrape()
	if err != nil {
		t.Fatal(err)
	}
	if want := `surveygate_deliveries_total{connector="hubspot",destination="other",verdict="delivered"} 4000`; !strings.Contains(string(text), want) {
		t.Error("lacks", want)
	}
}

func TestHealthIsRemembered(t *testing.T) {
	t.Parallel()
	st := &store{}
	s, c := newStats(st)
	ctx := context.Background()
	s.Health(ctx)
	s.Health(ctx)
	if st.looks != 1 {
		t.Errorf("%d looks at the store within a second", st.looks)
	}
	c.Advance(time.Second)
	s.Health(ctx)
	if st.looks != 2 {
		t.Errorf("%d looks after a second", st.looks)
	}
}

// While the store is away its numbers stay as they were last: an alarm on a backlog must not end with the store.
func TestBacklogWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	st := &store{health: state.Health{Counted: true, Pending: 3, Waiting: 5, OldestWaiting: start.Add(-time.Minute), Events: 9}}
	s, c := newStats(st)
	st.held = []state.DestinationOnHold{{Tenant: "acme", Destination: "crm", Hold: state.Hold{Kind: state.HoldPaused}}}
	if _, err := s.Scrape(); err != nil {
		t.Fatal(err)
	}
	st.health = state.Health{Err: state.ErrUnavailable, Warnings: []string{"away"}}
	c.Advance(time.Minute)
	text, err := s.Scrape()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"surveygate_store_up 0", `surveygate_waiting{state="pending"} 3`, `surveygate_waiting{state="waiting"} 5`,
		"surveygate_oldest_waiting_seconds 120", "surveygate_stored_events 9",
		`surveygate_destination_waiting{destination="acme/crm"} 4`, `surveygate_destinations_on_hold{kind="paused"} 1`,
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("the scrape lacks %s\n%s", line, text)
		}
	}
	if h := s.Health(t.Context()); !errors.Is(h.Err, state.ErrUnavailable) || len(h.Warnings) != 1 {
		t.Errorf("%+v", h)
	}
	st.health = state.Health{Counted: true}
	c.Advance(time.Minute)
	if h := s.Health(t.Context()); h.Waiting != 0 || h.Err != nil {
		t.Errorf("%+v", h)
	}
}

// Before the store was ever asked there are no numbers, which is not the same as none waiting.
func TestBacklogNeverKnown(t *testing.T) {
	t.Parallel()
	s, _ := newStats(&store{health: state.Health{Err: state.ErrUnavailable}})
	text, err := s.Scrape()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "\nsurveygate_waiting{") || !strings.Contains(string(text), "surveygate_store_up 0") {
		t.Errorf("%s", text)
	}
}

func TestMinutes(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1)}
	s, c := newStats(st)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	<-c.Set()

	s.Attempt("default", "crm", "hubspot", "delivered", 0, start)
	s.Attempt("default", "crm", "hubspot", "retry", 3*time.Millisecond, start.Add(time.Second))
	s.Attempt("acme", "crm", "hubspot", "delivered", time.Hour, start)
	s.Attempt("default", "crm", "hubspot", "delivered", 0, start.Add(time.Minute))
	s.Attempt("default", "crm", "hubspot", "no verdict", 0, start)
	c.Advance(flushEvery)

	minute := start.Truncate(time.Minute)
	count := func(tenant string, at time.Time, delivered, retry int64, took ...time.Duration) state.Count {
		c := state.Count{Tenant: tenant, Kind: state.DestinationStats, Name: "crm", At: at}
		c.Counts[state.AttemptsDelivered], c.Counts[state.AttemptsRetry] = delivered, retry
		for _, d := range took {
			c.Took = c.Took.Merge(state.Latencies{{Bucket: state.Bucket(d), N: 1}})
		}
		return c
	}
	want := []state.Count{
		count("acme", minute, 1, 0, 1<<21*time.Millisecond),
		count("default", minute, 1, 1, 0, 2*time.Millisecond),
		count("default", minute.Add(time.Minute), 1, 0, 0),
	}
	if diff := cmp.Diff(want, <-st.written); diff != "" {
		t.Error(diff)
	}
	cancel()
	<-ended
}

// What the store does not take is written with the next, and nothing twice.
func TestMinutesWait(t *testing.T) {
	t.Parallel()
	st := &store{written: make(chan []state.Count, 1), fail: state.ErrUnavailable}
	s, _ := newStats(st)
	ctx := context.Background()
	s.Attempt("default", "crm", "hubspot", "delivered", 0, start)
	if err := s.Close(ctx); !errors.Is(err, state.ErrUnavailable) {
		t.Fatal(err)
	}
	s.Attempt("default", "crm", "hubspot", "delivered", 0, start)
	st.fail = nil
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if got := (<-st.written)[0].Counts[state.AttemptsDelivered]; got != 2 {
		t.Errorf("%d delivered", got)
	}
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if len(st.written) != 0 {
		t.Error("written again")
	}
}

func TestHotPathAllocations(t *testing.T) {
	s, _ := newStats(&store{})
	source := s.Source("default", "pollqr")
	n := testing.AllocsPerRun(100, func() {
		source.Accepted.Add(1)
		s.Accept(time.Millisecond)
		s.Batch("append", 7)
		s.Attempt("default", "crm", "hubspot", "delivered", time.Millisecond, start)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
