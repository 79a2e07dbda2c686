package offline

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write makes a folder with files.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tested runs the tests of a configuration in which no variable is set.
func tested(t *testing.T, config string, update bool) *Tested {
	t.Helper()
	all, err := Test(TestOptions{Options: Options{Config: config, Env: func(string) (string, bool) { return "", false }}, Update: update})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// find returns the result of a transcript.
func (t *Tested) find(tb testing.TB, file string) *TestResult {
	tb.Helper()
	for i := range t.Results {
		if filepath.Base(t.Results[i].Transcript) == file {
			return &t.Results[i]
		}
	}
	tb.Fatalf("%s was not played", file)
	return nil
}

const two = `
sources:
  pollqr: {profile: pollqr, secrets: ["${UNSET}"]}
connections:
  alarms: {slack: {webhook: "${UNSET}"}}
  sales: {slack: {token: "${UNSET}", channel: "#leads"}}
webhooks:
  - {name: crm, url: https://crm.example.com/in, events: [response.completed], when: has(email), secrets: ["${UNSET}"]}
rules:
  - name: unhappy
    when: nps_score <= 6
    send: [alarms: {text: "{{ name ?? 'Somebody' }} gave {{ nps_score }}"}]
    tests:
      - {given: {nps_score: 3}, expect: [alarms]}
  - name: lead
    settle: 2m
    when: has(email) and (nps_score >= 9 or has(phone))
    send: [sales: {text: "{{ email }}"}]
`

// TestTranscripts plays transcripts from their first form, in which nothing is expected, to the next change of a rule.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../internal/source/samples/pollqr.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{
		"surveygate.yaml": two,
		"low.txtar":       "An unhappy customer.\n-- event.json --\n" + `{"id": "one", "nps_score": 3, "name": "Jo"}` + "\n",
		"tests/whole.txtar": "Two events of one response.\n-- event.json --\n" + `{"nps_score": 9}` + "\n-- event.json --\n" +
			`{"email": "jo@example.com"}` + "\n-- steps --\n",
		"tests/nothing.txtar": "-- event.json --\n{}\n",
		"tests/body.txtar":    "A body of PollQR.\n-- source pollqr --\n" + string(body) + "\n",
		"tests/ignored.yaml":  "rules: [{nonsense: true}]\n",
		"expected.txtar":      "What a command prints.\n-- surveygate test --\n1 test, 0 failed\n",
		".hidden.txtar":       "",
	})
	config := filepath.Join(dir, "surveygate.yaml")
	first := tested(t, config, false)
	if len(first.Results) != 5 || first.Failed() != 4 {
		t.Fatalf("%d tests, %d failed: %+v", len(first.Results), first.Failed(), first.Results)
	}
	if r := first.find(t, "low.txtar"); !strings.Contains(r.Diff, "+ -- rule unhappy: alarms --\n+ POST [secret]\n") || len(r.Why) != 1 || !strings.Contains(r.Why[0], "--update") {
		t.Errorf("%+v", r)
	}
	if written := tested(t, config, true); written.Failed() != 0 || !written.find(t, "low.txtar").Updated {
		t.Fatalf("%+v", written.Results)
	}
	for name, want := range map[string]string{
		"low.txtar": `An unhappy customer.
-- event.json --
{"id": "one", "nps_score": 3, "name": "Jo"}
-- rule unhappy: alarms --
POST [secret]

{
  "text": "Jo gave 3"
}
`,
		"tests/whole.txtar": `Two events of one response.
-- event.json --
{"nps_score": 9}
-- event.json --
{"email": "jo@example.com"}
-- steps --
rule lead: sales
webhook crm
`,
		"tests/nothing.txtar": "-- event.json --\n{}\n-- steps --\n",
		"expected.txtar":      "What a command prints.\n-- surveygate test --\n1 test, 0 failed\n",
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	again := tested(t, config, false)
	if again.Failed() != 0 || again.Changed() != "" {
		t.Fatalf("%s changed; %+v", again.Changed(), again.Results)
	}
	if r := again.find(t, "low.txtar"); r.Title != "An unhappy customer." || r.Tenant != "default" || !slices.Equal(r.Got, []string{"rule unhappy: alarms"}) {
		t.Errorf("%+v", r)
	}
	// The folder is the same configuration.
	if folder := tested(t, dir, false); folder.Failed() != 0 || len(folder.Results) != 5 {
		t.Errorf("%+v", folder.Results)
	}

	changed := strings.NewReplacer("nps_score <= 6", "nps_score <= 2", "{{ email }}", "New: {{ email }}").Replace(two)
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if again.Changed() != config {
		t.Errorf("%q changed", again.Changed())
	}
	after := tested(t, config, false)
	if after.Failed() != 3 { // the inline test, and both transcripts with requests: a list of steps has none
		t.Fatalf("%+v", after.Results)
	}
	r := after.find(t, "low.txtar")
	if want := []string{"rule unhappy: no match: its condition is false: `nps_score <= 2`, nps_score is 3"}; !slices.Equal(r.Why, want) || !strings.HasSuffix(r.At, "low.txtar:4") {
		t.Errorf("%s: %q", r.At, r.Why)
	}
	if !strings.HasPrefix(r.Diff, "- -- rule unhappy: alarms --\n") {
		t.Error(r.Diff)
	}
}

