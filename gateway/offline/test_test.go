package offline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInline plays inline tests as `surveygate test` does: of rules of every tenant, and with bodies beside the file.
func TestInline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	body, err := Sample("pollqr")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"surveygate.yaml": `
tenant: acme
sources: {pollqr: {profile: pollqr, secrets: ["${UNSET}"]}}
connections: {chat: {slack: {webhook: "${ALSO_UNSET}"}}}
rules:
  - name: own
    when: source == "pollqr"
    send: [chat]
    tests:
      - {given: {source: pollqr, file: bodies/one.json}, expect: [chat]}
      - {given: {source: pollqr, file: bodies/none.json}, expect: [chat]}
`,
		"everybody.yaml": `
rules:
  - name: everybody
    tenant: "*"
    when: tenant == "acme"
    send: [chat]
    tests:
      - {given: {source: pollqr, file: bodies/one.json}, expect: [chat]}
`,
		"aaa.yaml": `
tenant: aaa
connections: {chat: {slack: {webhook: "${ALSO_UNSET}"}}}
rules:
  - name: wrong
    when: nps_score <= 6
    send: [chat]
    tests:
      - {given: {nps_score: 9}, expect: [chat]}
      - {given: {nps_score: 6}, expect: [chat]}
`,
		"bodies/one.json": string(body),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tested, err := Test(TestOptions{Options: Options{Config: dir, Env: func(string) (string, bool) { return "", false }}})
	if err != nil {
		t.Fatal(err)
	}
	results := tested.Results
	got := map[string][]bool{}
	for _, r := range results {
		got[r.Rule] = append(got[r.Rule], r.Passed)
		if !r.Passed && len(r.Why) == 0 {
			t.Errorf("%s: no word of why", r.Rule)
		}
	}
	want := map[string][]bool{"own": {true, false}, "everybody": {true}, "wrong": {false, true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%+v", diff, results)
	}
}

// A test with a list of events is a response of several events. Every wait of its rule is over, that of quiet hours too.
func TestInlineList(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "surveygate.yaml")
	const text = `
connections: {chat: {slack: {webhook: "${UNSET}"}}}
rules:
  - name: settle
    events: [response.partial, response.completed]
    settle: 2m
    when: nps_score <= 6 and has(feedback)
    quiet: {from: "00:00", to: "23:59"}
    send: [chat]
    tests:
      - {given: [{type: response.partial, nps_score: 3}, {feedback: slow}], expect: [chat]}
      - {given: [{nps_score: 3, response: {id: a}}, {feedback: slow, response: {id: b}}], expect: []}
  - name: until
    settle: {for: 10m, until: has(email)}
    quiet: {from: "00:00", to: "23:59"}
    send: [chat]
    tests:
      - {given: [{nps_score: 3}, {email: jo@example.com}, {nps_score: 4}], expect: [chat, chat]}
  - name: each
    when: nps_score <= 6
    quiet: {from: "12:00", to: "11:59"}
    at_most: {per: 1h, count: 1}
    send: [chat]
    tests:
      - {given: {nps_score: 3}, expect: [chat]}
      - {given: [{nps_score: 3}, {nps_score: 4}, {nps_score: 8}], expect: [chat, chat]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tested, err := Test(TestOptions{Options: Options{Config: file}})
	if err != nil {
		t.Fatal(err)
	}
	results := tested.Results
	if len(results) != 5 {
		t.Errorf("%d tests", len(results))
	}
	for _, r := range results {
		if !r.Passed {
			t.Errorf("%s at %s: %v is sent: %v", r.Rule, r.At, r.Got, r.Why)
		}
	}
}
