package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/cmd/command"
)

// ask runs a command against a running gateway's folder and decodes its JSON.
func (p *process) ask(into any, args ...string) {
	p.t.Helper()
	args = append(args, "--data", filepath.Join(p.dir, "data"), "--json")
	out, errs, code := invoke(p.t, p.dir, nil, args...)
	if code != 0 {
		p.t.Fatalf("surveygate %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		p.t.Fatalf("surveygate %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// say runs a command and returns what it prints for people.
func (p *process) say(args ...string) (string, int) {
	p.t.Helper()
	out, errs, code := invoke(p.t, p.dir, nil, append(args, "--data", filepath.Join(p.dir, "data"))...)
	return out + errs, code
}

// unfolded is a text without its lines, which depend on the length of paths and names.
func unfolded(text string) string { return strings.Join(strings.Fields(text), " ") }

type shownDelivery struct {
	ID, Event, State, Reason, Destination string
	Attempts                              int
	Log                                   []struct {
		N                                  int
		Verdict, Reason, Request, Response string
		Status                             int
	}
}

// until asks again until the answer is as wanted.
func until(t testing.TB, what string, true func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond) // between looks at another process
	defer tick.Stop()
	for end := time.After(patience); !true(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not reached: %s", what)
		}
	}
}

// From an event to its dead letter and its replay, by the commands alone.
func TestCommandsFromEmitToReplay(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	status.Store(http.StatusUnprocessableEntity)
	receiver := newSink(t, func(int, *http.Request) int { return int(status.Load()) })
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: crm, url: %q, events: [response.completed], when: nps_score <= 6, signature: none}
`, receiver.url))

	var emitted []struct{ ID, Status string }
	p.ask(&emitted, "emit", `{"type": "response.completed", "id": "one", "nps_score": 3}`)
	if len(emitted) != 1 || emitted[0].Status != "accepted" {
		t.Fatal(emitted)
	}
	p.ask(&emitted, "emit", `{"type": "response.completed", "id": "one", "nps_score": 3}`)
	if emitted[0].Status != "duplicate" {
		t.Errorf("the second one is %s", emitted[0].Status)
	}
	id := emitted[0].ID

	var page struct{ Data []shownDelivery }
	until(t, "a dead letter", func() bool {
		p.ask(&page, "dead", "list")
		return len(page.Data) == 1
	})
	dead := page.Data[0]
	if dead.Event != id || dead.Attempts != 1 || !strings.Contains(dead.Reason, "422") {
		t.Errorf("%+v", dead)
	}
	var full shownDelivery
	p.ask(&full, "deliveries", "show", dead.ID)
	if len(full.Log) != 1 || full.Log[0].Status != 422 || !strings.HasPrefix(full.Log[0].Request, "POST "+receiver.url) {
		t.Errorf("%+v", full)
	}
	text, code := p.say("explain", id)
	if code != 0 || !strings.Contains(text, "nps_score <= 6") || !strings.Contains(text, "dead replay "+dead.ID) {
		t.Errorf("exit %d: %s", code, text)
	}

	status.Store(http.StatusOK)
	p.ask(nil, "dead", "replay", dead.ID)
	until(t, "delivered after the replay", func() bool {
		p.ask(&full, "deliveries", "show", dead.ID)
		return full.State == "delivered"
	})
	if full.Attempts != 2 {
		t.Errorf("%d attempts", full.Attempts)
	}
	// What is no dead letter is left alone by the commands for dead letters.
	for _, c := range [][2]string{{"replay", "surveygate replay " + dead.ID}, {"drop", "surveygate deliveries drop " + dead.ID}} {
		if text, code := p.say("dead", c[0], dead.ID); code != 1 || !strings.Contains(text, "it is delivered, not a dead letter: "+c[1]) {
			t.Errorf("dead %s: exit %d: %s", c[0], code, text)
		}
	}
	if text, code := p.say("dead", "replay", id); code != 1 || !strings.Contains(text, "it is decided, not a dead letter: surveygate replay "+id) {
		t.Errorf("dead replay of an event: exit %d: %s", code, text)
	}

	// One that does not match, and why.
	p.ask(&emitted, "emit", `{"type": "response.completed", "id": "two"}`)
	text, _ = p.say("explain", emitted[0].ID)
	if !strings.Contains(text, "nps_score") || !strings.Contains(text, "✗") {
		t.Errorf("nothing says that the score is missing:\n%s", text)
	}

	// A dead letter that is given up.
	status.Store(http.StatusUnprocessableEntity)
	p.ask(nil, "emit", `{"type": "response.completed", "id": "three", "nps_score": 0}`)
	until(t, "a dead letter", func() bool {
		p.ask(&page, "dead", "list")
		return len(page.Data) == 1
	})
	p.ask(nil, "dead", "drop", page.Data[0].ID)
	p.ask(&page, "dead", "list")
	if len(page.Data) != 0 {
		t.Errorf("still dead: %+v", page.Data)
	}
	p.stop()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("rules:\n  - {name: r, when: nps_scor <= 6, send: [nobody]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	failing := filepath.Join(dir, "failing.yaml")
	if err := os.WriteFile(failing, []byte(`connections: {a: {slack: {webhook: "${X}"}}}
rules:
  - {name: r, when: nps_score <= 6, send: [a], tests: [{given: {nps_score: 9}, expect: [a]}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(dir, "good.yaml")
	if err := os.WriteFile(good, []byte(`sources: {pollqr: {profile: pollqr, secrets: [x]}}
connections: {a: {slack: {webhook: "https://hooks.slack.com/services/T/B/x"}}}
webhooks: [{name: w, url: "https://hook.example.com/", events: [response.completed], signature: none}]
rules: [{name: r, when: nps_score <= 6, send: [a]}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		args string
		code int
		says string
	}{
		{"version", 0, "surveygate "},
		{"secret", 0, "whsec_"},
		{"secret --for nothing", 2, "webhook, ed25519, path, token or key"},
		{"check --config " + bad, 2, "bad.yaml:2:21: `nps_scor` is not a name"},
		{"check", 2, "`surveygate init` writes one,\nand `surveygate demo` shows"},
		{"run", 2, "`surveygate init` writes one,\nand `surveygate demo` shows"},
		{"test --config " + failing, 1, "expected [a], got []"},
		{"deliveries list", 3, "no gateway is running there"},
		{"explain 98f112ad9000831e10656e02964b1bb9", 3, "no gateway is running there"},
		{"emit", 2, "name what to publish"},
		{"nothing", 2, "unknown command"},
		{"listen --signature standard", 2, "secret"},
		{"listen --signature none --answer 999", 2, "--answer 999: a status is 200 to 599"},
		{"listen --signature none --status 199", 2, "--status 199: a status is 200 to 599"},
		{"listen --signature none --fail 0", 2, "--fail 0: a number of attempts is 1 to 1000"},
		{"listen --signature none --delay 11m", 2, "--delay 11m0s: a delay is 0s to 10m0s"},
		{"listen --signature none --answer 503 --fail 2", 2, "--answer is the earlier name of --status"},
		{"explain", 2, "an argument is missing: write surveygate explain ID | PERSON | FILE"},
		{"deliveries show", 2, "an argument is missing: write surveygate deliveries show ID"},
		{"dead replay", 2, "an argument is missing: write surveygate dead replay ID…"},
		{"destinations pause a b", 2, `"b" is one argument too many: write surveygate destinations pause NAME`},
		{"source test typeform", 2, "an argument is missing: write surveygate source test "},
		{"fields pollqr", 2, "fields takes no arguments, or a source and a file"},
		{"help nothing", 2, `unknown command "nothing" for "surveygate"`},
		{"help dead lits", 2, `unknown command "lits" for "surveygate dead"`},
		{"help dead list", 0, "surveygate dead list [flags]"},
		{"completion zsh", 0, "#compdef surveygate"},
		{"run now", 2, `surveygate run takes no arguments, but was given "now"`},
		{"check --url gate.example.com --config " + good, 2, `--url "gate.example.com" is not a URL such as https://`},
		{"check --url https://gate.example.com/ --config " + good, 0, " https://gate.example.com/in/pollqr\n"},
		{"check --config " + good, 0, "1 source, 2 destinations, 1 rule: no faults"},
	}
	for _, c := range cases {
		out, errs, code := invoke(t, dir, nil, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("surveygate %s: exit %d, want %d with %q:\n%s%s", c.args, code, c.code, c.says, out, errs)
		}
	}
}

var (
	flagValue = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+) (\S+) {2}`)
	pronoun   = regexp.MustCompile(`^(it|its|them)\b|^one(,| that)`)
)

// Every command refuses words that it does not know, whatever its place, and says where to look. Its help fits a terminal, and names what
// it is about.
func TestUnknownWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		help, _, code := invoke(t, dir, nil, append(strings.Fields(c.CommandPath())[1:], "--help")...)
		for line := range strings.Lines(help) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 && !strings.HasPrefix(strings.TrimSpace(line), "surveygate completion ") { // the library's own
				t.Errorf("%s --help is wider than 80 columns: %s", c.CommandPath(), line)
			}
		}
		if code != 0 || help == "" {
			t.Errorf("%s --help: exit %d", c.CommandPath(), code)
		}
		if !strings.Contains(help, "--tenant string") { // backquotes in a flag's text would name its value
			t.Errorf("%s --help does not show --tenant string", c.CommandPath())
		}
		// A list of commands is read without the name of the group above it.
		if _, object, _ := strings.Cut(c.Short, " "); pronoun.MatchString(object) {
			t.Errorf("%s: name what it is about: %s", c.CommandPath(), c.Short)
		}
		for _, flag := range flagValue.FindAllStringSubmatch(help, -1) { // what stands in backquotes in a flag's text names its value
			if !slices.Contains([]string{"string", "strings", "stringArray", "int", "uint", "duration", "file", "style"}, flag[2]) {
				t.Errorf("%s --help: %s takes a value named %s", c.CommandPath(), flag[1], flag[2])
			}
		}
		if c.HasSubCommands() && !strings.Contains(c.Use, " ") { // `replay` takes ids too
			out, errs, code := invoke(t, dir, nil, append(strings.Fields(c.CommandPath())[1:], "lits")...)
			if code != 2 || out != "" || !strings.Contains(errs, `unknown command "lits"`) {
				t.Errorf("%s lits: exit %d\n%s%s", c.CommandPath(), code, out, errs)
			}
			if out, errs, code := invoke(t, dir, nil, strings.Fields(c.CommandPath())[1:]...); code != 0 || !strings.Contains(out, "Usage:") {
				t.Errorf("%s: exit %d\n%s%s", c.CommandPath(), code, out, errs)
			}
		} else if c.Args == nil {
			t.Errorf("%s takes any words", c.CommandPath())
		}
	}
	walk(command.New(io.Discard, io.Discard))
	if _, errs, _ := invoke(t, dir, nil, "dead", "lits"); !strings.Contains(errs, "did you mean list?") {
		t.Error(errs)
	}
}

// SIGHUP loads a changed file; one with faults is refused and the running configuration stays.
func TestReload(t *testing.T) {
	t.Parallel()
	first, second := newSink(t, nil), newSink(t, nil)
	config := `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, url: %q, events: [response.completed], signature: none}
`
	p := start(t, t.TempDir(), fmt.Sprintf(config, first.url))
	n := 0
	emit := func() {
		n++
		p.ask(nil, "emit", fmt.Sprintf(`{"type": "response.completed", "id": "r-%d"}`, n))
	}
	emit()
	first.await(t, func(times map[string][]time.Time) bool { return len(times) == 1 })

	p.rewrite("webhooks: [{name: hook, url: nonsense}]\n")
	until(t, "the refusal is logged", func() bool { return strings.Contains(p.said(), "refused") })
	emit()
	first.await(t, func(times map[string][]time.Time) bool { return len(times) == 2 })

	p.reload(fmt.Sprintf(config, second.url))
	emit()
	second.await(t, func(times map[string][]time.Time) bool { return len(times) == 1 })
	p.stop()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d after an interrupt:\n%s", code, p.said())
	}
}
