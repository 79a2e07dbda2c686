package document

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/expression"
)

// TestLocate: a byte of a scalar's text leads back to its line and column, however the scalar is written.
func TestLocate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, source, mark string
		line, column       int
	}{
		{"plain", "a: nps_scor <= 6", "<=", 1, 13},
		{"single", "a: 'feedback == ''x'' and email'", "email", 1, 27},
		{"double", `a: "feedback == \"x\" and email"`, "email", 1, 27},
		{"double with unicode escape", `a: "\u00e9 \x41 email"`, "email", 1, 17},
		{"umlauts", "a: 'ä ö email'", "email", 1, 9},
		{"anchored", "a: &x nps_scor <= 6", "<=", 1, 16},
		{"literal", "a: |\n  one\n  two email\n", "email", 3, 7},
		{"literal with blank lines", "a: |\n\n  one\n\n    two email\n", "email", 5, 9},
		{"folded", "a: >-\n  one\n  two\n\n  three email\n", "email", 5, 9},
		{"plain over lines", "a: one\n  two email", "email", 2, 7},
		{"double over lines", "a: \"one\n  two \\\n  email\"", "email", 3, 3},
		{"behind a variable", "a: '${LONG} email'", "email", 1, 13},
		{"within a variable", "a: 'x ${LONG} email'", "value", 1, 7},
		{"behind an escape", "a: '$${x} email'", "email", 1, 11},
		{"windows", "b: 1\r\na: nps email\r\n", "email", 2, 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, faults := Parse("x.yaml", []byte(tt.source))
			if faults != nil {
				t.Fatal(faults)
			}
			root.Expand(Lookup{Env: func(string) (string, bool) { return "a long value", true }})
			n := root.Key("a")
			offset := strings.Index(n.Text, tt.mark)
			if offset < 0 {
				t.Fatalf("%q is not in %q", tt.mark, n.Text)
			}
			f := n.FaultAt(offset, len(tt.mark), "", "")
			if f.Line != tt.line || f.Column != tt.column {
				t.Errorf("%q is at %d:%d, want %d:%d", tt.mark, f.Line, f.Column, tt.line, tt.column)
			}
		})
	}
}

type bound struct {
	Name   string                `yaml:"name"`
	Events []string              `yaml:"events,omitempty"`
	When   *expression.Condition `yaml:"when,omitempty"`
	Delay  time.Duration         `yaml:"delay,omitempty"`
	Secret connectors.Secret     `yaml:"secret,omitempty"`
	On     *bool                 `yaml:"enabled,omitempty"`
	Count  int                   `yaml:"count,omitempty"`
	Body   expression.Values     `yaml:"body,omitempty"`
	Roles  map[string]string     `yaml:"roles,omitempty"`
	Inner  []inner               `yaml:"inner,omitempty"`
}

type inner struct {
	URL  string `yaml:"url"`
	Path string `yaml:"path,omitempty"`
}

func (*bound) Misnamed(key string) string {
	if key == "on" {
		return "write events:"
	}
	return ""
}

