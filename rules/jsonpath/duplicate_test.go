package jsonpath

import "testing"

func TestHasDuplicateKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		json, path string
		want       bool
	}{
		{`{"a":1,"b":2}`, "a", false},
		{`{"a":1,"a":2}`, "a", true},
		{`{"a":1,"\u0061":2}`, "a", true},
		{`{"a":1,"b":2,"b":3}`, "a", false},
		{`{"a":{"k":1},"a":{}}`, "a.k", true},
		{`{"a":{"k":1,"k":1}}`, "a.k", true},
		{`{"a":{"k":1,"j":1,"j":1}}`, "a.k", false},
		{`{"a":[{"k":1},{"k":1,"k":2}]}`, "a.1.k", true},
		{`{"a":[{"k":1},{"k":1,"k":2}]}`, "a.0.k", false},
		{`{"a":[{"k":1},{"k":1,"k":2}]}`, "a.#.k", true},
		{`{"a":[{"k":1},{"k":1}]}`, "a.#.k", false},
		{`[1]`, "a", false},
		{`7`, "a.b", false},
	} {
		if got := HasDuplicateKey([]byte(c.json), c.path); got != c.want {
			t.Errorf("%s at %s: %v", c.json, c.path, got)
		}
	}
}

func TestFirstKey(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"a": "a", "a.b": "a", `a\.b.c`: "a.b", "a.#.b": "a", "@this": "", "a|b": "", "": ""} {
		if got := FirstKey(path); got != want {
			t.Errorf("%s begins with %q, want %q", path, got, want)
		}
	}
}
