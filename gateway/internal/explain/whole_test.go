package explain

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

func dry(t *testing.T, plan *decide.Plan, ev *event.Event) *Explanation {
	t.Helper()
	x, err := Dry(context.Background(), nil, plan, ev, noon)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

const settling = `
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl"}}
rules:
  - {name: unhappy, events: [response.*], settle: 2m, when: nps_score <= 6 and has(email), send: [alarms]}
`

// An explanation shows until when a response rests, what is known of it so far, and afterwards what the rule was asked of: not what
// came later.
func TestExplainWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = load(t, settling)
	w.plans[w.plan.Config.Generation] = w.plan
	w.commit(t, nil)
	append := func(text string) {
		t.Helper()
		ev, err := event.ParseOne([]byte(text), event.Defaults{Received: w.clock.Now(), Verified: "token"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Append(context.Background(), []*event.Event{ev}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want ...string) {
		t.Helper()
		got := w.text(t)
		for _, line := range want {
			if !strings.Contains(got, line) {
				t.Errorf("lacks %q:\n%s", line, got)
			}
		}
	}
	has("✓ rule unhappy: it is asked of the response as a whole (completed, 1 event): its condition is false\n",
		"    → alarms   slack rests until 2026-01-02 12:02:00 UTC (in 2m0s)\n")
	append(`{"type":"response.updated","id":"2","survey":{"id":"s1"},"response":{"id":"r1"},"email":"jo@example.com"}`)
	has("it is asked of the response as a whole (completed, 2 events): its condition is true\n", "      has(email)")
	w.clock.Advance(3 * time.Minute)
	due, _, err := w.store.ClaimDue(context.Background(), state.ClaimDue{Max: 1, Bytes: 1 << 20, Lease: time.Minute})
	if err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	d := due[0].Delivery
	d.State, d.Reason = state.Skipped, decide.NotMatched+"`nps_score <= 6 and has(email)` is false"
	if _, err := w.store.Commit(context.Background(), &state.Commit{Due: []state.Settled{{Delivery: d, Lease: due[0].Lease}}}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	append(`{"type":"response.updated","id":"3","survey":{"id":"s1"},"response":{"id":"r1"},"nps_score":9}`)
	has("it is asked of the response as a whole (completed, 2 events): its condition is true\n", "skipped: the response as it stands does not match")
	x, err := w.asker.Event(context.Background(), "default", w.ev.ID)
	if err != nil {
		t.Fatal(err)
	}
	if whole := x.Rules[0].Whole; whole == nil || whole.Events != 2 || !whole.Asked.Equal(w.clock.Now().Add(-time.Minute)) || !strings.Contains(string(whole.Envelope), "jo@example.com") {
		t.Errorf("%+v", whole)
	}
}

// What would happen is asked of the response as it is kept, together with the event.
func TestDryWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plan := load(t, settling)
	ev := parse(t, `{"type":"response.updated","id":"2","survey":{"id":"s1"},"response":{"id":"r1"},"email":"jo@example.com"}`)
	x, err := Dry(context.Background(), w.store, plan, ev, noon)
	if err != nil {
		t.Fatal(err)
	}
	got := w.plain(t, x)
	for _, line := range []string{"(completed, 2 events): its condition is true\n", "slack: would be sent, if its response is like this when it has come to rest\n", "Score 3/10"} {
		if !strings.Contains(got, line) {
			t.Errorf("lacks %q:\n%s", line, got)
		}
	}
	if got := w.plain(t, dry(t, plan, ev)); !strings.Contains(got, "would be skipped, if its response is like this") {
		t.Error(got)
	}
}
