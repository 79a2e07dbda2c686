package expression

import (
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/surveygate/surveygate/rules/event"
)

// benchEvent is of the size that limits.md measures with: about 700 bytes.
const benchEvent = `{"type":"response.completed","id":"r1","source":"pollqr","survey":{"id":"550e8400-e29b-41d4-a716-446655440000","title":"Onboarding","type":"nps"},
"response":{"id":"r1","started_at":"2026-01-02T03:04:05Z","score":{"nps":3,"csat":2},"feedback":"The set-up took far too long and nobody answered","permalink":"https://polls.example.com/r/1",
"answers":[{"question_id":"1","question":"How likely?","value":3},{"question_id":"2","question":"Why?","value":"The set-up took far too long and nobody answered"},{"question_id":"3","question":"E-mail","value":"jo@example.com"},{"question_id":"4","question":"Which?","value":["a","b"]}]},
"respondent":{"email":"jo@example.com","name":"Jo Doe","params":{"plan":"pro","seats":12}},"context":{"country":"TR","language":"tr","user_agent":"Mozilla/5.0"}}`

func parse(tb testing.TB, body string) *event.Event {
	tb.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Received: time.Unix(1767323045, 0)})
	if err != nil {
		tb.Fatalf("event %s: %v", body, err)
	}
	return ev
}

const benchRule = `nps_score <= 6 and survey.type == "nps" and context.country == "TR"`

// BenchmarkMatch is one condition of three comparisons, in its parts and as a whole, and the same in expr's
// own machine with its environment at hand.
func BenchmarkMatch(b *testing.B) {
	ev := parse(b, benchEvent)
	c, err := CompileCondition(benchRule)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("evaluate", func(b *testing.B) {
		b.ReportAllocs()
		f := c.prog.scope.begin(ev)
		defer f.end()
		for b.Loop() {
			f.enter(c.prog, maxSteps)
			if f.truth(c.prog.roots[0]) != True {
				b.Fatal("no match")
			}
		}
	})
	b.Run("evaluate-absent", func(b *testing.B) {
		b.ReportAllocs()
		f := c.prog.scope.begin(parse(b, `{"type":"response.completed","context":{"country":"TR"}}`))
		defer f.end()
		for b.Loop() {
			f.enter(c.prog, maxSteps)
			if f.truth(c.prog.roots[0]) != Unknown {
				b.Fatal("not unknown")
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if c.Match(ev).Truth != True {
				b.Fatal("no match")
			}
		}
	})
	b.Run("expr", func(b *testing.B) {
		flat := map[string]any{"nps_score": 3.0, "survey_type": "nps", "context_country": "TR"}
		prog, err := expr.Compile(`nps_score <= 6 and survey_type == "nps" and context_country == "TR"`, expr.Env(flat))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		var machine vm.VM
		for b.Loop() {
			if out, err := machine.Run(prog, flat); err != nil || out != true {
				b.Fatal(out, err)
			}
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := CompileCondition(benchRule); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkText(b *testing.B) {
	ev := parse(b, benchEvent)
	t := MustText(`NPS {{ nps_score }} from {{ email ?? "somebody" }}: {{ answer("2") }}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.Render(ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValues(b *testing.B) {
	ev := parse(b, benchEvent)
	v, err := CompileValues([]Pair{{"last_nps", "nps_score"}, {"comment", "feedback"}, {"segment", "'detractor'"}, {"seats", int64(3)}, {"missing", "phone"}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Evaluate(ev); err != nil {
			b.Fatal(err)
		}
	}
}
