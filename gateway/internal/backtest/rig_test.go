package backtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/discord"
	_ "github.com/surveygate/surveygate/connectors/slack"
	_ "github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// rig is a store with events, and a configuration.
type rig struct {
	testing.TB
	store state.Store
	*Backtester
	added []*event.Event // that are not stored yet
}

// newRig returns a rig with a configuration file.
func newRig(t testing.TB, text string) *rig {
	t.Helper()
	base, err := config.LoadText([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.NewManual(noon)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys, err := vault.ParseKeys(vault.NewKey(), "the test")
	if err != nil {
		t.Fatal(err)
	}
	plan := decide.New(base)
	book := &settings.Book{BookOptions: settings.BookOptions{
		Writer: settings.Writer{Store: store, Clock: clock.System(), Vault: vault.New(vault.Options{Keys: keys, Store: store})},
		Masks:  settings.Masks{Key: func() []byte { return []byte("0123456789abcdef0123456789abcdef") }},
		Base:   func() *config.Config { return base }, Overlay: func(string) *config.TenantConfig { return nil },
	}}
	return &rig{TB: t, store: store, Backtester: &Backtester{
		Store: store, Book: book, Plan: func() *decide.Plan { return plan }, Now: func() time.Time { return noon }, Clock: clock.System(),
		Quiet: func() bool { return true },
	}}
}

// add adds an event that was received some time before noon. Those that were added are stored in the order of their receipt, before
// something is asked.
func (r *rig) add(before time.Duration, body string, args ...any) {
	r.Helper()
	r.added = append(r.added, r.event("default", before, fmt.Sprintf(body, args...)))
}

func (r *rig) event(tenant string, before time.Duration, body string) *event.Event {
	r.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: tenant, Source: "api", Received: noon.Add(-before), Verified: "token"})
	if err != nil {
		r.Fatal(err)
	}
	return ev
}

func (r *rig) append(all ...*event.Event) {
	r.Helper()
	slices.SortStableFunc(all, func(a, b *event.Event) int { return a.Received.Compare(b.Received) })
	if _, err := r.store.Append(context.Background(), all); err != nil {
		r.Fatal(err)
	}
}

// span completes what is asked.
func span(ask Ask) Ask {
	ask.Tenant, ask.Until = "default", noon
	if ask.Since.IsZero() {
		ask.Since = noon.Add(-DefaultSince)
	}
	return ask
}

// does asks, and returns the result.
func (r *rig) does(ask Ask) *view.Backtested {
	r.Helper()
	r.append(r.added...)
	r.added = nil
	run, err := r.Prepare(context.Background(), span(ask))
	if err != nil {
		r.Fatal(err)
	}
	got, err := run.Do(context.Background(), nil)
	if err != nil {
		r.Fatal(err)
	}
	return got
}
