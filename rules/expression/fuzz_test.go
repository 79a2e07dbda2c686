package expression

import (
	"errors"
	"testing"
	"time"
	"unicode/utf8"
)

// fuzzEvent has all kinds of fields, and lists that are long enough to reveal an unbounded loop.
var fuzzEvent = `{"type":"response.completed","nps_score":3,"feedback":"Çok slow","email":"jo@example.com","consent":true,
	"params":{"list":[1,2,3,"a",null,[1,[2]],{"k":"v"}],"o":{"k":1}},
	"response":{"answers":{"4":["red","blue"],"why":"slow"},"result":{"title":"x"}}}`

// checkFaults checks that the position of every fault is within its text.
func checkFaults(t *testing.T, text string, err error) {
	t.Helper()
	var faults Errors
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("%q: an error of another kind: %v", text, err)
	}
	for _, fault := range faults {
		if fault.Offset < 0 || fault.Length < 0 || fault.Offset > len(text) || fault.Offset+fault.Length > max(len(text), fault.Offset+1) {
			t.Fatalf("%q: offset %d, length %d: %s", text, fault.Offset, fault.Length, fault.Message)
		}
		if utf8.ValidString(text) && fault.Offset < len(text) && !utf8.RuneStart(text[fault.Offset]) {
			t.Fatalf("%q: offset %d is within a letter: %s", text, fault.Offset, fault.Message)
		}
		if fault.Message == "" {
			t.Fatalf("%q: a fault without a word", text)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		"nps_score <= 6", "not has(email) and feedback contains 'x'", `any(response.answers, .value == "slow")`,
		`answer("4")[0] in ["red"] or raw("a.#.b") == 1`, "(nps_score ?? 10) <= 6 ? consent : true", "feedback matches '(?i)s.*w'",
		"nps_score = 6", "“x”", "((((", "a.b.c[1]['x'].d", "count(filter(map(params.list, #), # > 1)) > 1", "1 < 2 < 3", "-+-1 ** 2 ^ 3 % 4 == 1",
		"feedback | lower() | split('s') | len() > 1", "`x``y` == email", "params?.o?.k == 1", "first([]) == last([nil])", "not", "x -> y", "{{", "\"\\u12\"", "0?𗗗",
	} {
		f.Add(seed)
	}
	ev := parse(f, fuzzEvent)
	empty := parse(f, `{"type":"test"}`)
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		c, err := CompileCondition(text)
		if err != nil {
			checkFaults(t, text, err)
			return
		}
		for range 2 { // twice: a frame that comes back from the pool must be clean
			full, none := c.Match(ev), c.Match(empty)
			for _, res := range []Result{full, none} {
				if res.Err != nil && !errors.Is(res.Err, errWork) {
					t.Fatalf("%q panics: %v", text, res.Err)
				}
				if res.Truth != Unknown && len(res.Missing) > 0 && res.Err == nil {
					t.Fatalf("%q is %v and misses %v", text, res.Truth, res.Missing)
				}
			}
			batch := NewBatch([]*Condition{c})
			r := batch.Read(ev)
			if truth, err := batch.Match(r, 0); truth != full.Truth || (err == nil) != (full.Err == nil) {
				t.Fatalf("%q is %v, %v in a batch and %v, %v alone", text, truth, err, full.Truth, full.Err)
			}
			r.Release()
		}
		if _, err := c.Explain(ev); err != nil && !errors.Is(err, errWork) {
			t.Fatalf("%q panics when explained: %v", text, err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Fatalf("%q took %v", text, took)
		}
	})
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{
		"NPS {{ nps_score }}", "{{", "{{ }}", "{{ answer('}}') }}", "{{ \"", "a }} b {{ email }}{{ params.o }}{{ params.list }}", "{{ phone ?? '' }}", "detractor", "'x'",
	} {
		f.Add(seed)
	}
	ev := parse(f, fuzzEvent)
	f.Fuzz(func(t *testing.T, s string) {
		text, err := CompileText(s)
		if err != nil {
			checkFaults(t, s, err)
		} else {
			plain, err := text.Render(ev)
			same, again := text.Render(ev, func(s string) string { return s })
			if plain != same || (err == nil) != (again == nil) {
				t.Fatalf("%q is %q, %v and %q, %v", s, plain, err, same, again)
			}
			if err != nil && !errors.Is(err, errWork) {
				t.Fatalf("%q panics: %v", s, err)
			}
			text.Missing(ev)
		}
		v, err := CompileValue(s)
		if err != nil {
			checkFaults(t, s, err)
			return
		}
		if out, present, err := v.Evaluate(ev); err != nil && !errors.Is(err, errWork) {
			t.Fatalf("%q panics: %v", s, err)
		} else if present {
			if _, err := marshal(out); err != nil {
				t.Fatalf("%q is %#v, which is no JSON: %v", s, out, err)
			}
		}
	})
}
