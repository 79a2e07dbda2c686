package notice

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const hears = `
sources:
  pollqr: {profile: pollqr, secrets: [pollqr-secret-0123456789], tenant: acme}
connections:
  crm: {slack: {webhook: "https://hooks.slack.com/services/T1/B1/abcdefghijkl"}, tenant: acme}
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T2/B2/abcdefghijkl"}, tenant: acme}
  other: {slack: {webhook: "https://hooks.slack.com/services/T3/B3/abcdefghijkl"}, tenant: blue}
  every: {slack: {webhook: "https://hooks.slack.com/services/T4/B4/abcdefghijkl"}, tenant: blue}
rules:
  - {name: watch, events: ["gateway.*"], send: [alarms], tenant: acme}
  - {name: deaf, events: ["*"], send: [other], tenant: blue}
`

func plan(t testing.TB, text string) *decide.Plan {
	t.Helper()
	path := filepath.Join(t.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{Path: path, Env: func(string) (string, bool) { return "", false }, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return decide.New(c)
}

// rig is a store with the replicas that make notices in it.
type rig struct {
	t     *testing.T
	store state.Store
	clock *clock.Manual
	plan  *decide.Plan
	all   []*Notifier
}

// onBoth runs a test on both engines, with two replicas.
func onBoth(t *testing.T, text string, test func(*rig)) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, clock: clock.NewManual(noon), plan: plan(t, text)}
			var err error
			if engine == "embedded" {
				r.store, err = embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: r.clock})
			} else {
				r.store, err = redis.Open(redis.Options{URL: redistest.Start(t).URL(), Clock: r.clock})
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.store.Close() })
			for range 2 {
				r.all = append(r.all, New(Options{
					Store: r.store, Plan: func() *decide.Plan { return r.plan }, Clock: r.clock, Log: slog.New(slog.DiscardHandler),
				}))
			}
			test(r)
		})
	}
}

