package expression

import (
	"encoding/json"
	"errors"
	"html"
	"runtime"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/rules/event"
)

// large is an event with a text that is repeated until it is 900,000 bytes long, in its data and in its raw body.
func large(tb testing.TB, of string) *event.Event {
	tb.Helper()
	text, err := json.Marshal(strings.Repeat(of, 900_000/len(of)))
	if err != nil {
		tb.Fatal(err)
	}
	ev := parse(tb, `{"type":"response.completed","params":{"text":`+string(text)+`,"list":[`+strings.TrimSuffix(strings.Repeat("1,", 4000), ",")+`]}}`)
	ev.Raw = event.Raw{Body: []byte(`{"a":` + string(text) + `}`)}
	return ev
}

func values(tb testing.TB, pairs ...Pair) Values {
	tb.Helper()
	v, err := CompileValues(pairs)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// The budget bounds memory during the evaluation, for every kind of expression. Not parallel, because it counts memory.
func TestBuildBudget(t *testing.T) {
	holes := MustText(strings.Repeat(`{{ raw("a") }}`, 240))
	var many, nested []Pair
	for i := range 500 {
		key := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		many = append(many, Pair{Key: key, Value: "params.text"})
		nested = append(nested, Pair{Key: key, Value: []any{"'a {{ params.text }}'", []Pair{{Key: "b", Value: "[params.text]"}}}})
	}
	of := func(v Values, escape ...func(string) string) func(*event.Event) error {
		return func(ev *event.Event) error { _, err := v.Evaluate(ev, escape...); return err }
	}
	text := func(text Text, escape ...func(string) string) func(*event.Event) error {
		return func(ev *event.Event) error { _, err := text.Render(ev, escape...); return err }
	}
	one := MustText("{{ params.text }}")
	for _, tt := range []struct {
		name  string
		of    string // the event's text
		build func(*event.Event) error
	}{
		{"holes", "a", text(holes)},
		{"values", "a", of(values(t, many...))},
		{"nested", "a", of(values(t, nested...))},
		{"a list of one text many times", "a", text(MustText("{{ map(params.list, params.text) }}"))},
		{"the same as a value", "a", of(values(t, Pair{"list", "map(params.list, params.text)"}))},
		{"what JSON escapes", "\x01", text(one)},
		{"the same as a value", "\x01", of(values(t, Pair{"text", "params.text"}))},
		{"the same in an object", "\x01", of(values(t, Pair{"text", "params"}))},
		{"what a product escapes", "<>", text(one, html.EscapeString, html.EscapeString)},
		{"the same as a value", "<>", of(values(t, Pair{"text", "[params.text]"}), html.EscapeString, html.EscapeString)},
		{"an object in a text", `"`, text(MustText("{{ params }}{{ params }}"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := large(t, tt.of)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := tt.build(ev)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, event.ErrSize) {
				t.Errorf("error %v", err)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20 {
				t.Errorf("took %d MiB", made>>20)
			}
			if err := tt.build(parse(t, `{"type":"response.completed","params":{"text":"a"}}`)); err != nil {
				t.Errorf("of a small event: %v", err)
			}
		})
	}
}

// All texts and values of one request share its budget of bytes and work.
func TestOneBudgetForARequest(t *testing.T) {
	t.Parallel()
	ev := large(t, "a")
	small := MustText("{{ params.text }}")
	within := ev.WithBudget(event.NewBudget())
	for i := range 10 {
		_, err := small.Render(within)
		if failed := err != nil; failed != (i >= 4) { // of 900,000 bytes each
			t.Fatalf("text %d: %v", i, err)
		}
	}
	if !within.Budget().Exceeded() || !errors.Is(within.Budget().Spend(0, 0), event.ErrSize) {
		t.Error("the budget is not over")
	}
	if _, err := small.Render(ev); err != nil {
		t.Errorf("without a budget, each has its own: %v", err)
	}
	if got := within.Data(); got != ev.Data() {
		t.Error("its content is decoded twice")
	}
}

func TestOneBudgetOfWork(t *testing.T) {
	t.Parallel()
	ev := large(t, "a")
	v := values(t, Pair{"n", "count(params.list, # in params.list)"}, Pair{"m", "count(params.list, # > 0)"})
	within := ev.WithBudget(event.NewBudget())
	n := 0
	for ; n < 1000; n++ {
		if _, err := v.Evaluate(within); err != nil {
			if !errors.Is(err, event.ErrWork) {
				t.Fatal(err)
			}
			break
		}
	}
	if n == 0 || n > 100 {
		t.Errorf("%d of 1000 were built", n)
	}
}

// The budget counts bytes as JSON.
func TestJSONLength(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", "\"\\/", "\n\r\t\b\f\x00\x1f\x7f", "é€😀", "\u2028\u2029", "\xff a\xc3", "<>&"} {
		j, err := marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := jsonLength(s) + len(`""`); got < len(j) || got > len(j)+8 {
			t.Errorf("%q is %d in JSON, counted as %d", s, len(j), got)
		}
	}
}
