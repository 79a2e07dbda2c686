package try

import (
	"context"
	"fmt"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/slack"
	_ "github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkTry tries a draft of 20 rules, all of which match half of the events, over the newest 500.
func BenchmarkTry(b *testing.B) {
	tryer, ask := newTryer(b, 500, 20)
	b.ReportAllocs()
	for b.Loop() {
		got, err := tryer.Try(context.Background(), ask)
		if err != nil || got.Asked != 500 || got.Difference.Added != 250*20 {
			b.Fatalf("%v, %+v", err, got)
		}
	}
}

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newTryer returns a Tryer over a store with so many events, and a draft of so many rules.
func newTryer(t testing.TB, events, drafted int) (*Tryer, Ask) {
	t.Helper()
	base, err := config.LoadText([]byte(`connections: {alarms: {slack: {webhook: "https://hooks.slack.com/services/T/B/X"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.NewManual(now)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	var all []*event.Event
	for i := range events {
		ev, err := event.ParseOne(fmt.Appendf(nil, `{"type": "response.completed", "id": "e%d", "nps_score": %d, "email": "jo%d@example.com", "response": {"answers": [{"question_id": "q1", "value": "slow"}]}}`, i, i%10, i),
			event.Defaults{Tenant: "default", Source: "api", Received: now.Add(time.Duration(i) * time.Millisecond), Verified: "token"})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ev)
	}
	if _, err := store.Append(context.Background(), all); err != nil {
		t.Fatal(err)
	}
	plan := decide.New(base)
	book := &settings.Book{BookOptions: settings.BookOptions{
		Writer: settings.Writer{Store: store, Clock: clock.System()},
		Masks:  settings.Masks{Key: func() []byte { return []byte("0123456789abcdef0123456789abcdef") }},
		Base:   func() *config.Config { return base }, Overlay: func(string) *config.TenantConfig { return nil },
	}}
	ask := Ask{Tenant: "default", Last: MaxEvents, Explain: true, Requests: true, Difference: true}
	for i := range drafted {
		ask.Draft = append(ask.Draft, settings.Change{
			Name: fmt.Sprint("rule/r", i),
			Spec: []byte(`{"when": "nps_score <= 4", "send": [{"alarms": {"text": "NPS {{ nps_score }} from {{ email }}: {{ answer('q1') }}"}}]}`),
		})
	}
	return &Tryer{Store: state.Reader(store), Book: book, Plan: func() *decide.Plan { return plan }, Now: func() time.Time { return now }, Clock: clock.System()}, ask
}