// round lets every replica look once.
func (r *rig) round() {
	r.t.Helper()
	for _, n := range r.all {
		if err := n.Round(context.Background()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// notices returns the notices of a tenant that are kept, oldest first, as TYPE NAME COUNT.
func (r *rig) notices(tenant string) (short []string, all []*event.Event) {
	r.t.Helper()
	page, err := r.store.Events(context.Background(), tenant, state.EventQuery{Limit: 200})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Reverse(page.Items)
	for _, item := range page.Items {
		ev := item.Event
		if !strings.HasPrefix(ev.Type, event.GatewayPrefix) {
			continue
		}
		d := ev.Data()
		text := strings.TrimPrefix(ev.Type, event.GatewayPrefix) + " " + d.Notice.Destination + d.Notice.Source + d.Notice.Setting
		if d.Notice.Count != nil {
			text += fmt.Sprint(" ", *d.Notice.Count)
		}
		short, all = append(short, text), append(all, ev)
	}
	return short, all
}

func (r *rig) want(tenant string, want ...string) {
	r.t.Helper()
	got, _ := r.notices(tenant)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Fatalf("notices of %s (-want +got):\n%s", tenant, diff)
	}
}

func (r *rig) hold(tenant, destination string, h state.Hold) {
	r.t.Helper()
	if err := r.store.Hold(context.Background(), tenant, destination, h, nil); err != nil {
		r.t.Fatal(err)
	}
}

// ended stores an event with a delivery that ended in a state, and returns it.
func (r *rig) ended(tenant, destination, eventType, key string, in state.DeliveryState) *state.Delivery {
	r.t.Helper()
	ctx := context.Background()
	ev, err := event.New(event.Header{Tenant: tenant, Type: eventType, Received: r.clock.Now(), DedupeKey: key, Verified: "token"}, nil, event.Raw{})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.store.Append(ctx, []*event.Event{ev}); err != nil {
		r.t.Fatal(err)
	}
	for {
		claimed, err := r.store.Claim(ctx, 100, 1<<20)
		if err != nil {
			r.t.Fatal(err)
		}
		var c state.Commit
		var found *state.Delivery
		for _, one := range claimed {
			o := state.Outcome{Position: one.Position, Tenant: one.Event.Tenant, EventID: one.Event.ID, At: r.clock.Now(), Generation: "g"}
			if one.Event.ID == ev.ID {
				origin := state.Origin{Kind: state.Rule, Name: "any"}
				o.Deliveries = []state.Delivery{{
					ID: state.DeliveryID(ev, origin, destination), Tenant: tenant, EventID: ev.ID, Origin: origin, Step: destination,
					Destination: destination, Connector: "slack", State: in, Reason: "404 Not Found",
				}}
				found = &o.Deliveries[0]
			}
			c.Events = append(c.Events, o)
		}
		if _, err := r.store.Commit(ctx, &c); err != nil {
			r.t.Fatal(err)
		}
		if found != nil {
			return found
		}
	}
}

func TestDestinations(t *testing.T) {
	onBoth(t, hears, func(r *rig) {
		r.round()
		r.want("acme")
		r.hold("acme", "crm", state.Hold{Kind: state.HoldRevoked, Reason: "401 Unauthorized", Since: noon})
		r.hold("blue", "other", state.Hold{Kind: state.HoldRevoked, Reason: "401 Unauthorized", Since: noon})
		r.hold("acme", "removed", state.Hold{Kind: state.HoldRevoked, Reason: "401 Unauthorized", Since: noon})
		r.round()
		r.round()
		r.want("acme", "destination.unhealthy crm 0")
		r.want("blue") // has no rule for notices: nothing is kept

		// Lifted by hand: whether it serves again is known only after a success.
		r.hold("acme", "crm", state.Hold{})
		r.clock.Advance(settle)
		r.round()
		r.want("acme", "destination.unhealthy crm 0")
		r.ended("acme", "crm", event.TypeResponseCompleted, "1", state.Delivered)
		r.round()
		r.round()
		r.want("acme", "destination.unhealthy crm 0", "destination.recovered crm 0")

		// It flaps: nothing within five minutes of the last notice, and then what is true.
		r.hold("acme", "crm", state.Hold{Kind: state.HoldRevoked, Since: r.clock.Now()})
		r.round()
		r.hold("acme", "crm", state.Hold{})
		r.round()
		r.hold("acme", "crm", state.Hold{Kind: state.HoldGone, Reason: "410 Gone", Since: r.clock.Now()})
		r.round()
		r.want("acme", "destination.unhealthy crm 0", "destination.recovered crm 0")
		r.clock.Advance(settle)
		r.round()
		r.round()
		r.want("acme", "destination.unhealthy crm 0", "destination.recovered crm 0", "destination.disabled crm 0")
	})
}

func TestCircuitsAreUnhealthyWhenTheyStayOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hold state.Hold
		want Condition
	}{
		{state.Hold{Kind: state.HoldCircuit, Since: noon, Until: noon.Add(40 * time.Second)}, ""},
		{state.Hold{Kind: state.HoldCircuit, Since: noon, Until: noon.Add(80 * time.Second)}, Unhealthy},
		{state.Hold{Kind: state.HoldRate, Since: noon, Until: noon.Add(time.Hour)}, ""},
		{state.Hold{Kind: state.HoldPaused, Since: noon}, ""},
		{state.Hold{Kind: state.HoldRevoked, Since: noon}, Unhealthy},
		{state.Hold{Kind: state.HoldGone, Since: noon}, Disabled},
	} {
		if got := conditionOf(&tt.hold); got != tt.want {
			t.Errorf("%s until %s: %q, want %q", tt.hold.Kind, tt.hold.Until, got, tt.want)
		}
	}
}

