package rules

import (
	"fmt"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

func parse(tb testing.TB, body string) *event.Event {
	tb.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Received: time.Unix(1767323045, 0), AnyTenant: true})
	if err != nil {
		tb.Fatalf("event %s: %v", body, err)
	}
	return ev
}

func condition(tb testing.TB, text string) *expression.Condition {
	tb.Helper()
	c, err := expression.CompileCondition(text)
	if err != nil {
		tb.Fatalf("condition %s: %v", text, err)
	}
	return c
}

// BenchmarkSet matches one event of about 700 bytes with sets in which one rule matches.
func BenchmarkSet(b *testing.B) {
	ev := parse(b, `{"type":"response.completed","id":"r1","source":"pollqr","survey":{"id":"s0","title":"Onboarding","type":"nps"},
"response":{"id":"r1","started_at":"2026-01-02T03:04:05Z","score":{"nps":3,"csat":2},"feedback":"The set-up took far too long and nobody answered","permalink":"https://polls.example.com/r/1",
"answers":[{"question_id":"1","question":"How likely?","value":3},{"question_id":"2","question":"Why?","value":"The set-up took far too long and nobody answered"},{"question_id":"3","question":"E-mail","value":"jo@example.com"},{"question_id":"4","question":"Which?","value":["a","b"]}]},
"respondent":{"email":"jo@example.com","name":"Jo Doe","params":{"plan":"pro","seats":12}},"context":{"country":"TR","language":"tr","user_agent":"Mozilla/5.0"}}`)
	for _, n := range []int{1, 100, 1000, 10000} {
		var indexed, plain []*Rule
		for i := range n {
			events := []string{event.TypeResponseCompleted}
			indexed = append(indexed, &Rule{
				Tenant: "default", Name: fmt.Sprint(i), Events: events,
				When: condition(b, fmt.Sprintf(`nps_score <= 6 and survey.id == "s%d" and context.country == "TR"`, i)),
			})
			plain = append(plain, &Rule{
				Tenant: "default", Name: fmt.Sprint(i), Events: events,
				When: condition(b, fmt.Sprintf(`nps_score <= 6 and survey.title startsWith "Onboard" and params.seats >= %d`, 12+i)),
			})
		}
		for name, rules := range map[string][]*Rule{"equality": indexed, "without": plain} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				set := NewSet(rules)
				var out []Match
				b.ReportAllocs()
				for b.Loop() {
					if out, _ = set.Match(ev, out[:0]); len(out) != 1 {
						b.Fatalf("matches: %v", out)
					}
				}
			})
		}
	}
}
