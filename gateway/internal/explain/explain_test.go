package explain

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/rules/event"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const before = `
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl"}}
  crm:    {slack: {webhook: "https://hooks.slack.com/services/T1/B1/abcdefghijkl"}}
webhooks:
  - {name: warehouse, url: "https://hook.example.com/in", events: [response.updated], secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}
rules:
  - {name: detractor, when: nps_score <= 6, send: [alarms, {crm: {text: "NPS {{ nps_score }}"}, as: crm-note}]}
  - {name: angry, when: nps_score <= 3 and csat_score <= 2, send: [alarms]}
  - {name: promoter, when: nps_score >= 9, send: [alarms]}
  - {name: odd, when: params.seats > 3, send: [alarms]}
  - {name: off, send: [alarms], enabled: false}
`

// after has a rule less, a rule more, and one that asks something else.
const after = `
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl"}}
rules:
  - {name: detractor, when: nps_score <= 2, send: [alarms]}
  - {name: all, send: [alarms]}
`

func load(t *testing.T, text string) *decide.Plan {
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

func parse(t *testing.T, text string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(text), event.Defaults{Received: noon, Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

const low = `{"type":"response.completed","id":"r1-final","survey":{"id":"s1","title":"Onboarding"},"response":{"id":"r1","feedback":"slow \u001b[31m"},"nps_score":3,"params":{"seats":"nine"}}`

// world is a store with one event in it, and configurations.
type world struct {
	store  state.Store
	clock  *clock.Manual
	ev     *event.Event
	plan   *decide.Plan
	plans  map[string]*decide.Plan
	asker  *Asker
	tenant string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: clock.NewManual(noon), ev: parse(t, low), plan: load(t, before), plans: map[string]*decide.Plan{}, tenant: "default"}
	var err error
	if w.store, err = embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.plans[w.plan.Config.Generation] = w.plan
	w.asker = &Asker{Store: w.store, Clock: w.clock, Plan: func() *decide.Plan { return w.plan }, PlanOf: func(_ context.Context, _, g string) (*decide.Plan, error) {
		if p := w.plans[g]; p != nil {
			return p, nil
		}
		return nil, state.ErrNotFound
	}}
	if _, err := w.store.Append(context.Background(), []*event.Event{w.ev}); err != nil {
		t.Fatal(err)
	}
	return w
}

// commit decides the event; each delivery is given its end by the step's name.
func (w *world) commit(t *testing.T, ends map[string]func(*state.Delivery)) {
	t.Helper()
	claimed, err := w.store.Claim(context.Background(), 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(12 * time.Millisecond)
	now := w.clock.Now()
	decision := w.plan.Decide(w.ev, now)
	o := state.Outcome{
		Position: claimed[0].Position, Tenant: w.tenant, EventID: w.ev.ID, Generation: w.plan.Generation(w.tenant), At: now, Rules: decision.Rules,
	}
	for _, owed := range decision.Owed {
		d := owed.Delivery
		if end := ends[d.Step]; end != nil {
			end(&d)
		}
		o.Deliveries = append(o.Deliveries, d)
	}
	if _, err := w.store.Commit(context.Background(), &state.Commit{Events: []state.Outcome{o}}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) text(t *testing.T) string {
	t.Helper()
	x, err := w.asker.Event(context.Background(), w.tenant, w.ev.ID)
	if err != nil {
		t.Fatal(err)
	}
	return w.plain(t, x)
}

// plain is the text with ids replaced; what comes over the API as JSON prints the same.
func (w *world) plain(t *testing.T, x *Explanation) string {
	t.Helper()
	var direct, decoded strings.Builder
	if err := x.Text(&direct); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	back := &Explanation{}
	if err := json.Unmarshal(b, back); err != nil {
		t.Fatal(err)
	}
	if err := back.Text(&decoded); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(direct.String(), decoded.String()); diff != "" {
		t.Errorf("the text changes on its way through JSON: %s", diff)
	}
	text := direct.String()
	for step, origin := range map[string]state.Origin{
		"alarms": {Kind: state.Rule, Name: "detractor"}, "crm-note": {Kind: state.Rule, Name: "detractor"},
	} {
		text = strings.ReplaceAll(text, state.DeliveryID(&event.Event{Header: event.Header{ID: x.Event.ID}}, origin, step), "DELIVERY")
	}
	text = strings.ReplaceAll(text, x.Event.ID, "EVENT")
	if g := x.Generation; g != "" {
		text = strings.ReplaceAll(text, clip(g, 12), "GENERATION")
	}
	return text
}

func delivered(d *state.Delivery) {
	d.State, d.Attempts = state.Delivered, 1
	d.Log = []state.Attempt{{N: 1, At: d.Created, Took: 45 * time.Millisecond, Verdict: "delivered", Status: 200}}
}

func waiting(d *state.Delivery) {
	d.State, d.Attempts, d.Reason, d.Due = state.Waiting, 2, "503 Service Unavailable", d.Created.Add(5*time.Minute)
	d.Log = []state.Attempt{
		{N: 1, At: d.Created, Took: 1500 * time.Millisecond, Verdict: "retry", Status: 503, Reason: "503 Service Unavailable"},
		{N: 2, At: d.Created.Add(5 * time.Second), Took: 15 * time.Second, Verdict: "retry", Reason: "no answer within 15s"},
	}
}

func dead(d *state.Delivery) {
	d.State, d.Attempts, d.Reason = state.Dead, 1, "404 no_service"
	d.Log = []state.Attempt{{N: 1, At: d.Created, Took: 45 * time.Millisecond, Verdict: "rejected", Status: 404, Reason: "404 no_service"}}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		with func(t *testing.T, w *world)
		want string
	}{
		{
			name: "delivered and waiting", with: func(t *testing.T, w *world) {
				w.commit(t, map[string]func(*state.Delivery){"alarms": delivered, "crm-note": waiting})
				w.clock.Advance(time.Minute)
			},
			want: `Event EVENT: response.completed from api
  survey "Onboarding" (s1), response r1
  received 2026-01-02 12:00:00 UTC (1m0s ago), verified by token
  decided 12ms later, by configuration GENERATION

