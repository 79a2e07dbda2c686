package jsonpath

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func marshalKey(key string) ([]byte, error) { return json.Marshal(map[string]string{key: "here"}) }

func TestCut(t *testing.T) {
	t.Parallel()
	const pretty = "{\n  \"first\": 1,\n  \"mid\": {\n    \"x\": [ 1, 2 ],\n    \"y\": 1.0\n  },\n  \"last\": \"z\"\n}\n"
	for name, c := range map[string]struct {
		text  string
		paths []string
		want  string
	}{
		"compact first":           {`{"a":1,"b":2,"c":3}`, []string{"a"}, `{"b":2,"c":3}`},
		"compact middle":          {`{"a":1,"b":2,"c":3}`, []string{"b"}, `{"a":1,"c":3}`},
		"compact last":            {`{"a":1,"b":2,"c":3}`, []string{"c"}, `{"a":1,"b":2}`},
		"first two":               {`{"a":1,"b":2,"c":3}`, []string{"a", "b"}, `{"c":3}`},
		"last two":                {`{"a":1,"b":2,"c":3}`, []string{"b", "c"}, `{"a":1}`},
		"both ends":               {`{"a":1,"b":2,"c":3}`, []string{"c", "a"}, `{"b":2}`},
		"all":                     {`{"a":1,"b":2}`, []string{"a", "b"}, `{}`},
		"only one":                {` { "a" : 1 } `, []string{"a"}, ` { } `},
		"pretty first":            {pretty, []string{"first"}, "{\n  \"mid\": {\n    \"x\": [ 1, 2 ],\n    \"y\": 1.0\n  },\n  \"last\": \"z\"\n}\n"},
		"pretty middle":           {pretty, []string{"mid"}, "{\n  \"first\": 1,\n  \"last\": \"z\"\n}\n"},
		"pretty last":             {pretty, []string{"last"}, "{\n  \"first\": 1,\n  \"mid\": {\n    \"x\": [ 1, 2 ],\n    \"y\": 1.0\n  }\n}\n"},
		"pretty nested first":     {pretty, []string{"mid.x"}, "{\n  \"first\": 1,\n  \"mid\": {\n    \"y\": 1.0\n  },\n  \"last\": \"z\"\n}\n"},
		"pretty nested last":      {pretty, []string{"mid.y"}, "{\n  \"first\": 1,\n  \"mid\": {\n    \"x\": [ 1, 2 ]\n  },\n  \"last\": \"z\"\n}\n"},
		"pretty nested all":       {pretty, []string{"mid.y", "mid.x"}, "{\n  \"first\": 1,\n  \"mid\": {\n  },\n  \"last\": \"z\"\n}\n"},
		"nowhere":                 {pretty, []string{"no", "mid.no", "first.x", "mid.x.y"}, pretty},
		"nothing to cut":          {pretty, nil, pretty},
		"array first":             {`{"a":[ 1 , 2 , 3 ]}`, []string{"a.0"}, `{"a":[ 2 , 3 ]}`},
		"array middle":            {`{"a":[ 1 , 2 , 3 ]}`, []string{"a.1"}, `{"a":[ 1 , 3 ]}`},
		"array last":              {`{"a":[1,2,3]}`, []string{"a.2"}, `{"a":[1,2]}`},
		"array in array":          {`[[1,2],[3]]`, []string{"0.1", "1"}, `[[1]]`},
		"of every element":        {`{"l":[{"e":1,"x":2},{"x":3},{"e":4}]}`, []string{"l.#.e"}, `{"l":[{"x":2},{"x":3},{}]}`},
		"every element":           {`{"l":[1,2,3],"m":[1]}`, []string{"l.#"}, `{"l":[],"m":[1]}`},
		"every and one":           {`{"l":[{"e":1,"f":1},{"e":2,"f":2}]}`, []string{"l.#.e", "l.1.f"}, `{"l":[{"f":1},{}]}`},
		"top level elements":      {`[{"a":1,"b":2},{"a":3}]`, []string{"#.a"}, `[{"b":2},{}]`},
		"# is no object's key":    {`{"l":{"#":1,"x":{"e":2}}}`, []string{"l.#", "l.#.e"}, `{"l":{"#":1,"x":{"e":2}}}`},
		"the key #":               {`{"l":{"#":1,"x":2}}`, []string{`l.\#`}, `{"l":{"x":2}}`},
		"a dotted key stays":      {`{"a.b":1,"a":{"b":2,"c":3}}`, []string{"a.b"}, `{"a.b":1,"a":{"c":3}}`},
		"a dotted key goes":       {`{"a.b":1,"a":{"b":2}}`, []string{`a\.b`}, `{"a":{"b":2}}`},
		"an escaped key":          {`{"\u0061nswers":{"x":1},"b":"\u0061"}`, []string{"answers"}, `{"b":"\u0061"}`},
		"a key that stands twice": {`{"answers":1,"b":2,"answers":3}`, []string{"answers"}, `{"b":2}`},
		"parent and child":        {`{"a":{"b":1,"c":2},"d":3}`, []string{"a.b", "a"}, `{"d":3}`},
		"odd bytes stay":          {"\t{\"a\":1e5,\"b\":1.00,\"c\":\"\\/\xff\"}\r\n", []string{"a"}, "\t{\"b\":1.00,\"c\":\"\\/\xff\"}\r\n"},
		"strings with brackets":   {`{"a":"}\"],","b":"[{","c":1}`, []string{"b"}, `{"a":"}\"],","c":1}`},
		"a scalar":                {`5`, []string{"a"}, `5`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := strings.Clone(c.text)
			got, err := Cut([]byte(c.text), c.paths)
			if err != nil || string(got) != c.want {
				t.Errorf("got  %q, %v\nwant %q", got, err, c.want)
			}
			if c.text != before {
				t.Error("the body was written to")
			}
		})
	}
}

