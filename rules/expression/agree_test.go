package expression

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/expr-lang/expr"

	"github.com/surveygate/surveygate/rules/event"
)

// The evaluator is this package's own. What it must be held against is expr's machine, on events that have
// every field, where both speak of the same thing; and where fields are absent, every way of filling them in:
// what is not unknown must come out the same however the rest is answered.

// world maps the fields of generated conditions to values.
type world map[string]any

var worldFields = []struct {
	name string
	draw func(r *rand.Rand) any
}{
	{"response.score.nps", func(r *rand.Rand) any { return float64(r.IntN(11)) }},
	{"response.score.csat", func(r *rand.Rand) any { return float64(r.IntN(50)) / 10 }},
	{"response.feedback", func(r *rand.Rand) any { return worldTexts[r.IntN(len(worldTexts)-1)] }}, // an event trims it
	{"survey.type", func(r *rand.Rand) any { return worldTexts[r.IntN(3)] }},
	{"respondent.consent", func(r *rand.Rand) any { return r.IntN(2) == 0 }},
	{"respondent.params.plan", func(r *rand.Rand) any { return worldTexts[r.IntN(4)] }},
	{"respondent.params.seats", func(r *rand.Rand) any { return float64(r.IntN(9)) - 4 }},
	{"respondent.params.tags", func(r *rand.Rand) any {
		tags := make([]any, r.IntN(4))
		for i := range tags {
			tags[i] = worldTexts[r.IntN(len(worldTexts))]
		}
		return tags
	}},
	{"respondent.params.marks", func(r *rand.Rand) any {
		marks := make([]any, r.IntN(4))
		for i := range marks {
			marks[i] = float64(r.IntN(6))
		}
		return marks
	}},
}

var worldTexts = []string{"nps", "csat", "pro", "slow", "Çok yavaş", "a,b", "NPS", " x "}

func newWorld(r *rand.Rand) world {
	w := world{}
	for _, f := range worldFields {
		w[f.name] = f.draw(r)
	}
	return w
}

// nested is the world as expr's environment and as the data of an event.
func (w world) nested() map[string]any {
	root := map[string]any{}
	for name, v := range w {
		keys := strings.Split(name, ".")
		at := root
		for _, key := range keys[:len(keys)-1] {
			next, ok := at[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[key] = next
			}
			at = next
		}
		at[keys[len(keys)-1]] = v
	}
	return root
}

func (w world) event(t testing.TB) *event.Event {
	data := w.nested()
	data["type"] = "response.completed"
	body, err := marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(body))
}

// writer makes random, type-correct conditions.
type writer struct {
	r     *rand.Rand
	depth int
	item  kind // what # is, absent outside of predicates
}

func (w *writer) pick(options ...func() string) string {
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > 5 {
		return options[0]() // the first is a leaf
	}
	return options[w.r.IntN(len(options))]()
}

func (w *writer) truth() string {
	return w.pick(
		func() string { return []string{"true", "false", "respondent.consent"}[w.r.IntN(3)] },
		func() string {
			return w.number() + " " + []string{"==", "!=", "<", "<=", ">", ">="}[w.r.IntN(6)] + " " + w.number()
		},
		func() string {
			return w.text() + " " + []string{"==", "!=", "<", ">=", "contains", "startsWith", "endsWith"}[w.r.IntN(7)] + " " + w.text()
		},
		func() string { return "(" + w.truth() + " and " + w.truth() + ")" },
		func() string { return "(" + w.truth() + " or " + w.truth() + ")" },
		func() string { return "(" + w.truth() + " && " + w.truth() + " || " + w.truth() + ")" },
		func() string { return "not (" + w.truth() + ")" },
		func() string { return "!(" + w.truth() + ")" },
		func() string { return "(" + w.truth() + " ? " + w.truth() + " : " + w.truth() + ")" },
		func() string { return w.text() + " in [" + w.text() + ", " + w.text() + "]" },
		func() string { return w.text() + " not in " + w.texts() },
		func() string { return w.number() + " in " + w.numbers() },
		func() string { return w.text() + ` matches "(?i)^(n|s).*"` },
		func() string {
			of := w.texts()
			return []string{"any", "all", "none", "one"}[w.r.IntN(4)] + "(" + of + ", " + w.about(text) + ")"
		},
		func() string {
			of := w.numbers()
			return []string{"any", "all", "none", "one"}[w.r.IntN(4)] + "(" + of + ", " + w.about(number) + ")"
		},
	)
}

// about is a condition on an item.
func (w *writer) about(k kind) string {
	before := w.item
	w.item = k
	defer func() { w.item = before }()
	if k == text {
		return "# == " + w.text() + " or " + w.truth()
	}
	return "# > " + w.number() + " and " + w.truth()
}

