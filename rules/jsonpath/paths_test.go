package jsonpath

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
)

func extract(t testing.TB, text string, paths ...string) map[string]string {
	t.Helper()
	var p Paths
	slots := map[int]string{}
	for _, path := range paths {
		slot, err := p.Add(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		slots[slot] = path
	}
	found := map[string]string{}
	p.Extract([]byte(text), func(slot int, v Result) {
		if _, twice := found[slots[slot]]; twice {
			t.Errorf("%s was given twice", slots[slot])
		}
		found[slots[slot]] = string(v.Raw())
	})
	indexed := map[string]string{}
	if x := new(Index); x.Check([]byte(text), MaxDepth) == nil {
		all := make([]Result, p.Len())
		x.Extract(&p, x.Root(), all)
		for slot, v := range all {
			if v.Exists() {
				indexed[slots[slot]] = string(v.Raw())
			}
		}
	}
	if diff := cmp.Diff(found, indexed); diff != "" {
		t.Errorf("an index finds other values (-want +got):\n%s", diff)
	}
	return found
}

func TestExtract(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		paths []string
		want  map[string]string
	}{
		"nested": {
			`{"a":{"b":{"c":1},"x":2},"d":"e"}`,
			[]string{"a.b.c", "a", "a.b", "d", "a.y", "z"},
			map[string]string{"a.b.c": "1", "a": `{"b":{"c":1},"x":2}`, "a.b": `{"c":1}`, "d": `"e"`},
		},
		"a literal dotted key is no nested path": {
			`{"survey.type":"nps","survey":{"type":"csat"},"response.score":{"nps":1}}`,
			[]string{"survey.type", "response.score.nps"},
			map[string]string{"survey.type": `"csat"`},
		},
		"only the literal key": {`{"a.b":1,"a":{"b.c":2}}`, []string{"a.b", "a.b.c"}, map[string]string{}},
		"an escaped dot":       {`{"a.b":1,"a":{"b":2}}`, []string{`a\.b`}, map[string]string{`a\.b`: "1"}},
		"arrays by place": {
			`{"l":[{"e":"x"},{"e":"y"}],"0":"key"}`,
			[]string{"l.1.e", "l.0", "0", "l.2", "l.e"},
			map[string]string{"l.1.e": `"y"`, "l.0": `{"e":"x"}`, "0": `"key"`},
		},
		"an array at the top":   {` [ 1 , [ 2 ] ] `, []string{"1.0", "0"}, map[string]string{"1.0": "2", "0": "1"}},
		"null is there":         {`{"a":null,"b":{"c":null}}`, []string{"a", "b.c"}, map[string]string{"a": "null", "b.c": "null"}},
		"the first of two":      {`{"a":1,"a":2,"b":{"c":1},"b":{"c":2,"d":3}}`, []string{"a", "b.c", "b.d"}, map[string]string{"a": "1", "b.c": "1"}},
		"escaped keys":          {`{"\u0061":{"\"":1}}`, []string{`a.\"`}, map[string]string{`a.\"`: "1"}},
		"a scalar on the way":   {`{"a":"b","c":[]}`, []string{"a.b", "c.0", "c.d.e"}, map[string]string{}},
		"after a deep one":      {`{"a":{"b":1,"z":[{"b":2}]},"c":3}`, []string{"a.b", "c"}, map[string]string{"a.b": "1", "c": "3"}},
		"braces inside strings": {`{"x":"}{\"]","a":{"s":"}","t":1,"u":"\\"},"b":2}`, []string{"a.t", "b"}, map[string]string{"a.t": "1", "b": "2"}},
		"a scalar":              {`1`, []string{"a"}, map[string]string{}},
		"nothing asked":         {`{"a":1}`, nil, map[string]string{}},
		"nothing there":         {``, []string{"a"}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, extract(t, c.text, c.paths...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// More keys at one level than the bits of seen.low.
func TestExtractManyKeys(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	var paths []string
	want := map[string]string{}
	text.WriteString(`{"m":{`)
	for i := range 200 {
		fmt.Fprintf(&text, `"k%d":%d,"k%d":-1,`, i, i, i)
		paths = append(paths, fmt.Sprintf("m.k%d", i))
		want[paths[i]] = fmt.Sprint(i)
	}
	text.WriteString(`"z":0}}`)
	if diff := cmp.Diff(want, extract(t, text.String(), paths...)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPathsAdd(t *testing.T) {
	t.Parallel()
	var p Paths
	first, _ := p.Add("a.b")
	second, _ := p.Add("a")
	again, _ := p.Add("a.b")
	if first != 0 || second != 1 || again != 0 || p.Len() != 2 {
		t.Errorf("slots %d, %d, %d of %d", first, second, again, p.Len())
	}
	for _, path := range []string{"", ".", "a.", ".a", "a..b", "a.#", "a|b", "@this", "a*", "a?", `a\`, "a.#(x==1)", "{a,b}", "!x"} {
		if _, err := p.Add(path); err == nil || IsPlain(path) {
			t.Errorf("%q was taken for a plain path", path)
		}
	}
}

func TestEscapeIsReadAsOneKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"a", "a.b", "a*b", "#", "@this", `back\slash`, "ç.ü", "a|b", "q[1]", "meta/id", `"q"`, "1", "a b", "{x}", "!", "_id", "-1", ":7", "(", "%", "<", "="} {
		text, err := marshalKey(key)
		if err != nil {
			t.Fatal(err)
		}
		path := Escape(key)
		if got := Read(text, path); got.Text() != "here" {
			t.Errorf("Read(%s, %s) is %q", text, path, got.Text())
		}
		if got := extract(t, string(text), path); got[path] != `"here"` {
			t.Errorf("Extract(%s, %s) is %v", text, path, got)
		}
		if cut, err := Cut(text, []string{path}); err != nil || string(cut) != "{}" {
			t.Errorf("Cut(%s, %s) is %s, %v", text, path, cut, err)
		}
	}
}

// Extract and Read agree.
func FuzzExtract(f *testing.F) {
	f.Add([]byte(doc), "a.b.1.c")
	f.Add([]byte(`{"a":1,"a":{"b":2}}`), "a.b")
	f.Add([]byte(`{"\u0061":{"b":[{"c":"\\\""}]}}`), "a.b.0.c")
	f.Add([]byte(`"[{0000)M0"`), "1")
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		if !Valid(text) {
			return
		}
		var p Paths
		if _, err := p.Add(path); err != nil {
			return
		}
		var got Result
		p.Extract(text, func(_ int, r Result) { got = r })
		sameByIndex(t, text, &p, got)
		if want := Read(text, path); string(want.Raw()) != string(got.Raw()) {
			t.Fatalf("%s of %q: Extract gives %q, Read %q", path, text, got.Raw(), want.Raw())
		}
		// gjson agrees, but for spellings that it reads in ways of its own, half surrogates, keys that stand twice, and
		// brackets inside a document that is nothing but a text: it looks into those.
		if strings.HasPrefix(strings.TrimSpace(string(text)), `"`) || strings.ContainsAny(path, "\\:~^%<>=,") || strings.HasPrefix(path, "0") || strings.Contains(path, ".0") || len(path) > 60 ||
			strings.Contains(strings.ToLower(string(text)), `\u`) || hasDuplicateKey(text) {
			return
		}
		if want := gjson.GetBytes(text, path); want.Raw != string(got.Raw()) {
			t.Fatalf("%s of %q: Extract gives %q, gjson %q", path, text, got.Raw(), want.Raw)
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	text := []byte(`{"raw":{"content_type":"application/json","encoding":"utf8","sha256":"462576f8cd2e0b57cab9af5a7c0157f43053430aef0c49959f8639bf2c20ed8d"},"account":{"id":"550e8400-e29b-41d4-a716-446655440001"},"survey":{"id":"550e8400-e29b-41d4-a716-446655440000","title":"Customer Satisfaction Survey","type":"nps"},"response":{"id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","completed_at":"2024-01-01T12:00:00Z","duration_s":45,"score":{"nps":9},"answers":[{"question_id":"1","type":"nps","value":9},{"question_id":"2","value":"Great service and friendly staff!"}]},"respondent":{"email":"john@example.com","phone":"+1234567890"},"context":{"ip":"192.168.1.1","user_agent":"Mozilla/5.0..."}}`)
	var p Paths
	for _, path := range []string{"response.score.nps", "survey.id", "survey.type", "respondent.email", "context.country"} {
		if _, err := p.Add(path); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	n := 0
	for b.Loop() {
		p.Extract(text, func(int, Result) { n++ })
	}
	if n == 0 {
		b.Fatal("nothing found")
	}
}

func BenchmarkCheck(b *testing.B) {
	text := []byte(doc)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := Check(text, MaxDepth); err != nil {
			b.Fatal(err)
		}
	}
}

// Quotes, backslashes and control characters are found at every position of a long string.
func TestLongStrings(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		fill := strings.Repeat("x", n)
		for text, good := range map[string]bool{
			`"` + fill + `"`: true, `"` + fill + `\""`: true, `"` + fill + `é\\"`: true, `"` + fill + "\x7f\u0080ÿ\"": true,
			`"` + fill: false, `"` + fill + `\"`: false, `"` + fill + "\x1f" + fill + `"`: false, `"` + fill + "\x00\"": false, `"` + fill + `\`: false, `"` + fill + `\x"`: false,
		} {
			if err := Check([]byte(text), 1); (err == nil) != good {
				t.Errorf("%q: %v", text, err)
			}
			if !good {
				continue
			}
			body := `{"a":` + text + `,"b":[` + text + `,7],"c":9}`
			if got := Read([]byte(body), "a"); string(got.Raw()) != text {
				t.Errorf("%q read as %q", text, got.Raw())
			}
			if got := Read([]byte(body), "c"); string(got.Raw()) != "9" {
				t.Errorf("behind %q stands %q", text, got.Raw())
			}
		}
	}
}

// The first member with a duplicate key counts, also before a part of the path that only gjson understands.
func TestDuplicateKeys(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, path, want string }{
		{`{"a":[{"b":1}],"a":[{"b":2}]}`, "a.#.b", `[1]`},
		{`{"a":5,"a":[{"b":2}]}`, "a.#.b", ``},
		{`{"a":null,"a":[{"b":2}]}`, "a.#.b", ``},
		{`{"x":{"a":[]},"x":{"a":[{"b":2}]}}`, "x.a.#.b", `[]`},
		{`{"x":{},"x":{"a":[{"b":2}]}}`, "x.a.#(b==2).b", ``},
		{`{"x":{"k1":1},"x":{"k2":1}}`, "x.@keys.0", `"k1"`},
		{`{"x":[[1],[2]],"x":[[3]]}`, "x|@flatten", `[1,2]`},
		{`{"x":"s"}`, "x.@this", `"s"`},
		{`{"a.b":[{"c":1}]}`, `a\.b.#.c`, `[1]`},
		{`[{"a":[{"c":1}]}]`, `0.a.#.c`, `[1]`},
		{`[{"a":[{"c":1}]}]`, `1.a.#.c`, ``},
		{`{"a":{"b":[{"t":"x.y","c":1}]}}`, `a.b.#(t=="x.y").c`, `1`},
	}
	for _, tt := range tests {
		if got := string(Read([]byte(tt.text), tt.path).Raw()); got != tt.want {
			t.Errorf("%s of %s is %q, want %q", tt.path, tt.text, got, tt.want)
		}
	}
}