func TestManyDestinationsAreOneNotice(t *testing.T) {
	var text strings.Builder
	text.WriteString("connections:\n")
	for i := range 25 {
		fmt.Fprintf(&text, "  c%02d: {slack: {webhook: \"https://hooks.slack.com/services/T1/B%d/abcdefghijkl\"}}\n", i, i)
	}
	text.WriteString("rules:\n  - {name: watch, events: [\"gateway.*\"], send: [c00]}\n")
	onBoth(t, text.String(), func(r *rig) {
		for i := range 25 {
			r.hold("default", fmt.Sprintf("c%02d", i), state.Hold{Kind: state.HoldRevoked, Since: noon})
		}
		r.round()
		r.round()
		r.want("default", "destination.unhealthy  0")
	})
}

func TestDeadLetters(t *testing.T) {
	onBoth(t, hears, func(r *rig) {
		a, b := r.all[0], r.all[1]
		crm := &state.Delivery{Tenant: "acme", Destination: "crm", State: state.Dead, Reason: "404 Not Found"}
		for range 10_000 {
			a.Died(crm, event.TypeResponseCompleted)
		}
		b.Died(crm, event.TypeResponseCompleted)
		b.Died(&state.Delivery{Tenant: "blue", Destination: "other", State: state.Dead}, event.TypeResponseCompleted)
		a.Died(&state.Delivery{Tenant: "acme", Destination: "alarms", State: state.Dead}, event.TypeDeliveryDead) // a notice that failed
		a.Died(&state.Delivery{Tenant: "acme", Destination: "crm", State: state.Dead, Origin: state.Origin{Kind: state.Test}}, event.TypeTest)
		r.round()
		r.round()
		r.want("acme", "delivery.dead crm 10000") // what the other replica counted waits for its minute
		r.clock.Advance(time.Minute)
		r.round()
		r.want("acme", "delivery.dead crm 10000", "delivery.dead crm 1")
		r.want("blue")

		r.clock.Advance(time.Minute)
		for i := range 3000 { // beyond the bound of a tenant too
			a.Died(&state.Delivery{Tenant: "acme", Destination: fmt.Sprint("d", i)}, event.TypeResponseCompleted)
		}
		if n := len(a.dead.pending); n > maxDeadTenant+1 {
			t.Fatalf("%d destinations of one tenant wait to be told", n)
		}
		r.round()
		r.want("acme", "delivery.dead crm 10000", "delivery.dead crm 1", "delivery.dead  3000")
	})
}

// Retention does not know what it makes a dead letter; a notice that expires must not cause another, which expires as well.
func TestExpiredNoticesAreNotTold(t *testing.T) {
	onBoth(t, hears, func(r *rig) {
		for i := range 3 {
			r.ended("acme", "alarms", event.TypeDeliveryDead, fmt.Sprint("n", i), state.Dead)
		}
		before, _ := r.notices("acme")
		r.all[0].Overdue("acme", "alarms", 3)
		r.round()
		r.want("acme", before...)
		r.clock.Advance(time.Minute)
		r.ended("acme", "alarms", event.TypeResponseCompleted, "r", state.Dead)
		r.all[0].Overdue("acme", "alarms", 4)
		r.round()
		r.want("acme", append(before, "delivery.dead alarms 1")...)
	})
}