func TestBindSaysEverythingAtOnce(t *testing.T) {
	t.Parallel()
	root, faults := Parse("x.yaml", []byte(`on: [a]
evnts: x
events: a
when: nps_scor <= 6
delay: 5 minutes
secret: 12345
enabled: yes
count: "many"
roles: [a]
inner:
  - {path: x}
  - url
`))
	if faults != nil {
		t.Fatal(faults)
	}
	var b bound
	want := strings.TrimPrefix(`
x.yaml:1:1: `+"`on`"+` is not a setting here
    1 | on: [a]
      | ^~ write events:
x.yaml:1:1: `+"`name`"+` is missing
    1 | on: [a]
      | ^~ add name:
x.yaml:2:1: `+"`evnts`"+` is not a setting here
    2 | evnts: x
      | ^~~~~ did you mean events?
x.yaml:3:9: `+"`events`"+` must be a list, and is a single value
    3 | events: a
      |         ^ put it in brackets: [ … ]
x.yaml:4:7: `+"`nps_scor`"+` is not a name of the rule language
    4 | when: nps_scor <= 6
      |       ^~~~~~~~ did you mean nps_score?
x.yaml:5:8: `+"`5 minutes`"+` is not a duration
    5 | delay: 5 minutes
      |        ^~~~~~~~~ write it as 30s, 5m, 2h or 7d
x.yaml:7:10: `+"`yes`"+` is neither true nor false
    7 | enabled: yes
      |          ^~~ write true or false
x.yaml:8:8: `+"`many`"+` is not a whole number
    8 | count: "many"
      |        ^~~~~~
x.yaml:9:8: `+"`roles`"+` must be a mapping, and is a list
    9 | roles: [a]
      |        ^ write settings as key: value, without `+"`- `"+`
x.yaml:11:5: `+"`url`"+` is missing in `+"`inner`"+`
   11 |   - {path: x}
      |     ^ add url:
x.yaml:12:5: `+"`inner`"+` must be a mapping, and is a single value
   12 |   - url
      |     ^~~ write settings as key: value
see `+expression.DocsURL, "\n")
	if diff := cmp.Diff(want, Bind(root, &b, Options{}).Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSecretsAreMasked: a fault shows its line, but not a secret that was written there in the clear.
func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	root, _ := Parse("x.yaml", []byte(`{name: x, secret: "hunter2", counted: 1}`))
	var b bound
	got := Bind(root, &b, Options{}).Error()
	if strings.Contains(got, "hunter2") || !strings.Contains(got, `secret: "*******", counted`) {
		t.Errorf("the line shows its secret or lost its place:\n%s", got)
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	env := map[string]string{"A": "one: {two", "EMPTY": ""}
	root, _ := Parse("x.yaml", []byte("a: ${A}\nb: \"x ${A} ${A}\"\n${A}: key\nc: $${A} ${EMPTY}\nd: ${file:/secret}\ne: [\"${B}\", \"${C}\", '${B}']\nf: ${A:-x}\ng: ${A\nh: ${file:/none}\ni: a${B}c"))
	unset, faults := root.Expand(Lookup{
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		File: func(path string) ([]byte, error) {
			if path == "/secret" {
				return []byte("two\nlines\n"), nil
			}
			return nil, errNotThere{}
		},
	})
	got := map[string]string{}
	for _, p := range root.Pairs {
		got[p.Key.Text] = string(p.Value.JSON())
	}
	want := map[string]string{
		"a": `"one: {two"`, "b": `"x one: {two one: {two"`, "${A}": `"key"`, "c": `"${A} "`, "d": `"two\nlines"`,
		"e": `["${B}","${C}","${B}"]`, "f": `"${A:-x}"`, "g": `"${A"`, "h": `"${file:/none}"`, "i": `"a${B}c"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	var names []string
	for _, u := range unset {
		names = append(names, u.Name)
	}
	if diff := cmp.Diff([]string{"B", "C"}, names); diff != "" {
		t.Errorf("unset (-want +got):\n%s", diff)
	}
	if len(faults) != 3 || faults[0].Line != 7 || faults[1].Line != 8 || faults[2].Line != 9 {
		t.Errorf("faults: %v", faults)
	}
}

type errNotThere struct{}

func (errNotThere) Error() string { return "not there" }

// TestBillionLaughs: nine lines that would be 10^9 values are refused, and so is an alias within itself.
func TestBillionLaughs(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ",") + "]\n"
	}
	for _, text := range []string{bomb, "a: &a [*a]", "a: &a {b: *a}", "a: &a\n  <<: *a\n"} {
		if _, faults := Parse("x.yaml", []byte(text)); len(faults) != 1 {
			t.Errorf("%.20q: %d faults, want 1", text, len(faults))
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	root, faults := Parse("x.yaml", []byte("base: &b {retry: standard, timeout: 5s}\nmore: &m {rate: 1/s, timeout: 9s}\nx: {<<: [*b, *m], retry: none}\n"))
	if faults != nil {
		t.Fatal(faults)
	}
	if diff := cmp.Diff(`{"retry":"none","timeout":"5s","rate":"1/s"}`, string(root.Key("x").JSON())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	root, _ := Parse("x.yaml", []byte(`[1, 007, 1e3, +1, .5, 1., -0.50, "1", true, True, yes, null, 0x10, 12345678901234567890, 2026-01-02, 1_000]`))
	want := `[1,"007",1e3,1,0.5,1,-0.50,"1",true,true,"yes",null,"0x10",12345678901234567890,"2026-01-02","1_000"]`
	if diff := cmp.Diff(want, string(root.JSON())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0s": 0, "1h30m": 90 * time.Minute, "0.5d": 12 * time.Hour} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "-5s", "d", "-1d", "1w", "1d-3h", "99999999d", "NaNd"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%s: %v, want an error", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: &x [*x]", "a: \"{{ x(\"y\") }}\"", "- - - -", "{[", "a: |\n b\n", "? x\n: y", "a: !x y", "\t", "a: ${B}${", "a: >\n\n b\n  c\n", "<<: {a: b}", "a: 'b''c'", "a: \"\\u12\"", "--- \n...\n--- "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		root, faults := Parse("x.yaml", text)
		if (root == nil) != (len(faults) > 0) {
			t.Fatalf("node %v, faults %v", root, faults)
		}
		_ = faults.Error()
		if root == nil {
			return
		}
		_, expanded := root.Expand(Lookup{Env: func(name string) (string, bool) { return name, len(name) > 1 }})
		var b bound
		_ = append(expanded, Bind(root, &b, Options{})...).Error()
		everyByte(root)
	})
}

func everyByte(n *Node) {
	for i := 0; i <= min(len(n.Text), 200); i++ {
		_ = n.FaultAt(i, 2, "m", "r").String()
	}
	for _, item := range n.Items {
		everyByte(item)
	}
	for _, p := range n.Pairs {
		everyByte(p.Value)
	}
}
