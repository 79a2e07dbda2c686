package backtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkBacktest asks ten rules about 20,000 stored events, of which each rule matches one in a hundred.
func BenchmarkBacktest(b *testing.B) {
	const events = 20_000
	var text strings.Builder
	text.WriteString("connections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T/B/X\"}}}\nrules:\n")
	var names []string
	for i := range MaxRules {
		names = append(names, fmt.Sprint("r", i))
		fmt.Fprintf(&text, "  - {name: r%d, when: 'nps_score <= 6 and params.group == \"g%d\" and (lower(feedback) contains \"slow\" or answer(\"q1\") in [\"a\", \"b\"])', send: [alarms]}\n", i, i)
	}
	r := newRig(b, text.String())
	var all []*event.Event
	for i := range events {
		group := i % 70 // of which ten have a rule, and of whose events seven in ten have a low score
		all = append(all, r.event("default", time.Duration(i+1)*time.Second, fmt.Sprintf(`{"type": "response.completed", "id": "e%d", "nps_score": %d, "email": "jo%d@example.com",
			"feedback": "It was too slow for me, and nobody told me why", "params": {"group": "g%d", "plan": "pro"}, "survey": {"id": "s%d", "title": "Onboarding"},
			"response": {"id": "r%d", "answers": [{"question_id": "q1", "question": "Why?", "value": "slow"}, {"question_id": "q2", "question": "What else?", "value": ["a", "b"]}]}}`,
			i, i/7%10, i, group, i%3, i)))
		if len(all) == 500 {
			r.append(all...)
			all = all[:0]
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		run, err := r.Prepare(context.Background(), span(Ask{Rules: names}))
		if err != nil {
			b.Fatal(err)
		}
		got, err := run.Do(context.Background(), nil)
		if err != nil || got.Asked != events || got.Rules[0].Matched < events/200 {
			b.Fatalf("%v, %d events", err, got.Asked)
		}
	}
	b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
}