func (w *writer) number() string {
	return w.pick(
		func() string {
			leaves := []string{"response.score.nps", "nps_score", "csat_score", "params.seats", fmt.Sprint(w.r.IntN(12)), "2.5"}
			if w.item == number {
				leaves = append(leaves, "#", "#")
			}
			return leaves[w.r.IntN(len(leaves))]
		},
		func() string {
			return "(" + w.number() + " " + []string{"+", "-", "*"}[w.r.IntN(3)] + " " + w.number() + ")"
		},
		func() string { return "-(" + w.number() + ")" },
		func() string { return "len(" + w.text() + ")" },
		func() string { return "len(" + w.texts() + ")" },
		func() string { return "(" + w.truth() + " ? " + w.number() + " : " + w.number() + ")" },
		func() string { return "count(" + w.numbers() + ", " + w.about(number) + ")" },
	)
}

func (w *writer) text() string {
	return w.pick(
		func() string {
			leaves := []string{"feedback", "survey.type", "params.plan", `params["plan"]`, `"nps"`, "'slow'", `""`}
			if w.item == text {
				leaves = append(leaves, "#", "#")
			}
			return leaves[w.r.IntN(len(leaves))]
		},
		func() string { return "(" + w.text() + " + " + w.text() + ")" },
		func() string { return []string{"lower", "upper", "trim"}[w.r.IntN(3)] + "(" + w.text() + ")" },
		func() string { return "(" + w.truth() + " ? " + w.text() + " : " + w.text() + ")" },
	)
}

func (w *writer) texts() string {
	return w.pick(
		func() string { return "params.tags" },
		func() string { return "[" + w.text() + ", " + w.text() + "]" },
		func() string { return "split(" + w.text() + `, ",")` },
		func() string { of := w.texts(); return "filter(" + of + ", " + w.about(text) + ")" },
	)
}

func (w *writer) numbers() string {
	return w.pick(
		func() string { return "params.marks" },
		func() string { return "[" + w.number() + ", 3]" },
		func() string {
			before := w.item
			w.item = number
			defer func() { w.item = before }()
			return "map(params.marks, # + " + w.number() + ")"
		},
	)
}

// oracle returns the result of expr's machine; ok is false if it fails.
func oracle(t testing.TB, text string, w world) (yes, ok bool) {
	env := w.nested()
	env["nps_score"], env["csat_score"] = w["response.score.nps"], w["response.score.csat"]
	env["feedback"] = w["response.feedback"]
	env["params"] = env["respondent"].(map[string]any)["params"]
	prog, err := expr.Compile(text, expr.AllowUndefinedVariables(), expr.Optimize(false))
	if err != nil {
		t.Fatalf("expr does not compile %s: %v", text, err)
	}
	out, err := expr.Run(prog, env)
	if err != nil {
		return false, false
	}
	yes, ok = out.(bool)
	return yes, ok
}

func checkAgreement(t testing.TB, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	condition := (&writer{r: r}).truth()
	c, err := CompileCondition(condition)
	if err != nil {
		if len(condition) > 1000 { // deeper or longer than a rule may be
			return
		}
		t.Fatalf("seed %d: %s: %v", seed, condition, err)
	}
	full := newWorld(r)
	want, ok := oracle(t, condition, full)
	got := c.Match(full.event(t))
	if !ok {
		t.Fatalf("seed %d: expr has no answer to %s", seed, condition)
	}
	if got.Truth != truthOf(want) || got.Err != nil || len(got.Faults) > 0 {
		t.Fatalf("seed %d: %s\nof %v\nis %v %+v, and %v in expr", seed, condition, full, got.Truth, got, want)
	}
	// Now without some fields.
	part := world{}
	for _, f := range worldFields {
		if r.IntN(3) > 0 {
			part[f.name] = full[f.name]
		}
	}
	some := c.Match(part.event(t))
	if some.Err != nil {
		t.Fatalf("seed %d: %s: %v", seed, condition, some.Err)
	}
	if some.Truth == Unknown {
		if len(some.Missing) == 0 {
			t.Fatalf("seed %d: %s of %v is unknown, and nothing is missing", seed, condition, part)
		}
		return
	}
	if strings.Contains(condition, "filter(") || strings.Contains(condition, "count(") || strings.Contains(condition, "map(") {
		return // these leave out what is unknown, so that other values may say otherwise
	}
	for range 3 {
		filled := newWorld(r)
		maps.Copy(filled, part)
		if want, _ := oracle(t, condition, filled); some.Truth != truthOf(want) {
			t.Fatalf("seed %d: %s\nis %v of %v, but %v of %v", seed, condition, some.Truth, part, want, filled)
		}
	}
}

func TestAgreesWithExpr(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1500) {
		checkAgreement(t, seed)
	}
}

func FuzzAgreesWithExpr(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkAgreement(t, seed) })
}
