package jsonpath

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const doc = ` {"a": {"b": [1, {"c": "x\u00e7"}, null], "b.c": 7, "b": "second"}, "a.b": "flat", "n": 12345678901234567890,
 "list": [{"t": "E", "v": 1}, {"t": "F", "v": 2}], "yes": true, "no": false, "empty": "", "esc\u0061ped": 1, "obj": {}} `

func TestRead(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		kind Kind
		text string
	}{
		"a.b.0":               {Number, "1"},
		"a.b.1.c":             {String, "xç"},
		"a.b.2":               {Null, ""},
		"a.b.3":               {Absent, ""},
		`a\.b`:                {String, "flat"},
		"n":                   {Number, "12345678901234567890"},
		"list.#":              {Number, "2"},
		"list.#.v":            {Array, "[1,2]"},
		`list.#(t=="F").v`:    {Number, "2"},
		`list.#.t|0`:          {String, "E"},
		"yes":                 {Bool, "true"},
		"no":                  {Bool, "false"},
		"empty":               {String, ""},
		"obj":                 {Object, "{}"},
		"escaped":             {Number, "1"},
		"nowhere":             {Absent, ""},
		"nowhere.#":           {Absent, ""},
		"":                    {Absent, ""},
		"obj.@keys":           {Array, "[]"},
		"list.#(t==\"Z\").v":  {Absent, ""},
		"list.#(t==\"Z\")#.v": {Array, "[]"},
	} {
		got := Read([]byte(doc), path)
		if got.Kind() != want.kind || got.Text() != want.text || got.Exists() != (want.kind != Absent) {
			t.Errorf("Read(%s) is %v %q, want %v %q", path, got.Kind(), got.Text(), want.kind, want.text)
		}
	}
	if got := Read([]byte(doc), "@this"); got.Kind() != Object {
		t.Errorf("@this is %v", got.Kind())
	}
	if Read(nil, "a").Exists() {
		t.Error("something was read from nothing")
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{`1`: 1, `-2.5e1`: -25, `"3"`: 3, `" 4.5 "`: 4.5} {
		if got, ok := Parse([]byte(text)).Number(); !ok || got != want {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{``, `"x"`, `""`, `" "`, `"1x"`, `"0x1"`, `"Inf"`, `"NaN"`, `"1_000"`, `"+1"`, `true`, `null`, `[1]`, `{}`, `1e400`} {
		if got, ok := Parse([]byte(text)).Number(); ok {
			t.Errorf("%s is the number %v", text, got)
		}
	}
	for text, want := range map[string][2]bool{`true`: {true, true}, `false`: {false, true}, `1`: {}, `"true"`: {}, `null`: {}} {
		if v, ok := Parse([]byte(text)).Bool(); v != want[0] || ok != want[1] {
			t.Errorf("%s is %v, %v", text, v, ok)
		}
	}
	for text, want := range map[string]string{
		`"a\"\\\/\b\f\n\r\t\u0041"`: "a\"\\/\b\f\n\r\tA",
		`"\ud83d\ude00"`:            "😀",
		`"\ud83d"`:                  "\ufffd",
		`"\ud83d\u0041"`:            "\ufffdA",
		`"\ude00\ud83d"`:            "\ufffd\ufffd",
		"\"\xff\"":                  "\ufffd",
		`[1, 2]`:                    "[1, 2]",
		`1.50`:                      "1.50",
	} {
		if got := Parse([]byte(text)).Text(); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

func TestForEach(t *testing.T) {
	t.Parallel()
	type pair struct{ Key, Value string }
	each := func(text string) (pairs []pair) {
		Parse([]byte(text)).ForEach(func(key string, value Result) bool {
			pairs = append(pairs, pair{key, string(value.Raw())})
			return len(pairs) < 3
		})
		return pairs
	}
	for text, want := range map[string][]pair{
		` { "a" : 1 , "\u0062" : [ 1 , {} ] , "a" : "x" , "never" : 0 } `: {{"a", "1"}, {"b", "[ 1 , {} ]"}, {"a", `"x"`}},
		`[true,null,"\"]"]`: {{"", "true"}, {"", "null"}, {"", `"\"]"`}},
		`{}`:                nil, ` [ ] `: nil, `1`: nil, `"{}"`: nil, ``: nil,
	} {
		if diff := cmp.Diff(want, each(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for text, offset := range map[string]int{
		``: 0, ` `: 1, `{`: 1, `[1,`: 3, `[1,]`: 3, `{"a":1,}`: 7, `{"a" 1}`: 5, `{a:1}`: 1, `[1 2]`: 3, `{"a":1]`: 6, `[1}`: 2, `01`: 1, `1.`: 2, `-`: 1, `tru`: 0,
		"\"\n\"": 1, `"\x"`: 2, `"\u00g0"`: 2, `"abc`: 4, `1 2`: 2, `{}}`: 2,
	} {
		var syntax *SyntaxError
		if err := Check([]byte(text), MaxDepth); !errors.As(err, &syntax) || syntax.Offset != offset {
			t.Errorf("%q: %v, want a fault at %d", text, err, offset)
		}
		if Valid([]byte(text)) || json.Valid([]byte(text)) {
			t.Errorf("%q is valid", text)
		}
	}
	nest := func(n int) []byte {
		return []byte(strings.Repeat(`{"a":[`, n/2) + strings.Repeat(`]}`, n/2))
	}
	if err := Check(nest(64), 64); err != nil {
		t.Errorf("64 levels: %v", err)
	}
	if err := Check(nest(66), 64); !errors.Is(err, ErrTooDeep) {
		t.Errorf("66 levels: %v", err)
	}
	if err := Check([]byte(strings.Repeat("[", 1<<20)), 1<<20); !errors.Is(err, ErrTooDeep) {
		t.Errorf("a million levels: %v", err)
	}
}

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"a", "a.b.0", `a\.b`, "a.#.b", `a.#(t=="X (").v`, "a|@flatten", "@this", `a.@flatten:{"deep":true}`, "{a,b.c}", "a*"} {
		if err := CheckPath(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"", "a.#(t==", "a.@nope", "@nope", "a.b)", `a.#(t=="x)`, "{a,b"} {
		if err := CheckPath(path); err == nil {
			t.Errorf("%s passed", path)
		}
	}
}

func TestOffset(t *testing.T) {
	t.Parallel()
	in := []byte(` {"a": {"b": [1, 22]}}`)
	if at := Read(in, "a.b.1").Offset(in); string(in[at:at+2]) != "22" {
		t.Errorf("offset %d", at)
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{doc, `[]`, `{"a":`, `"\ud83d"`, `-0.0e+1`, "\"\x00\"", `[[[{}]]]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := Check(text, 200)
		if !errors.Is(err, ErrTooDeep) && (err == nil) != json.Valid(text) {
			t.Fatalf("Check(%q) = %v, encoding/json says %v", text, err, json.Valid(text))
		}
		// Whatever the bytes are, reading them neither panics nor runs for ever.
		r := Parse(text)
		_ = r.Text()
		r.ForEach(func(_ string, v Result) bool { _, _ = v.Number(); _, _ = v.Bool(); _ = v.Text(); return true })
		Read(text, "a.b")
		var p Paths
		_, _ = p.Add("a.b.0")
		_, _ = p.Add("1.a")
		p.Extract(text, func(int, Result) {})
	})
}