2 deliveries: 1 delivered, 1 waiting.

✓ rule detractor: its condition is true
    nps_score <= 6   true
      nps_score      3
    → alarms           slack delivered
        DELIVERY
        attempt 1  2026-01-02 12:00:00  delivered: 200, 45ms
    → crm-note (crm)   slack waiting: 503 Service Unavailable, next try 2026-01-02 12:05:00 UTC (in 4m0s)
        DELIVERY
        attempt 1  2026-01-02 12:00:00  retry: 503 Service Unavailable, 1.5s
        attempt 2  2026-01-02 12:00:05  retry: no answer within 15s, 15s

✗ rule angry: its condition is unknown: the event has no csat_score
    nps_score <= 3 and csat_score <= 2   unknown
      nps_score <= 3                     true
        nps_score                        3
      csat_score <= 2                    unknown
        csat_score                       absent

✗ rule promoter: its condition is false
    nps_score >= 9   false
      nps_score      3

✗ rule odd: its condition is unknown: ` + "`params.seats > 3`" + `: a text is not compared with a number
    params.seats > 3   unknown
      params.seats     "nine"

✗ rule off: it is disabled

✗ webhook warehouse: its events are response.updated, and this is response.completed
`,
		},
		{
			name: "erased", with: func(t *testing.T, w *world) {
				w.commit(t, map[string]func(*state.Delivery){"alarms": delivered, "crm-note": waiting})
				w.clock.Advance(time.Hour)
				if res, err := w.store.Erase(context.Background(), "default", []string{w.ev.ID}); err != nil || res[0].Busy != "" {
					t.Fatal(res, err)
				}
				w.plan = load(t, after)
			},
			want: `Event EVENT: response.completed from api
  survey s1
  received 2026-01-02 12:00:00 UTC (1h0m ago), verified by token
  decided 12ms later, by configuration GENERATION

Its content was erased on 2026-01-02 13:00:00 UTC; 2 deliveries: 1 delivered, 1 dropped.

✓ rule detractor: it matched
    → alarms           slack delivered
        DELIVERY
        attempt 1  2026-01-02 12:00:00  delivered: 200, 45ms
    → crm-note (crm)   slack dropped: erased
        DELIVERY
        attempt 1  2026-01-02 12:00:00  retry: erased, 1.5s
        attempt 2  2026-01-02 12:00:05  retry: erased, 15s
`,
		},
		{
			name: "on hold and dead", with: func(t *testing.T, w *world) {
				w.commit(t, map[string]func(*state.Delivery){"alarms": dead, "crm-note": waiting})
				hold := state.Hold{Kind: state.HoldRevoked, Reason: "invalid_auth", Since: noon}
				if err := w.store.Hold(context.Background(), "default", "crm", hold, nil); err != nil {
					t.Fatal(err)
				}
				w.clock.Advance(time.Hour)
				w.plan = load(t, after)
			},
			want: `2 deliveries: 1 waiting, 1 dead; 1 destination is on hold.
    → alarms           slack dead: 404 no_service
    → crm-note (crm)   slack waiting: not configured now
        crm is on hold (revoked): invalid_auth, since 2026-01-02 12:00:00 UTC (1h0m ago)