// TestChangedTranscripts: a transcript that is new, and one that changed, are noticed.
func TestChangedTranscripts(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"surveygate.yaml": two, "one.txtar": "-- event.json --\n{}\n-- steps --\n"})
	before := tested(t, dir, false)
	if changed := before.Changed(); changed != "" {
		t.Errorf("%s changed", changed)
	}
	for _, name := range []string{"one.txtar", "two.txtar", "tests/three.txtar"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("-- event.json --\n{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if before.Changed() == "" {
			t.Errorf("%s is not noticed", name)
		}
		if before = tested(t, dir, false); before.Changed() != "" {
			t.Errorf("%s changed", before.Changed())
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "surveygate.yaml"), []byte("rules: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken, err := Test(TestOptions{Options: Options{Config: dir}})
	if err == nil || broken == nil || broken.Changed() != "" {
		t.Fatalf("%v %v", broken, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "surveygate.yaml"), []byte(two), 0o600); err != nil {
		t.Fatal(err)
	}
	if broken.Changed() == "" {
		t.Error("what repairs a faulty configuration is not noticed")
	}
}

// TestTranscriptFaults: what cannot be played is one test that fails, and says where it is wrong.
func TestTranscriptFaults(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("-- event.json --\n{}\n", 51)
	for _, tt := range []struct{ name, text, at, says string }{
		{"empty", "", "t.txtar", "the transcript is empty"},
		{"no event", "-- steps --\n", "t.txtar:1:1", "has no event"},
		{"two events", "-- event.json --\n[{}, {}]\n", "t.txtar:1:1", "must be an object, not an array"},
		{"null", "-- event.json --\nnull\n", "t.txtar:1:1", "must be an object"},
		{"JSON", "x\n\n-- event.json --\n{\"nps_score\": 3,\n \"email\" \"jo\"}\n", "t.txtar:5:1", "not JSON"},
		{"JSON of Windows", "x\r\n\r\n-- event.json --\r\n{\"nps_score\": 3,\r\n \"email\" \"jo\"}\r\n", "t.txtar:5:1", "not JSON"},
		{"field", "-- event.json --\n{\"nps_scor\": 3}\n", "t.txtar:1:1", "did you mean `nps_score`?"},
		{"type", "-- event.json --\n{\"type\": \"response.complete\"}\n", "t.txtar:1:1", "did you mean `response.completed`?"},
		{"second", "-- event.json --\n{}\n-- event.json --\n{\"x\": 3}\n", "t.txtar:3:1", "`x` is not a field"},
		{"source", "-- source pollq --\n{}\n", "t.txtar:1:1", "tenant default has no source `pollq`\n    did you mean pollqr?"},
		{"body", "-- source pollqr --\n{\n", "t.txtar:2:1", "source pollqr: not JSON"},
		{"tenant", "-- tenant --\nacme\n-- event.json --\n{}\n", "t.txtar:1:1", "nothing of tenant `acme`\n    its tenants are default"},
		{"too many", many, "t.txtar:101:1", "there are more than 50 events"},
		{"huge", "-- event.json --\n" + strings.Repeat("x", 9<<20), "t.txtar", "larger than 8 MiB"},
	} {
		dir := write(t, map[string]string{"surveygate.yaml": two, "t.txtar": tt.text})
		for _, update := range []bool{false, true} {
			r := tested(t, dir, update).find(t, "t.txtar")
			if r.Passed || r.Updated || !strings.HasSuffix(r.At, tt.at) || !strings.Contains(r.Error, tt.says) {
				t.Errorf("%s: %s: %s; want %s: %s", tt.name, r.At, r.Error, tt.at, tt.says)
			}
		}
		if text, err := os.ReadFile(filepath.Join(dir, "t.txtar")); err != nil || string(text) != tt.text {
			t.Errorf("%s was written anew (%v)", tt.name, err)
		}
	}
}

// TestTranscriptOfTenant: a transcript is of one tenant, and a step of a rule that does not exist says so.
func TestTranscriptOfTenant(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"acme.yaml": "tenant: acme\nconnections: {chat: {slack: {webhook: \"${UNSET}\"}}}\n",
		"all.yaml":  "rules: [{name: everybody, tenant: \"*\", when: nps_score <= 6, send: [chat]}]\n",
		"a.txtar":   "-- tenant --\nacme\n-- event.json --\n{\"nps_score\": 1}\n-- steps --\nrule everybody: chat\n",
		"b.txtar":   "-- tenant --\nacme\n-- event.json --\n{\"nps_score\": 1}\n-- steps --\nrule everybdy: chat\n",
		"c.txtar":   "-- event.json --\n{\"nps_score\": 1}\n-- steps --\n",
	})
	all := tested(t, dir, false)
	if r := all.find(t, "a.txtar"); !r.Passed || r.Tenant != "acme" {
		t.Errorf("%+v", r)
	}
	if r := all.find(t, "b.txtar"); r.Passed || !slices.Equal(r.Why, []string{"tenant acme has no rule `everybdy`; did you mean `everybody`?"}) {
		t.Errorf("%+v", r)
	}
	if r := all.find(t, "c.txtar"); !strings.Contains(r.Error, "its tenants are acme") {
		t.Errorf("%+v", r)
	}
}

