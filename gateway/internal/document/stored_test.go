package document

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
)

// flatten lists the values of a tree with their positions.
func flatten(n *Node, into *[]string) {
	*into = append(*into, fmt.Sprintf("%d:%d %v %q %d", n.At.Line, n.At.Column, n.Kind, n.Text, n.Style))
	for _, item := range n.Items {
		flatten(item, into)
	}
	for _, p := range n.Pairs {
		flatten(p.Key, into)
		flatten(p.Value, into)
	}
}

// randomJSON returns a value for a text that YAML reads too.
func randomJSON(r *rand.Rand, depth int) any {
	texts := []string{"", "a", "true", "12", "null", "über", "a\nb", `"q"`, "C:\\x", "# x", "- x", "{{ x }}", "😀 x", "'", "a: b", " x "}
	switch n := r.IntN(8); {
	case n == 0 || depth > 3:
		return texts[r.IntN(len(texts))]
	case n == 1:
		return r.IntN(1000)
	case n == 2:
		return r.IntN(2) == 0
	case n == 3:
		return nil
	case n < 6:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = randomJSON(r, depth+1)
		}
		return list
	}
	m := map[string]any{}
	for range r.IntN(4) {
		m[texts[1+r.IntN(len(texts)-1)]] = randomJSON(r, depth+1)
	}
	return m
}

// TestJSONIsReadLikeYAML compares both readers, and where the faults of both point to.
func TestJSONIsReadLikeYAML(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		value := map[string]any{"a": randomJSON(r, 0), "b": randomJSON(r, 0)}
		text, err := json.Marshal(value)
		if r.IntN(2) == 0 {
			text, err = json.MarshalIndent(value, " ", "  ")
		}
		if err != nil {
			t.Fatal(err)
		}
		one, faults := ParseStored("x", text)
		two, others := Parse("x", text)
		if len(faults)+len(others) > 0 {
			t.Fatal(faults, others)
		}
		var a, b []string
		flatten(one, &a)
		flatten(two, &b)
		if diff := cmp.Diff(b, a); diff != "" {
			t.Fatalf("%s\n%s", text, diff)
		}
		var walk func(a, b *Node)
		walk = func(a, b *Node) {
			if f, g := a.Fault("m", ""), b.Fault("m", ""); f.String() != g.String() {
				t.Fatalf("%s\n%s\n%s", text, f, g)
			}
			for i := range a.Items {
				walk(a.Items[i], b.Items[i])
			}
			for i := range a.Pairs {
				walk(a.Pairs[i].Key, b.Pairs[i].Key)
				walk(a.Pairs[i].Value, b.Pairs[i].Value)
			}
		}
		walk(one, two)
	}
}

