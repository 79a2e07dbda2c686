package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testedConfig = `connections:
  alarms: {slack: {webhook: "${SLACK_WEBHOOK}"}}
webhooks:
  - {name: crm, url: https://crm.example.com/in, events: [response.completed], when: has(email), secrets: ["${HOOK_SECRET}"]}
rules:
  - name: unhappy
    when: nps_score <= 6 and (survey.type == "nps" or has(feedback))
    send: [alarms: {text: "{{ name ?? 'Somebody' }} gave {{ nps_score }}"}]
    tests:
      - {given: {nps_score: 3, feedback: Slow}, expect: [alarms]}
  - {name: silent, when: nps_score > 8, send: [alarms]}
`

// put writes a file into a folder, which is made.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What `surveygate test` prints, from a transcript without expectations to one that fails, and with what it ends.
func TestRuleTests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "surveygate.yaml", testedConfig)
	put(t, dir, "tests/low.txtar", "An unhappy customer.\n-- event.json --\n{\"nps_score\": 3, \"feedback\": \"Slow\", \"name\": \"Jo\"}\n")
	for _, step := range []struct {
		args, prints string
		code         int
		before       func()
	}{
		{args: "test", code: 1, prints: `tests/low.txtar:4: - is expected, + would be sent
    + -- rule unhappy: alarms --
    + POST [secret]
    +
    + {
    +   "text": "Jo gave 3"
    + }
    it expects nothing yet: ` + "`surveygate test --update`" + ` writes what is sent
2 tests, 1 failed
`},
		{args: "test --update", prints: "tests/low.txtar: updated\n2 tests, 0 failed, 1 updated\n"},
		{args: "test", prints: "2 tests, 0 failed\n"},
		{args: "test --coverage", prints: `2 tests, 0 failed
rule unhappy: no test refuses it
    nps_score <= 6                         never false
    survey.type == "nps" or has(feedback)  never false
    survey.type == "nps"                   never true, never false
    has(feedback)                          never false
rule silent: no test matches it
webhook crm: no test matches it
0 of 3 rules and webhooks tested both ways; 0 of 6 parts decided both ways: 0%
`},
		{args: "test --min-coverage 1", code: 1, prints: `less than 1% is tested`},
		{args: "test --min-coverage 101", code: 2, prints: "--min-coverage is a percentage from 0 to 100\n"},
		{args: "test --watch --update", code: 2, prints: "--watch and --update exclude each other: read what changes before you accept it\n"},
		{args: "test --watch --json", code: 2, prints: "--watch and --json exclude each other\n"},
		{args: "test --junit surveygate.yaml", code: 2, prints: "--junit surveygate.yaml: a report would replace this file; write a name such as report.xml\n"},
		{args: "test --junit no/such/folder.xml", code: 2, prints: "open no/such/folder.xml: no such file or directory\n"},
		{args: "test", code: 1, before: func() {
			put(t, dir, "surveygate.yaml", strings.Replace(testedConfig, "<= 6", "<= 2", 1))
			put(t, dir, "tests/wrong.txtar", "\n-- event.jsn --\n{}\n")
		}, prints: `surveygate.yaml:10:9: unhappy: expected [alarms], got []
    no match: its condition is false: ` + "`nps_score <= 2`" + `, nps_score is 3
tests/low.txtar:4: - is expected, + would be sent
    - -- rule unhappy: alarms --
    - POST [secret]
    -
    - {
    -   "text": "Jo gave 3"
    - }
    + -- steps --
    rule unhappy: no match: its condition is false: ` + "`nps_score <= 2`" + `, nps_score
      is 3
tests/wrong.txtar:2:1: ` + "`event.jsn`" + ` is not a part of a transcript
    the parts are ` + "`tenant`, `event.json`, `source NAME`, and then `steps`, or\n      `rule NAME: STEP` and `webhook NAME`" + `
3 tests, 3 failed
`},
	} {
		if step.before != nil {
			step.before()
		}
		out, errs, code := invoke(t, dir, nil, strings.Fields(step.args)...)
		if got := out + errs; code != step.code || !strings.HasSuffix(got, step.prints) && !strings.Contains(got, step.prints) {
			t.Errorf("surveygate %s: exit %d, want %d\n%s", step.args, code, step.code, cmp.Diff(step.prints, got))
		}
		for line := range strings.Lines(out) {
			if len([]rune(line)) > 81 {
				t.Errorf("surveygate %s: wider than 80 columns: %s", step.args, line)
			}
		}
	}
}