// TestCoverage: inline tests count for their rule, transcripts for every rule, and a part counts where a decision gets to it.
func TestCoverage(t *testing.T) {
	t.Parallel()
	says := func(c *Coverage) (all []string) {
		for _, r := range c.Each {
			text := fmt.Sprintf("%s %s %v %v %v", r.Kind, r.Name, r.Asked, r.Matched, r.Refused)
			for _, p := range r.Parts {
				text += fmt.Sprintf("|%s@%d %v %v", p.Text, p.From, p.True, p.False)
			}
			all = append(all, text)
		}
		return append(all, fmt.Sprintf("%d/%d %d/%d %d%%", c.Tested, c.Rules, c.Decided, c.Parts, c.Percent))
	}
	config := two + "  - {name: every, send: [alarms]}\n  - {name: off, when: nps_score > 1, enabled: false, send: [alarms]}\n"
	dir := write(t, map[string]string{"surveygate.yaml": config})
	want := []string{
		"rule unhappy true true false|nps_score <= 6@0 true false",
		"rule lead false false false|has(email)@0 false false|nps_score >= 9 or has(phone)@16 false false|nps_score >= 9@16 false false|has(phone)@34 false false",
		"rule every false false false",
		"webhook crm false false false|has(email)@0 false false",
		"0/4 0/6 0%",
	}
	if diff := cmp.Diff(want, says(tested(t, dir, false).Coverage)); diff != "" {
		t.Error(diff)
	}
	for name, text := range map[string]string{
		"a.txtar": "-- event.json --\n{\"nps_score\": 9}\n-- event.json --\n{\"email\": \"jo@example.com\"}\n-- steps --\n",
		"b.txtar": "-- event.json --\n{\"nps_score\": 9}\n-- steps --\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want = []string{
		"rule unhappy true true true|nps_score <= 6@0 true true",
		"rule lead true true true|has(email)@0 true true|nps_score >= 9 or has(phone)@16 true false|nps_score >= 9@16 true false|has(phone)@34 false false",
		"rule every true true false",
		"webhook crm true true true|has(email)@0 true true",
		"4/4 3/6 70%",
	}
	if diff := cmp.Diff(want, says(tested(t, dir, false).Coverage)); diff != "" {
		t.Error(diff)
	}
	empty := write(t, map[string]string{"surveygate.yaml": "connections: {}\n"})
	if c := tested(t, empty, false).Coverage; c.Percent != 100 || c.Rules != 0 {
		t.Errorf("%+v", c)
	}
}