The configuration has changed since then:
  rule detractor: it would not match today: its condition is false
  rule all: it is new, and would match
alarms: The incoming webhook no longer exists: add a new one to the app and copy its URL. Then, to deliver it after all: surveygate dead replay DELIVERY
crm: Slack no longer accepts the token: install the app again and copy its bot token (OAuth & Permissions). When the credentials of crm are changed and reloaded, what waits goes out by itself.
`,
		},
		{
			name: "pending", with: func(*testing.T, *world) {},
			want: `It is accepted and waits for its decision.
    → alarms           slack: not decided yet
`,
		},
		{
			name: "configuration no longer kept", with: func(t *testing.T, w *world) {
				w.commit(t, map[string]func(*state.Delivery){"alarms": delivered, "crm-note": delivered})
				w.plan, w.plans = load(t, after), nil
			},
			want: `  that configuration is no longer kept, so rules that did not match are not listed
2 deliveries: 2 delivered.
✓ rule detractor: it matched
  rule all: it would match today
`,
		},
		{
			name: "dead event", with: func(t *testing.T, w *world) {
				claimed, err := w.store.Claim(context.Background(), 1, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				o := state.Outcome{Position: claimed[0].Position, Tenant: "default", EventID: w.ev.ID, At: noon, Dead: "claimed five times"}
				if _, err := w.store.Commit(context.Background(), &state.Commit{Events: []state.Outcome{o}}); err != nil {
					t.Fatal(err)
				}
			},
			want: `The event itself is a dead letter: claimed five times.
To decide it again: surveygate dead replay EVENT
`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.with(t, w)
			got := w.text(t)
			if strings.HasPrefix(c.want, "Event ") {
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				return
			}
			for line := range strings.Lines(c.want) {
				if !strings.Contains(got, line) {
					t.Errorf("lacks %q:\n%s", line, got)
				}
			}
		})
	}
}

func TestDry(t *testing.T) {
	t.Parallel()
	w := &world{plan: load(t, before)}
	ev := parse(t, low)
	got := w.plain(t, dry(t, w.plan, ev))
	for _, line := range []string{
		"  not stored anywhere: this is what would happen\n",
		"1 rule or webhook would match and owe 2 deliveries.\n",
		"    → crm-note (crm)   slack: would be sent\n",
		"        POST [secret]\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("lacks %q:\n%s", line, got)
		}
	}
	if strings.Contains(got, "hooks.slack.com") || strings.Contains(got, "\x1b") {
		t.Errorf("shows a secret or steers the terminal:\n%q", got)
	}
	odd := parse(t, `{"type":"response.completed","warnings":["a time"],"unread":["data.notes.#","data.extra"]}`)
	got = w.plain(t, dry(t, w.plan, odd))
	if !strings.Contains(got, "  warning: a time\n  not read by the profile: data.notes.#, data.extra\n") {
		t.Errorf("does not say what was not read:\n%s", got)
	}
	got = w.plain(t, dry(t, w.plan, parse(t, `{"type":"response.completed"}`)))
	if !strings.Contains(got, "None of 6 rules and webhooks matched, so nothing is owed to anybody.\n") {
		t.Error(got)
	}
}

// What waits for the rest of its response is not sent at once, and guardrails do not wait for one.
func TestDryOfWhole(t *testing.T) {
	t.Parallel()
	w := &world{plan: load(t, `
connections: {alarms: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl"}}}
webhooks:
  - {name: unfinished, url: "https://hook.example.com/in", signature: none, events: [response.partial], send_incomplete: true, incomplete_delay: 2m}
rules:
  - {name: night, events: ["response.*"], quiet: {from: "11:00", to: "14:00"}, send: [alarms]}
  - {name: few, events: ["response.*"], at_most: {per: 1h, count: 1}, send: [alarms]}
`)}
	x, err := Dry(t.Context(), nil, w.plan, parse(t, strings.Replace(low, "completed", "partial", 1)), noon)
	if err != nil {
		t.Fatal(err)
	}
	got := w.plain(t, x)
	for _, text := range []string{
		"webhook: would be sent, if its response is like this when it has come to rest\n", "slack: would be sent after 2h0m0s\n", "slack: would be sent\n",
	} {
		if !strings.Contains(got, text) {
			t.Errorf("lacks %q:\n%s", text, got)
		}
	}
}

func TestAnotherTenantsEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.asker.Event(context.Background(), "acme", w.ev.ID); !errors.Is(err, state.ErrNotFound) {
		t.Error(err)
	}
}
