package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

type stableCase struct{ Text, Stable string }

// nodes are JSON texts and their form after JSON.parse and JSON.stringify in Node.js, written by testdata/stable.js.
func nodes(t testing.TB) []stableCase {
	t.Helper()
	file, err := os.ReadFile("testdata/stable.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []stableCase
	if err := json.Unmarshal(file, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 600 {
		t.Fatalf("testdata/stable.json holds %d cases; it is not whole", len(cases))
	}
	return cases
}

func TestStableJSONAgreesWithJavaScript(t *testing.T) {
	t.Parallel()
	for _, c := range nodes(t) {
		got, err := StableJSON([]byte(c.Text), RoundDigits)
		if err != nil {
			t.Errorf("Stable(%s): %v", c.Text, err)
			continue
		}
		if string(got) != c.Stable {
			t.Errorf("Stable(%s) = %s; Node.js writes %s", c.Text, got, c.Stable)
		}
		if again, err := StableJSON(got, RoundDigits); err != nil || string(again) != c.Stable {
			t.Errorf("Stable(Stable(%s)) = %s, %v", c.Text, again, err)
		}
	}
}

func TestStableJSONReturnsItsArgument(t *testing.T) {
	text := []byte(`{"1":2,"a":["x",{"b":1.5}]}`)
	got, err := StableJSON(text, RoundDigits)
	if err != nil || &got[0] != &text[0] {
		t.Fatalf("a copy was made of stable text: %s, %v", got, err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = StableJSON(text, RoundDigits) }); n != 0 {
		t.Errorf("%v allocations for stable text, want none", n)
	}
}

func TestCompactJSONIsLossless(t *testing.T) {
	t.Parallel()
	for _, c := range []stableCase{
		{`12345678901234567890`, `12345678901234567890`},
		{` 12345678901234567890.50 `, `12345678901234567890.50`},
		{`1e400`, `1e400`},
		{`1e-400`, `1e-400`},
		{`9007199254740993`, `9007199254740993`},
		{`9007199254740992`, `9007199254740992`},
		{`1e99999999999999999999`, `1e99999999999999999999`},
		{`0.1000`, `0.1`},
		{`1.0`, `1`},
		{`1E3`, `1000`},
		{`-0.0`, `0`},
		{`100000000000000000000`, `100000000000000000000`},
		{`1e23`, `1e+23`},
		{`{"a":1,"b":2,"a":3}`, `{"a":1,"b":2}`},
		{`{"b":1,"2":2,"1":3,"2":4}`, `{"1":3,"2":2,"b":1}`},
		{`[ "\u2028" , {} ]`, "[\"\u2028\",{}]"},
	} {
		if got, err := CompactJSON([]byte(c.Text)); err != nil || string(got) != c.Stable {
			t.Errorf("Compact(%s) = %s, %v; want %s", c.Text, got, err, c.Stable)
		}
	}
}

func TestStableJSONRefusesInvalidJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, ` `, `{`, `[`, `"`, `"\`, `"\u12`, `"\ux000"`, `"\x"`, "\"\n\"", "\"a\\n\n\"", `nul`, `nulls`, `tru`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{1:2}`, `[1,]`,
		`[1 2]`, `{"a":1 "b":2}`, `01`, `1.`, `.5`, `1e`, `+1`, `-`, `--1`, `1e+`, `0x1`, `NaN`, `Infinity`, `1 2`, `{}]`, `'a'`, "\ufeff1",
	} {
		got, err := StableJSON([]byte(text), RoundDigits)
		if _, ok := errors.AsType[*jsonpath.SyntaxError](err); !ok {
			t.Errorf("Stable(%q) = %q, %v; want a syntax error", text, got, err)
		}
		if json.Valid([]byte(text)) {
			t.Errorf("%q is JSON after all", text)
		}
	}
	deep := strings.Repeat("[", maxStableDepth+1) + strings.Repeat("]", maxStableDepth+1)
	if _, err := StableJSON([]byte(deep), RoundDigits); !errors.Is(err, ErrTooDeep) {
		t.Errorf("%d levels: %v, want ErrTooDeep", maxStableDepth+1, err)
	}
	if _, err := StableJSON([]byte(deep[1:len(deep)-1]), RoundDigits); err != nil {
		t.Errorf("%d levels: %v", maxStableDepth, err)
	}
}

func TestMarshal(t *testing.T) {
	t.Parallel()
	type named struct {
		B   string          `json:"b"`
		A   int64           `json:"a,omitempty"`
		One float64         `json:"1"`
		Raw json.RawMessage `json:"raw,omitempty"`
	}
	for _, c := range []struct {
		value any
		want  string
	}{
		{named{B: "<a href=\"x\">&\u2028", One: 1e21}, "{\"1\":1e+21,\"b\":\"<a href=\\\"x\\\">&\u2028\"}"},
		{named{A: 9007199254740993, Raw: json.RawMessage(` { "z" : 1.0, "3": "\u00e7" } `)}, `{"1":0,"b":"","a":9007199254740993,"raw":{"3":"ç","z":1}}`},
		{map[string]any{"10": 1, "9": 2, "b": nil, "a": []string{}}, `{"9":2,"10":1,"a":[],"b":null}`},
		{"\xff", "\"\ufffd\""},
		{[]byte(nil), `null`},
		{1e-7, `1e-7`},
	} {
		got, err := Marshal(c.value)
		if err != nil {
			t.Errorf("Marshal(%v): %v", c.value, err)
			continue
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("Marshal(%v) (-want +got):\n%s", c.value, diff)
		}
	}
	if _, err := Marshal(math.NaN()); err == nil {
		t.Error("NaN was written as JSON")
	}
}

// Concurrent calls must not share their result's memory.
func TestMarshalResultsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	first, _ := Marshal(map[string]int{"a": 1})
	second, _ := Marshal(map[string]int{"b": 2})
	third, _ := StableJSON([]byte(` {"c": 3} `), RoundDigits)
	if string(first) != `{"a":1}` || string(second) != `{"b":2}` || string(third) != `{"c":3}` {
		t.Errorf("got %s, %s and %s", first, second, third)
	}
}

func FuzzStable(f *testing.F) {
	for _, c := range nodes(f)[:120] {
		f.Add([]byte(c.Text))
	}
	f.Add([]byte("\"\xff\xc3\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := StableJSON(text, RoundDigits)
		if err != nil {
			if !errors.Is(err, ErrTooDeep) && json.Valid(text) {
				t.Fatalf("%q is JSON, but: %v", text, err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q is not JSON, but became %q", text, got)
		}
		if again, err := StableJSON(got, RoundDigits); err != nil || !bytes.Equal(got, again) {
			t.Fatalf("%q became %q and that %q (%v)", text, got, again, err)
		}
		exact, err := CompactJSON(text)
		if err != nil {
			t.Fatalf("Compact(%q): %v", text, err)
		}
		if again, err := CompactJSON(exact); err != nil || !bytes.Equal(exact, again) {
			t.Fatalf("%q was compacted to %q and that to %q (%v)", text, exact, again, err)
		}
		// It says the same, as far as encoding/json can tell: half surrogates are all alike to it, and numbers
		// beyond a double are errors.
		if bytes.Contains(bytes.ToLower(text), []byte(`\ud`)) {
			return
		}
		var want, have any
		if json.Unmarshal(text, &want) == nil {
			if err := json.Unmarshal(got, &have); err != nil || !reflect.DeepEqual(want, have) {
				t.Fatalf("%q became %q, which says something else (%v)", text, got, err)
			}
		}
	})
}

func BenchmarkStable(b *testing.B) {
	e := sample(b)
	b.Run("already", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(e.Envelope())))
		for b.Loop() {
			if _, err := StableJSON(e.Envelope(), RoundDigits); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pretty", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(e.Raw.Body)))
		for b.Loop() {
			if _, err := StableJSON(e.Raw.Body, RoundDigits); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Whole numbers that a double does not represent exactly keep their digits, as a number or as text.
func TestDigits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, keep, written, round string }{
		{`9007199254740993`, `9007199254740993`, `"9007199254740993"`, `9007199254740992`},
		{`-9007199254740993`, `-9007199254740993`, `"-9007199254740993"`, `-9007199254740992`},
		{`9007199254740992`, `9007199254740992`, `9007199254740992`, `9007199254740992`},
		{`12345678901234567890`, `12345678901234567890`, `"12345678901234567890"`, `12345678901234567000`},
		{`100000000000000000000000`, `1e+23`, `1e+23`, `1e+23`},
		{`100000000000000000000001`, `100000000000000000000001`, `"100000000000000000000001"`, `1.0000000000000001e+23`},
		{`1.2345678901234567891e19`, `1.2345678901234567891e19`, `"1.2345678901234567891e19"`, `12345678901234567000`},
		{`0.12345678901234567890123`, `0.12345678901234568`, `0.12345678901234568`, `0.12345678901234568`},
		{`9007199254740993.5`, `9007199254740994`, `9007199254740994`, `9007199254740994`},
		{`1e400`, `null`, `null`, `null`},
		{strings.Repeat("9", 400), strings.Repeat("9", 400), `"` + strings.Repeat("9", 400) + `"`, `null`},
		{`{"a":[9007199254740993]}`, `{"a":[9007199254740993]}`, `{"a":["9007199254740993"]}`, `{"a":[9007199254740992]}`},
	} {
		for digits, want := range map[Digits]string{KeepDigits: c.keep, TextDigits: c.written, RoundDigits: c.round} {
			got, err := StableJSON([]byte(c.text), digits)
			if err != nil || string(got) != want {
				t.Errorf("%s, %d: %s, %v; want %s", c.text, digits, got, err, want)
			}
			if again, err := StableJSON(got, digits); err != nil || string(again) != want {
				t.Errorf("%s again: %s, %v", got, again, err)
			}
			if got, err := MarshalDigits(json.RawMessage(c.text), digits); err != nil || string(got) != want {
				t.Errorf("Marshal %s, %d: %s, %v; want %s", c.text, digits, got, err, want)
			}
		}
	}
}
