package event

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMany(t *testing.T) {
	t.Parallel()
	const good, bad = `{"type":"test","id":"a"}`, `{"type":"nope"}`
	const fault = "`type` is not a canonical type"
	nested := func(n int) string {
		return `{"type":"test","params":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n+1)
	}
	for name, c := range map[string]struct {
		body string
		want []string // the raw bytes, or the error
	}{
		"one":           {" \n" + good + "\n", []string{" \n" + good + "\n"}},
		"one bad":       {bad, []string{fault}},
		"one pretty":    {"{\n\"type\":\"test\"\n}", []string{"{\n\"type\":\"test\"\n}"}},
		"array":         {"[ " + good + " ,\n" + bad + ", 5, " + good + "]", []string{good, fault, "`event` must be an object, not a number", good}},
		"empty array":   {"[]", nil},
		"NDJSON":        {good + "\n" + bad + "\r\n\n  " + good, []string{good, fault, good}},
		"a broken line": {good + "\n{\"type\":}\n" + good + "\n", []string{good, "not JSON: not JSON at byte 8", good}},
		"a CloudEvent":  {`[{"specversion":"1.0","type":"test","id":"1"}]`, []string{`{"specversion":"1.0","type":"test","id":"1"}`}},
		"a deep line":   {good + "\n{\"params\":" + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 71), []string{good, ErrTooDeep.Error()}},
		"deep element":  {"[" + good + `,{"params":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 71) + "]", []string{good, ErrTooDeep.Error()}},
		"deepest one":   {"[" + nested(63) + "]", []string{nested(63)}},
		"a scalar":      {`5`, []string{"`event` must be an object, not a number"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := ParseMany([]byte(c.body), defaults)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range all {
				if (p.Event == nil) == (p.Err == nil) {
					t.Errorf("event %v, error %v", p.Event, p.Err)
				}
				if p.Err != nil {
					got = append(got, p.Err.Error())
					continue
				}
				got = append(got, string(p.Event.Raw.Body))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for body, want := range map[string]error{
		``: ErrNotJSON, `{`: ErrNotJSON, "[" + good + ",\n" + good: ErrNotJSON, good + good: ErrNotJSON, good + "\n{\"type\":\"te": ErrNotJSON,
		"{\"a\":\n" + good + "\n": ErrNotJSON, "a=1": ErrNotJSON, "\n": ErrNotJSON, good + "\n[]": ErrNotJSON,
		`{"type":"test","params":` + strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 65): ErrTooDeep,
		nested(64): ErrTooDeep,
		strings.Repeat("[", 1001) + strings.Repeat("]", 1001): ErrTooDeep,
		"[1" + strings.Repeat(",1", MaxEvents) + "]":          ErrTooManyEvents,
		strings.Repeat("{}\n", MaxEvents+1):                   ErrTooManyEvents,
	} {
		if all, err := ParseMany([]byte(body), defaults); !errors.Is(err, want) || all != nil {
			t.Errorf("%.40q: %d results, %v; want %v", body, len(all), err, want)
		}
	}
}