// Cut refuses what it cannot cut, so that it is not sent uncut.
func TestCutRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path string }{
		{`a=1&b=2`, "a"},
		{``, "a"},
		{`{"a":1`, "a"},
		{`{"a":1}`, ""},
		{`{"a":1}`, "@this"},
		{`{"a":1}`, "a.#(x==1)"},
		{`{"a":1}`, "a*"},
		{`{"a":1}`, "a..b"},
		{`{"a":1}`, "a|b"},
		{`{"a":1}`, `a\`},
		{`{"a":1}`, "a.#x"},
	} {
		if got, err := Cut([]byte(c.text), []string{c.path}); err == nil {
			t.Errorf("Cut(%s, %s) = %s", c.text, c.path, got)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add([]byte(doc), "a.b", "list.#.v")
	f.Add([]byte(`{"a":1,"b":[{"c":2}],"a":3}`), "a", "b.0.c")
	f.Add([]byte("[1,\n 2 , 3]"), "0", "2")
	f.Add([]byte("{\"\xbd\":0}"), "\xbd", "A")
	f.Fuzz(func(t *testing.T, text []byte, one, two string) {
		got, err := Cut(text, []string{one, two})
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("Cut(%q, %q, %q) = %q, which is not JSON", text, one, two, got)
		}
		if len(got) > len(text) || (len(got) == len(text)) != (string(got) == string(text)) {
			t.Fatalf("Cut(%q, %q, %q) = %q", text, one, two, got)
		}
		if strings.ContainsAny(one+two, "#0123456789") {
			return // elements move up: the same path names another one
		}
		for _, path := range []string{one, two} {
			var p Paths
			if _, err := p.Add(path); err != nil {
				t.Fatalf("%q was cut but is no path: %v", path, err)
			}
			p.Extract(got, func(_ int, r Result) { t.Fatalf("%s of %q is still there: %s", path, got, r.Raw()) })
		}
		again, err := Cut(got, []string{one, two})
		if err != nil || string(again) != string(got) {
			t.Fatalf("cutting again changed %q to %q (%v)", got, again, err)
		}
		// Everything else says the same.
		var want, have any
		if json.Unmarshal(text, &want) == nil && json.Unmarshal(got, &have) == nil && !strings.Contains(string(text), `\u`) && utf8.Valid(text) {
			remove(want, one)
			remove(want, two)
			if !hasDuplicateKey(text) && !reflect.DeepEqual(want, have) {
				t.Fatalf("Cut(%q, %q, %q) = %q", text, one, two, got)
			}
		}
	})
}

func remove(v any, path string) {
	keys, err := split(path)
	if err != nil {
		return
	}
	for i, key := range keys {
		object, ok := v.(map[string]any)
		if !ok {
			return
		}
		if i == len(keys)-1 {
			delete(object, key)
		}
		v = object[key]
	}
}

// hasDuplicateKey reports whether any object has a duplicate key.
func hasDuplicateKey(text []byte) (found bool) {
	var walk func(Result)
	walk = func(r Result) {
		seen := map[string]bool{}
		r.ForEach(func(key string, v Result) bool {
			found = found || r.Kind() == Object && seen[key]
			seen[key] = true
			walk(v)
			return true
		})
	}
	walk(Parse(text))
	return found
}
