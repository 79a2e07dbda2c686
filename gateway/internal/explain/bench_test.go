package explain_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/slack"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkExplain explains one event with 1,000 rules: of a stored event with all its deliveries, and of one that is only tried, whose
// requests are built. matched is how many of the rules match it.
func BenchmarkExplain(b *testing.B) {
	for _, matched := range []int{0, 10, 1000} {
		var text strings.Builder
		text.WriteString("connections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T/B/X\"}}}\nrules:\n")
		for i := range 1000 {
			least := 11
			if i < matched {
				least = 0
			}
			fmt.Fprintf(&text, "  - {name: r%d, when: 'nps_score >= %d and lower(feedback) contains \"slow\" and (answer(\"q1\") in [\"a\", \"b\"] or params.plan != \"x%d\")', send: [alarms]}\n", i, least, i)
		}
		c, err := config.LoadText([]byte(text.String()))
		if err != nil {
			b.Fatal(err)
		}
		plan := decide.New(c)
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		ev, err := event.ParseOne([]byte(`{"type": "response.completed", "id": "e1", "nps_score": 3, "email": "jo@example.com", "feedback": "Too slow", "params": {"plan": "pro"},
			"response": {"id": "r1", "answers": [{"question_id": "q1", "question": "Why?", "value": "slow"}, {"question_id": "q2", "value": ["a", "b"]}]}}`),
			event.Defaults{Tenant: "default", Source: "api", Received: now, Verified: "token"})
		if err != nil {
			b.Fatal(err)
		}
		store, err := embedded.Open(embedded.Options{Dir: b.TempDir(), Clock: clock.System()})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = store.Close() })
		if _, err := store.Append(b.Context(), []*event.Event{ev}); err != nil {
			b.Fatal(err)
		}
		asker := explain.Asker{Store: store, Plan: func() *decide.Plan { return plan }, Clock: clock.System(), PlanOf: func(context.Context, string, string) (*decide.Plan, error) {
			return nil, state.ErrNotFound
		}}
		for name, ask := range map[string]func() (*explain.Explanation, error){
			"stored": func() (*explain.Explanation, error) { return asker.Event(b.Context(), "default", ev.ID) },
			"dry":    func() (*explain.Explanation, error) { return explain.Dry(b.Context(), store, plan, ev, now) },
		} {
			b.Run(fmt.Sprintf("%s/matched=%d", name, matched), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					x, err := ask()
					if err != nil || len(x.Rules) != 1000 {
						b.Fatal(err, len(x.Rules))
					}
				}
			})
		}
	}
}