// TestJUnit: the report is XML whose counts are right, whatever the texts of respondents and files hold.
func TestJUnit(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"surveygate.yaml": strings.Replace(two, "expect: [alarms]}", "expect: [alarms]}\n      - {given: {nps_score: 9}, expect: [alarms]}", 1),
		"good.txtar":      "It is <good> & \"well\".\nAnd more.\n-- event.json --\n{}\n-- steps --\n",
		"bad.txtar":       "-- event.json --\n{\"nps_score\": 1, \"name\": \"]]>\\u0001<x>\"}\n-- steps --\n-- more --\n",
		"low.txtar":       "\x01\n-- event.json --\n{\"nps_score\": 1, \"name\": \"]]> <x>\"}\n",
	})
	var b bytes.Buffer
	if err := tested(t, dir, false).JUnit(&b, 80); err != nil {
		t.Fatal(err)
	}
	var report struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Errors   int    `xml:"errors,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Class   string `xml:"classname,attr"`
				File    string `xml:"file,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Error *struct {
					Message string `xml:"message,attr"`
				} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &report); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if report.Tests != 6 || report.Failures != 3 || report.Errors != 1 || len(report.Suites) != 5 {
		t.Fatalf("%s", b.String())
	}
	inline, bad, good, low, coverage := report.Suites[0], report.Suites[1], report.Suites[2], report.Suites[3], report.Suites[4]
	if inline.Name != "rule unhappy" || inline.Tests != 2 || inline.Failures != 1 || inline.Cases[0].Failure != nil || inline.Cases[1].Name != "test 2" ||
		!strings.HasSuffix(inline.Cases[1].File, "surveygate.yaml") || !strings.Contains(inline.Cases[1].Failure.Message, "expected [alarms], got []") {
		t.Errorf("%+v", inline)
	}
	if bad.Errors != 1 || !strings.Contains(bad.Cases[0].Error.Message, "bad.txtar:4:1: `more` is not a part of a transcript") {
		t.Errorf("%+v", bad)
	}
	if c := good.Cases[0]; c.Name != `It is <good> & "well".` || !strings.HasSuffix(c.Class, "good.txtar") || c.Failure != nil || c.Error != nil {
		t.Errorf("%+v", good)
	}
	if c := low.Cases[0]; c.Failure == nil || !strings.Contains(c.Failure.Text, `]]&gt; &lt;x&gt; gave 1`) {
		t.Errorf("%+v", low)
	}
	if c := coverage.Cases[0]; c.Name != "at least 80%" || c.Failure == nil || !strings.Contains(c.Failure.Message, "is less than 80%") {
		t.Errorf("%+v", coverage)
	}
}
