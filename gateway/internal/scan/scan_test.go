package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/slack"
	_ "github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// stored returns a store with so many events of the tenant acme, a second apart, and as many of another tenant between them.
func stored(tb testing.TB, n int) state.Store {
	tb.Helper()
	store, err := embedded.Open(embedded.Options{Dir: tb.TempDir(), Clock: clock.NewManual(begin)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	var some []*event.Event
	put := func() {
		if _, err := store.Append(context.Background(), some); err != nil {
			tb.Fatal(err)
		}
		some = some[:0]
	}
	for i := range n {
		for _, tenant := range []string{"acme", "other"} {
			ev, err := event.ParseOne(fmt.Appendf(nil, `{"type": "response.completed", "id": "e%d", "survey": {"id": "s%d", "title": "Checkout"},
				"response": {"id": "r%d", "answers": [{"question_id": "q1", "question": "How likely are you to recommend us?", "value": %d},
				{"question_id": "q2", "question": "What can we do better?", "value": "The delivery took too long, but the people were friendly."}]},
				"nps_score": %d, "email": "jo%d@example.com", "respondent": {"name": "Jo Doe"}}`, i, i%3, i, i%11, i%11, i),
				event.Defaults{Tenant: tenant, Source: "api", Received: begin.Add(time.Duration(i) * time.Second), Verified: "token"})
			if err != nil {
				tb.Fatal(err)
			}
			some = append(some, ev)
		}
		if len(some) >= 500 {
			put()
		}
	}
	put()
	return store
}

// TestEach: the selected events of one tenant, newest first, up to the bounds, which are told.
func TestEach(t *testing.T) {
	t.Parallel()
	store := stored(t, 2500)
	s := &Scanner{Store: store, Clock: clock.System()}
	for _, test := range []struct {
		what        string
		q           Query
		first, last int // numbers of events
		stopped     string
	}{
		{what: "all", q: Query{Most: 10_000}, first: 2499, last: 0},
		{what: "a number", q: Query{Most: 1200}, first: 2499, last: 1300, stopped: StoppedByEvents},
		{what: "exactly as many as there are", q: Query{Most: 2500}, first: 2499, last: 0},
		{what: "a span", q: Query{Most: 10_000, Since: begin.Add(5 * time.Second), Until: begin.Add(8 * time.Second)}, first: 7, last: 5},
	} {
		test.q.Tenant = "acme"
		var got []int
		progress, err := s.Each(t.Context(), test.q, nil, func(ev *event.Event) error {
			if ev.Tenant != "acme" {
				t.Errorf("%s: an event of %s", test.what, ev.Tenant)
			}
			got = append(got, int(ev.Received.Sub(begin)/time.Second))
			return nil
		})
		var want []int
		for i := test.first; i >= test.last; i-- {
			want = append(want, i)
		}
		at := begin.Add(time.Duration(test.last) * time.Second)
		if err != nil || !slices.Equal(got, want) || progress != (Progress{Asked: len(want), Back: at, Stopped: test.stopped}) {
			t.Errorf("%s: %d events from %v, %+v, %v; want %d", test.what, len(got), got[:min(3, len(got))], progress, err, len(want))
		}
	}
	survey := 0
	progress, err := s.Each(t.Context(), Query{Tenant: "acme", Survey: "s1", Type: "response.completed", Source: "api", Most: 5000}, nil, func(ev *event.Event) error {
		if survey++; ev.SurveyID != "s1" {
			t.Errorf("an event of survey %s", ev.SurveyID)
		}
		return nil
	})
	if err != nil || survey != 833 || progress.Asked != 833 {
		t.Errorf("%d events of a survey, %+v, %v", survey, progress, err)
	}
}

// ticking is a clock on which every look takes a while.
type ticking struct {
	*clock.Manual
	step, passed time.Duration
}

func (c *ticking) Elapsed() time.Duration {
	c.passed += c.step
	return c.passed
}

// TestEnds: a scan ends when its time is over, with its context, and with an error of its caller, and says how far it came.
func TestEnds(t *testing.T) {
	t.Parallel()
	store := stored(t, 100)
	nothing := func(*event.Event) error { return nil }
	slow := func() *Scanner {
		return &Scanner{Store: store, Clock: &ticking{Manual: clock.NewManual(begin), step: 50 * time.Millisecond}}
	}
	all := Query{Tenant: "acme", Most: 1000}
	timed := all
	timed.For = 2 * time.Second
	reports := 0
	progress, err := slow().Each(t.Context(), timed, func(p Progress) error { reports++; return nil }, nothing)
	if err != nil || progress.Stopped != StoppedByTime || progress.Asked == 0 || progress.Asked == 100 || progress.Back.IsZero() || reports == 0 {
		t.Errorf("its time is over: %+v, %v, %d reports", progress, err, reports)
	}
	stop := errors.New("enough")
	if progress, err = slow().Each(t.Context(), all, func(Progress) error { return stop }, nothing); !errors.Is(err, stop) || progress.Asked == 0 {
		t.Errorf("an error of report: %+v, %v", progress, err)
	}
	if progress, err = slow().Each(t.Context(), all, nil, func(*event.Event) error { return stop }); !errors.Is(err, stop) || progress.Asked != 0 {
		t.Errorf("an error of each: %+v, %v", progress, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if progress, err = slow().Each(ctx, all, nil, func(*event.Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) || progress.Asked != 1 {
		t.Errorf("its context has ended: %+v, %v", progress, err)
	}
}

// BenchmarkEach asks ten rules about each stored event, of which one matches: events/s is the rate of one core.
func BenchmarkEach(b *testing.B) {
	text := "connections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T/B/X\"}}}\nrules:\n"
	for i := range 10 {
		text += fmt.Sprintf("  - {name: r%d, when: 'survey.id == \"s%d\" and nps_score <= 6 and has(email)', send: [alarms]}\n", i, i+2)
	}
	c, err := config.LoadText([]byte(text))
	if err != nil {
		b.Fatal(err)
	}
	plan := decide.New(c)
	plan = plan.Asking("acme", plan.Rules("acme")...)
	n := 50_000
	if testing.Short() {
		n = 5000
	}
	s := &Scanner{Store: stored(b, n), Clock: clock.System(), Quiet: func() bool { return true }}
	b.ReportAllocs()
	b.ResetTimer()
	asked := 0
	for b.Loop() {
		progress, err := s.Each(context.Background(), Query{Tenant: "acme", Most: n}, nil, func(ev *event.Event) error {
			plan.Decide(ev, ev.Received)
			return nil
		})
		if err != nil || progress.Asked != n {
			b.Fatalf("%+v, %v", progress, err)
		}
		asked += n
	}
	b.ReportMetric(float64(asked)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(0, "ns/op")
}
