package stats

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
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
	left    func([]state.Count) []state.Count // what AddCounts does not add
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
	var left []state.Count
	if s.left != nil {
		left = s.left(counts)
	}
	s.written <- counts
	if len(left) > 0 {
		return left, state.ErrUnavailable
	}
	return nil, nil
}

// to is a delivery to a destination.
func to(tenant, destination string) *state.Delivery {
	return &state.Delivery{Tenant: tenant, Destination: destination, Connector: "hubspot", Origin: state.Origin{Kind: state.Rule, Name: "r"}}
}

func newStats(s *store) (*Stats, *clock.Manual) {
	c := clock.NewManual(start)
	public := config.NewPublic(&config.Config{
		Sources:      []*config.Source{{Item: config.Item{Tenant: "default", Name: "pollqr"}}, {Item: config.Item{Tenant: "acme", Name: "pollqr"}}},
		Destinations: []*config.Destination{{Item: config.Item{Tenant: "default", Name: "crm"}}, {Item: config.Item{Tenant: "default", Name: "hook"}}},
	})
	return New(Options{
		Store: s, Public: func() *config.Public { return public }, Clock: c, Version: "v1.2.3", Generation: func() string { return "abc" },
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
	pollqr.Accepted(2, start)
	pollqr.Duplicate(1, start)
	pollqr.Refused(state.RefusedSignature, start)
	s.Source("acme", "pollqr").Accepted(1, start)
	s.Accept(300 * time.Microsecond)
	s.Attempt(to("default", "crm"), connectors.Delivered, state.Answered, 30*time.Millisecond, start)
	s.Batch("append", 3)
	text, err := s.Scrape(true)
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
		s.Attempt(to("acme", "d"+strings.Repeat("x", i)), connectors.Delivered, state.Answered, 0, start)
	}
	if n := s.deliveries.len(); n > maxSeries+1 {
		t.Errorf("%d series", n)
	}
	s.Attempt(to("default", "crm"), connectors.Delivered, state.Answered, 0, start)
	for whole, wants := range map[bool][]string{
		true:  {`{connector="hubspot",destination="other",verdict="delivered"} 4000`, `{connector="hubspot",destination="crm",verdict="delivered"} 1`},
		false: {`{connector="hubspot",destination="other",verdict="delivered"} 6000`, `{connector="hubspot",destination="crm",verdict="delivered"} 1`},
	} {
		text, err := s.Scrape(whole)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), "surveygate_deliveries_total"+want+"\n") {
				t.Errorf("whole %v lacks %s", whole, want)
			}
		}
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
	if _, err := s.Scrape(true); err != nil {
		t.Fatal(err)
	}
	st.health = state.Health{Err: state.ErrUnavailable, Warnings: []string{"away"}}
	c.Advance(time.Minute)
	text, err := s.Scrape(true)
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
	text, err := s.Scrape(true)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "\nsurveygate_waiting{") || !strings.Contains(string(text), "surveygate_store_up 0") {
		t.Errorf("%s", text)
	}
}

// The gateway is quiet when nothing was handled for a second.
func TestQuiet(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(start)
	s := New(Options{Store: &store{}, Clock: c})
	look := func(when string, want bool) {
		t.Helper()
		if got := s.Quiet(); got != want {
			t.Errorf("%s: quiet is %t", when, got)
		}
	}
	look("at the start", true)
	s.Batch("claim", 1)
	look("with a batch", false)
	c.Advance(999 * time.Millisecond)
	look("just before a second is over", false)
	c.Advance(time.Millisecond)
	look("after a second", true)
}