// The JSON of results is a list, as it was before there was a coverage; with the coverage it is an object.
func TestRuleTestsAsJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "surveygate.yaml", testedConfig)
	put(t, dir, "a.txtar", "-- event.json --\n{}\n-- steps --\n")
	type result struct {
		Rule, Transcript, At string
		Passed               bool
		Want, Got            []string
	}
	var list []result
	out, errs, code := invoke(t, dir, nil, "test", "--json", "--junit", "report.xml")
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("exit %d: %v\n%s%s", code, err, out, errs)
	}
	want := []result{
		{Rule: "unhappy", At: "surveygate.yaml:10:9", Passed: true, Want: []string{"alarms"}, Got: []string{"alarms"}},
		{Transcript: "a.txtar", At: "a.txtar", Passed: true, Want: []string{}, Got: []string{}},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if report, err := os.ReadFile(filepath.Join(dir, "report.xml")); err != nil || !strings.Contains(string(report), `<testsuites name="surveygate test" tests="2" failures="0" errors="0">`) {
		t.Errorf("%v %s", err, report)
	}
	put(t, dir, "faulty.yaml", "rules: [{name: r, when: nps_score <, send: [nowhere]}]\n")
	if _, errs, code := invoke(t, dir, nil, "test", "--config", "faulty.yaml", "--junit", "report.xml"); code != 2 || !strings.Contains(errs, "faulty.yaml:1:") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if report, err := os.ReadFile(filepath.Join(dir, "report.xml")); err != nil || !strings.Contains(string(report), `tests="1" failures="0" errors="1"`) || !strings.Contains(string(report), "faulty.yaml:1:") {
		t.Errorf("%v %s", err, report)
	}
	var both struct {
		Tests    []result
		Coverage struct {
			Rules, Tested, Parts, Decided, Percent int
			Each                                   []struct {
				Kind, Name, At, When    string
				Asked, Matched, Refused bool
				Parts                   []struct {
					Text        string
					From        int
					True, False bool
				}
			}
		}
	}
	out, errs, code = invoke(t, dir, nil, "test", "--json", "--min-coverage", "90")
	if err := json.Unmarshal([]byte(out), &both); err != nil || code != 1 {
		t.Fatalf("exit %d: %v\n%s%s", code, err, out, errs)
	}
	if diff := cmp.Diff(want, both.Tests); diff != "" {
		t.Error(diff)
	}
	c := both.Coverage
	if c.Rules != 3 || c.Tested != 1 || c.Parts != 6 || c.Decided != 1 || c.Percent != 22 || len(c.Each) != 3 {
		t.Errorf("%+v", c)
	}
	if p := c.Each[0].Parts[3]; p.Text != "has(feedback)" || p.From != 44 || !p.True || !p.False {
		t.Errorf("%+v", c.Each[0])
	}
}

// The page of the rule language shows what the command prints for its transcripts.
func TestRuleTestsOfThePage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	transcripts, page := 0, ""
	for _, b := range blocks(t, "../../rules/README.md") {
		switch {
		case b.language == "yaml" && transcripts == 0:
			page = b.text
		case b.language == "txtar":
			transcripts++
			put(t, dir, fmt.Sprintf("%d.txtar", transcripts), b.text)
		case b.language == "text" && transcripts > 0:
			put(t, dir, "surveygate.yaml", page)
			if out, errs, code := invoke(t, dir, nil, "test", "--coverage"); out != b.text || code != 0 {
				t.Errorf("exit %d\n%s%s", code, cmp.Diff(b.text, out), errs)
			}
			return
		}
	}
	t.Error("the page shows no output of the command")
}

var separator = regexp.MustCompile(`(?m)^──── \d\d:\d\d:\d\d  (\S+) changed$`)

// `surveygate test --watch` runs again after each change, also while the configuration has a fault, and ends well with Ctrl-C.
func TestRuleTestsAreWatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "surveygate.yaml", testedConfig)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "test", "--watch")
	cmd.Dir = dir
	var log bytes.Buffer
	var mu sync.Mutex
	cmd.Stdout, cmd.Stderr = &lockedWriter{&log, &mu}, &lockedWriter{&log, &mu}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := func(text string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(log.String(), text)
		}
	}
	until(t, "the first run", said("1 test, 0 failed\n"))
	put(t, dir, "a.txtar", "-- event.json --\n{}\n-- steps --\n")
	until(t, "a new transcript", said("2 tests, 0 failed\n"))
	put(t, dir, "surveygate.yaml", "rules: 3\n")
	until(t, "a fault", said("surveygate.yaml:1:8"))
	put(t, dir, "surveygate.yaml", strings.Replace(testedConfig, "<= 6", "<= 2", 1))
	until(t, "the repaired configuration", said("2 tests, 1 failed\n"))
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	if changed := separator.FindAllStringSubmatch(log.String(), -1); len(changed) < 3 {
		t.Errorf("%q in\n%s", changed, log.String())
	}
}
