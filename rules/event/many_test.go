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
		"a broken line": {good + "\n{\"type\":}\n" + good + "\n", []string{good, "not JSON: broken at byte 8", good}},
		"cut off":       {good + "\n{\"type\":\"te", []string{good, "not JSON: broken at byte 11"}},
		"other lines":   {good + "\n[]\nx", []string{good, "`event` must be an object, not an array", "not JSON: broken at byte 0"}},
		"bad first":     {"x\n" + good + "\n" + good, []string{"not JSON: broken at byte 0", good, good}},
		"a CloudEvent":  {`[{"specversion":"1.0","type":"test","id":"1","source":"a"}]`, []string{`{"specversion":"1.0","type":"test","id":"1","source":"a"}`}},
		"a deep line":   {good + "\n{\"params\":" + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 71), []string{good, ErrTooDeep.Error()}},
		"deep element":  {"[" + good + `,{"params":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 71) + "]", []string{good, ErrTooDeep.Error()}},
		"deepest one":   {"[" + nested(63) + "]", []string{nested(63)}},
		"a mark":        {"\ufeff " + good, []string{"\ufeff " + good}},
		"marked array":  {"\ufeff[" + good + "]", []string{good}},
		"marked lines":  {"\ufeff" + good + "\n" + bad + "\n" + good, []string{"\ufeff" + good, fault, good}},
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
		``: ErrNotJSON, `{`: ErrNotJSON, "[" + good + ",\n" + good: ErrNotJSON, good + good: ErrNotJSON,
		"{\"a\":\n" + good + "\n": ErrNotJSON, "a=1": ErrNotJSON, "\n": ErrNotJSON, "x\n" + good: ErrNotJSON,
		"[\n" + good + ",\n" + good + ",\n" + good + "\n":                                        ErrNotJSON,
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

// Each result of NDJSON has its line number, also with empty lines in between.
func TestParseLines(t *testing.T) {
	t.Parallel()
	const good = `{"type":"test","id":"a"}`
	all, err := ParseLines([]byte("\n"+good+"\r\n\n{\n"+good), defaults)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, p := range all {
		if (p.Err == nil) != (p.Line != 4) {
			t.Errorf("line %d: %v", p.Line, p.Err)
		}
		got = append(got, p.Line)
	}
	if diff := cmp.Diff([]int{2, 4, 5}, got); diff != "" {
		t.Error(diff)
	}
	if one, err := ParseLines([]byte(good), defaults); err != nil || len(one) != 1 || one[0].Line != 1 {
		t.Errorf("%v, %v", one, err)
	}
	for body, want := range map[string]error{"": ErrNotJSON, " \n": ErrNotJSON, strings.Repeat("x\n", MaxEvents+1): ErrTooManyEvents} {
		if all, err := ParseLines([]byte(body), defaults); !errors.Is(err, want) || all != nil {
			t.Errorf("%.40q: %d results, %v; want %v", body, len(all), err, want)
		}
	}
}