func TestParseStored(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, text, want string }{
		{"surrogates", `{"a": "x \ud83d\ude00"}`, `{"a":"x 😀"}`},
		{"separators", "{\"a\": \"x\u2028\"}", `{"a":"x\u2028"}`},
		{"tabs", "{\n\t\"a\": 1\n}", `{"a":1}`},
		{"long keys", `{"` + strings.Repeat("k", 2000) + `": 1}`, `{"` + strings.Repeat("k", 2000) + `":1}`},
		{"yaml", "a: {b: [1, x]}", `{"a":{"b":[1,"x"]}}`},
		{"nothing", "", `{}`},
		{"null", "null", `{}`},
		{"no text", "{\"a\": \"\xff\"}", "store:x:1:8: this is not UTF-8"},
		{"twice", `{"a": 1, "a": 2}`, "store:x:1:10: `a` is written twice here"},
		{"deep", `{"a": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}", "store:x:1:70: values are nested more than 64 levels deep"},
		{"aliases", "a: &x [1]\nb: *x", "store:x:2:4: a stored document has no aliases"},
		{"merged", "a: &x {b: 1}\nc: {<<: *x}", "store:x:2:9: a stored document has no aliases"},
		{"a long line", "a: [" + strings.Repeat("x, ", 2000), "store:x: line 1 is longer than 4 KiB, and this is not JSON"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, faults := ParseStored("store:x", []byte(c.text))
			got := ""
			if len(faults) > 0 {
				got, _, _ = strings.Cut(faults[0].String(), "\n")
			} else {
				got = string(n.JSON())
			}
			if got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		})
	}
}

func TestLoc(t *testing.T) {
	t.Parallel()
	n, faults := ParseStored("store:rule/x", []byte(`{"send": [{"crm": {"rate": "x"}}], "headers": {"X-A": 1}}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if faults := n.Put("headers.X-B", connectors.NewSecret("hidden-secret")); len(faults) > 0 {
		t.Fatal(faults)
	}
	headers := n.Key("headers").With(func(key string) bool { return key != "X-A" })
	for want, f := range map[string]Fault{
		`["send",0,"crm","rate"]`: n.Key("send").Items[0].Key("crm").Key("rate").FaultAt(0, 1, "m", ""),
		`["send",0,"crm"]`:        n.Key("send").Items[0].Named("crm").Fault("m", ""),
		`["send",0]`:              n.Key("send").Items[0].Fault("m", ""),
		`["headers","X-B"]`:       headers.Key("X-B").Fault("m", ""),
		`["headers"]`:             headers.Fault("m", ""),
		`[]`:                      n.Fault("m", ""),
		`["headers","X-A"]`:       n.Prepend("name", Title("store:rule/x", "x")).Key("headers").Key("X-A").Fault("m", "").Detached(),
	} {
		if got, _ := json.Marshal(f.Loc); string(got) != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	if file, _ := Parse("x.yaml", []byte("a: 1")); file.Fault("m", "").Loc != nil {
		t.Error("a fault of a file has a path")
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	cases := []struct{ text, path, want string }{
		{`{}`, "token", `{"token":"secret-value"}`},
		{`{"token": "••••"}`, "token", `{"token":"secret-value"}`},
		{`{"headers": {"A": "1"}}`, "headers.X-Api-Key", `{"headers":{"A":"1","X-Api-Key":"secret-value"}}`},
		{`{}`, "headers.X-Api-Key", `{"headers":{"X-Api-Key":"secret-value"}}`},
		{`{"headers": null}`, `headers.X\.A`, `{"headers":{"X.A":"secret-value"}}`},
		{`{}`, "secrets.0", `{"secrets":["secret-value"]}`},
		{`{"secrets": ["a", "b"]}`, "secrets.1", `{"secrets":["a","secret-value"]}`},
		{`{"secrets": ["a"]}`, "secrets.1", `{"secrets":["a","secret-value"]}`},
		{`{"secrets": ["a"]}`, "secrets.2", "store:x:1:13: the secret `secrets.2` has no place here"},
		{`{"secrets": ["a"]}`, "secrets.x", "store:x:1:13: the secret `secrets.x` has no place here"},
		{`{"token": "a"}`, "token.x", "store:x:1:11: the secret `token.x` has no place here"},
		{`{"hubspot": {}}`, "hubspot.a.0.b", `{"hubspot":{"a":[{"b":"secret-value"}]}}`},
	}
	for _, c := range cases {
		t.Run(c.text+c.path, func(t *testing.T) {
			t.Parallel()
			n, faults := ParseStored("store:x", []byte(c.text))
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			got := ""
			if faults := n.Put(c.path, connectors.NewSecret("secret-value")); len(faults) > 0 {
				got, _, _ = strings.Cut(faults[0].String(), "\n")
			} else {
				got = string(n.JSON())
			}
			if got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		})
	}
}

// TestSum shows what a stored document's hash depends on.
func TestSum(t *testing.T) {
	t.Parallel()
	sum := func(text, token string) uint64 {
		n, faults := ParseStored("store:x", []byte(text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if token != "" {
			if faults := n.Put("token", connectors.NewSecret(token)); len(faults) > 0 {
				t.Fatal(faults)
			}
		}
		h := fnv.New64a()
		n.Sum(h)
		return h.Sum64()
	}
	one := sum(`{"a": {"b": "x", "c": [1, true]}, "d": "1"}`, "first-token")
	for _, same := range []string{`{"d":"1","a":{"c":[1,true],"b":"x"}}`, "d: '1'\na:\n  c: [1, true]\n  b: x"} {
		if sum(same, "second-token") != one {
			t.Errorf("%s has another hash", same)
		}
	}
	for _, other := range []string{`{"d":1,"a":{"c":[1,true],"b":"x"}}`, `{"d":"1","a":{"c":[true,1],"b":"x"}}`, `{"d":"1","a":{"c":[1,"true"],"b":"x"}}`} {
		if sum(other, "first-token") == one {
			t.Errorf("%s has the same hash", other)
		}
	}
	if sum(`{"a": {"b": "x", "c": [1, true]}, "d": "1"}`, "") == one {
		t.Error("the secret does not count")
	}
}

// TestDetached shows that detached faults look the same, and that detached trees show no text.
func TestDetached(t *testing.T) {
	t.Parallel()
	n, faults := ParseStored("store:x", []byte(`{"`+strings.Repeat("long", 50)+`": "x", "token": "hidden-secret", "rate": "y"}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	n.Key("token").concealAll()
	for _, p := range n.Pairs {
		f := p.Value.Fault("message", "remedy")
		d := f.Detached()
		if f.String() != d.String() || strings.Contains(d.String(), "hidden") || d.file != nil {
			t.Errorf("%s\n%s", f, d)
		}
		if again := d.Detached(); again.String() != d.String() {
			t.Error(again)
		}
	}
	c := n.Detached()
	if !reflect.DeepEqual(c.JSON(), n.JSON()) || len(c.file.lines) > 0 || c.Key("rate").At != n.Key("rate").At {
		t.Error("the copy differs")
	}
	if text := c.Key("rate").Fault("m", "r").String(); strings.Contains(text, "hidden") {
		t.Error(text)
	}
}

// TestMost shows that a binding ends early, and that what is not bound is not shown either.
func TestMost(t *testing.T) {
	t.Parallel()
	var text []string
	for i := range 1000 {
		text = append(text, fmt.Sprintf(`"key%d": "value-%d"`, i, i))
	}
	n, faults := ParseStored("store:x", []byte("{"+strings.Join(text, ", ")+`, "name": "x", "last": {"a": "hidden-secret"}}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var into struct {
		Name string              `yaml:"name"`
		Last []connectors.Secret `yaml:"last,omitempty"`
	}
	faults = Bind(n, &into, Options{Most: 20})
	if len(faults) < 20 || len(faults) > 21 {
		t.Errorf("%d faults", len(faults))
	}
	if slices.ContainsFunc(faults, func(f Fault) bool { return strings.Contains(f.Source(), "hidden") }) {
		t.Error("a secret is shown")
	}
}

// TestManySecrets shows that secrets are masked however many there are, and whatever they begin with.
func TestManySecrets(t *testing.T) {
	t.Parallel()
	var list []string
	for i := range 40 {
		list = append(list, fmt.Sprintf(`"secret-of-%d", "secret-of-%d-and-more"`, i, i))
	}
	n, faults := ParseStored("store:x", []byte(`{"secrets": [`+strings.Join(list, ", ")+`], "comment": "secret-of-3-and-more and secret-of-39"}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	n.Key("secrets").concealAll()
	if text := n.Key("comment").Fault("m", "").Source(); strings.Contains(text, "secret-of") || strings.Contains(text, "more") {
		t.Error(text)
	}
}
