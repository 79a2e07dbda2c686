package jsonpath

import (
	"strings"
	"testing"
)

// Elements finds the same values as Read.
func TestElements(t *testing.T) {
	t.Parallel()
	paths := []string{"a", "b.c", "b.d.0", "x y", "0"}
	var p Paths
	for _, path := range paths {
		if _, err := p.Add(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{
		`[]`, ` [ ] `, `[1,"a",null,true]`, `[{"a":1}]`, `[{"a":1,"b":{"c":2,"d":[3]}} , {"b":{"d":[]},"x y":{"a":5}},[7,{"a":1}],{"a":1,"a":2}]`,
		`[{"a":"]}\"\\"},{"a":"\\\\"}]`, `{"a":[1]}`, `"a"`, `[[[]],{"a":{"b":1}}]`,
	} {
		var x Index
		if err := x.Check([]byte(text), MaxDepth); err != nil {
			t.Fatal(err)
		}
		for _, list := range []Result{x.Root(), Parse(x.JSON()), Parse([]byte(text))} { // the last is not in what was indexed
			elements(t, &x, &p, paths, list)
		}
		// Of what is too long no places are kept.
		if err := x.Check([]byte(text+strings.Repeat(" ", maxIndexed)), MaxDepth); err != nil {
			t.Fatal(err)
		}
		elements(t, &x, &p, paths, x.Root())
	}
	n := 0
	var x Index
	if err := x.Check([]byte(`[1,2,3]`), 1); err != nil {
		t.Fatal(err)
	}
	x.Elements(&Paths{}, x.Root(), nil, func(Result) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("%d elements until told to stop", n)
	}
}

func elements(t *testing.T, x *Index, p *Paths, paths []string, whole Result) {
	t.Helper()
	list := whole.Raw()
	var want []Result
	if whole.Kind() == Array {
		whole.Each(func(_ []byte, element Result) bool {
			want = append(want, element)
			return true
		})
	}
	n := 0
	found := make([]Result, p.Len())
	x.Elements(p, whole, found, func(element Result) bool {
		if n >= len(want) || string(element.Raw()) != string(want[n].Raw()) || element.Kind() != want[n].Kind() {
			t.Fatalf("%s: element %d is %s", list, n, element.Raw())
		}
		for slot, path := range paths {
			if read := Read(element.Raw(), path); string(read.Raw()) != string(found[slot].Raw()) || read.Kind() != found[slot].Kind() {
				t.Errorf("%s: %s of element %d is %s, want %s", list, path, n, found[slot].Raw(), read.Raw())
			}
		}
		n++
		return true
	})
	if n != len(want) {
		t.Errorf("%s: %d elements, want %d", list, n, len(want))
	}
}

// Index.Child finds the same values as Result.Child.
func TestIndexChild(t *testing.T) {
	t.Parallel()
	text := ` {"a":{"b":1,"b":2,"c\u0062":[{"d":"x"}],"é":"é\n"},"l":[3,{"k":null}],"s":"t"} `
	var x Index
	if err := x.Check([]byte(text), MaxDepth); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(v Result)
	walk = func(v Result) {
		for _, key := range []string{"a", "b", "cb", "d", "é", "l", "k", "s", "0", "1", "", "zz"} {
			want := v.Child(key)
			for _, of := range []Result{v, {raw: v.raw, kind: v.kind, token: 3}} {
				if got := x.Child(of, key); string(got.Raw()) != string(want.Raw()) || got.Kind() != want.Kind() || got.Text() != want.Text() || got.SharedText() != want.SharedText() {
					t.Errorf("%s of %s is %s, want %s", key, v.Raw(), got.Raw(), want.Raw())
				}
			}
			if want.Exists() {
				n++
				walk(x.Child(v, key))
			}
		}
	}
	walk(x.Root())
	if n != 11 {
		t.Errorf("%d members were found", n)
	}
	if got := x.Child(Parse([]byte(`{"a":7}`)), "a"); string(got.Raw()) != "7" {
		t.Errorf("of other JSON it is %s", got.Raw())
	}
}

// A reused index has no values of the earlier JSON, and is empty after an error.
func TestIndexIsReused(t *testing.T) {
	t.Parallel()
	var p Paths
	if _, err := p.Add("a.b"); err != nil {
		t.Fatal(err)
	}
	var x Index
	for _, tt := range []struct{ text, want string }{
		{`{"a":{"b":"` + strings.Repeat("x", 100) + `"},"c":[1,2,3]}`, `"` + strings.Repeat("x", 100) + `"`},
		{`{"a":{"b":"é\u00e9"}}`, `"é\u00e9"`},
		{`{"a":[]}`, ""},
		{`{"a":{"b":1}`, ""},
		{`1`, ""},
		{`{"a":{"b":{}}}`, "{}"},
		{``, ""},
	} {
		err := x.Check([]byte(tt.text), MaxDepth)
		if (err == nil) != Valid([]byte(tt.text)) || err != nil && (x.Root().Exists() || x.JSON() != nil) {
			t.Errorf("%s: %v, and the index is of %s", tt.text, err, x.JSON())
		}
		found := []Result{x.Root()}
		x.Extract(&p, x.Root(), found)
		if got := string(found[0].Raw()); got != tt.want {
			t.Errorf("%s: a.b is %s", tt.text, got)
		}
	}
}

// sameByIndex checks that an index finds the same value as a search without one, and that its values agree with Parse.
func sameByIndex(t *testing.T, text []byte, p *Paths, want Result) {
	t.Helper()
	var x Index
	if err := x.Check(text, MaxDepth); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	found := make([]Result, 1)
	x.Extract(p, x.Root(), found)
	got := found[0]
	if string(got.Raw()) != string(want.Raw()) || got.Kind() != want.Kind() || got.Text() != want.Text() {
		t.Fatalf("of %q an index gives %q, want %q", text, got.Raw(), want.Raw())
	}
	for n := range x.tokens {
		r := x.result(uint32(n))
		if end := skip(text, int(x.tokens[n].start)); end != int(x.tokens[n].end) {
			t.Fatalf("%q: token %d ends at %d, want %d", text, n, x.tokens[n].end, end)
		}
		if at, ok := x.find(Parse(r.Raw())); !ok || at != uint32(n) {
			t.Fatalf("%q: token %d is found as %d", text, n, at)
		}
		if r.Kind() == String && r.Text() != unquote(r.Raw()) {
			t.Fatalf("%q: the text of %s is %q", text, r.Raw(), r.Text())
		}
	}
}