func TestSettings(t *testing.T) {
	onBoth(t, hears, func(r *rig) {
		ctx := context.Background()
		a, b := r.all[0], r.all[1]
		line := func(n int, did string) audit.Line {
			return audit.Line{
				At: noon, By: audit.By{Name: "token:ci", IP: "10.1.2.3"}, Did: did, Of: fmt.Sprint("webhook/w", n), Version: 3,
				Changed: []string{"url"}, Before: json.RawMessage(`{"url":"https://secret.example/abc"}`), After: json.RawMessage(`{"url":"https://secret.example/def"}`),
			}
		}
		a.Changed(ctx, "acme", []audit.Line{line(1, "webhook.create")})
		b.Changed(ctx, "acme", []audit.Line{line(2, "webhook.update")})
		a.Changed(ctx, "acme", []audit.Line{line(3, "delivery.replay")})
		a.Changed(ctx, "acme", []audit.Line{line(4, "webhook.test")})
		a.Changed(ctx, "blue", []audit.Line{line(5, "webhook.update")})
		r.round()
		r.round()
		r.want("acme", "settings.changed webhook/w1 1", "settings.changed webhook/w2 1")
		r.want("blue")
		r.clock.Advance(time.Minute)
		for i := range 10_000 {
			a.Changed(ctx, "acme", []audit.Line{line(i, "webhook.update")})
		}
		r.round()
		r.round()
		r.want("acme", "settings.changed webhook/w1 1", "settings.changed webhook/w2 1", "settings.changed  10000")
		_, all := r.notices("acme")
		for _, ev := range all {
			if text := string(ev.Envelope()); strings.Contains(text, "secret") || strings.Contains(text, "10.1.2.3") || ev.Tenant != "acme" {
				t.Errorf("a notice holds what it must not: %s", text)
			}
		}

		// Changes that are made together are one notice.
		r.clock.Advance(time.Minute)
		a.Changed(ctx, "acme", []audit.Line{line(1, "webhook.update"), line(2, "webhook.create"), line(3, "delivery.replay")})
		r.round()
		r.want("acme", "settings.changed webhook/w1 1", "settings.changed webhook/w2 1", "settings.changed  10000", "settings.changed  2")

		// Many single changes on two replicas: ten notices a minute, and the others in the next.
		r.clock.Advance(time.Minute)
		for i := range 9 {
			a.Changed(ctx, "acme", []audit.Line{line(10+i, "webhook.update")})
			b.Changed(ctx, "acme", []audit.Line{line(30+i, "webhook.update")})
		}
		r.round()
		r.round()
		if got, _ := r.notices("acme"); len(got) != 4+maxEach {
			t.Fatalf("%d notices in a minute: %q", len(got)-4, got)
		}
		r.clock.Advance(time.Minute)
		r.round()
		if got, _ := r.notices("acme"); len(got) != 4+18 {
			t.Fatalf("%d notices after two minutes: %q", len(got)-4, got)
		}
	})
}

// counting counts the calls of a store.
type counting struct {
	state.Store
	calls []string
}

func (c *counting) Lease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	c.calls = append(c.calls, "lease")
	return c.Store.Lease(ctx, name, holder, ttl)
}

func (c *counting) Append(ctx context.Context, events []*event.Event) ([]state.Appended, error) {
	c.calls = append(c.calls, "append")
	return c.Store.Append(ctx, events)
}

func (c *counting) Holds(ctx context.Context, tenant string) ([]state.DestinationOnHold, error) {
	c.calls = append(c.calls, "holds")
	return c.Store.Holds(ctx, tenant)
}

func (c *counting) List(ctx context.Context, tenant, kind string) ([]state.Setting, error) {
	c.calls = append(c.calls, "list")
	return c.Store.List(ctx, tenant, kind)
}

func TestNothingIsAskedWhereNobodyHears(t *testing.T) {
	deaf := strings.ReplaceAll(hears, `"gateway.*"`, `"*"`)
	onBoth(t, deaf, func(r *rig) {
		store := &counting{Store: r.store}
		n := r.all[0]
		n.Store = store
		r.hold("acme", "crm", state.Hold{Kind: state.HoldRevoked, Since: noon})
		n.Died(&state.Delivery{Tenant: "acme", Destination: "crm"}, event.TypeResponseCompleted)
		n.Changed(context.Background(), "acme", []audit.Line{{Did: "webhook.update", Of: "webhook/w"}})
		r.round()
		if len(store.calls) > 0 {
			t.Errorf("the store was asked: %q", store.calls)
		}
		r.want("acme")
	})
}

// The page has each notice with its definition.
func TestDefinitionsAreOnThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../API.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range Definitions {
		if d.Type != event.NoticeTypes[i] {
			t.Errorf("definition %d is of %s, and the type is %s", i, d.Type, event.NoticeTypes[i])
		}
		if row := "| `" + d.Type + "` | " + d.Meaning + " |\n"; !strings.Contains(string(page), row) {
			t.Errorf("API.md lacks %s", row)
		}
	}
}
