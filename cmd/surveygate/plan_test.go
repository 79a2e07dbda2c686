package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/client"
)

// planned is the folder of examples/rules-in-ci with a gateway that runs it and has a week's events of its form. What it sends
// goes nowhere: its proxy does not exist.
type planned struct {
	*process
	t    *testing.T
	dir  string
	text string
	// example is the configuration as the example has it.
	example string
}

var exampleOfCI = filepath.Join("..", "..", "examples", "rules-in-ci")

func newPlanned(t *testing.T) *planned {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(exampleOfCI)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(exampleOfCI, "surveygate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p := &planned{t: t, dir: dir, example: string(text), text: string(text) + fmt.Sprintf("outbound: {proxy: \"http://127.0.0.1:9\"}\ntokens: [{name: ci, secret: %q, tenant: \"*\", scopes: [read, settings, write, publish], sources: [\"*\"]}]\n", testToken)}
	p.process = start(t, dir, p.text, exampleEnv...)
	return p
}

// plan asks about the configuration with changes, and returns what is printed.
func (p *planned) plan(code int, args []string, pairs ...string) string {
	p.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(p.text, pairs[i]) {
			p.t.Fatalf("there is no %q", pairs[i])
		}
	}
	dir := filepath.Join(p.dir, "new")
	put(p.t, dir, "surveygate.yaml", strings.NewReplacer(pairs...).Replace(p.text))
	if _, err := os.Stat(filepath.Join(dir, "profiles")); err != nil {
		if err := os.CopyFS(filepath.Join(dir, "profiles"), os.DirFS(filepath.Join(p.dir, "profiles"))); err != nil {
			p.t.Fatal(err)
		}
	}
	out, errs, got := call(p.t, binary, p.dir, nil, append([]string{"plan", "new/surveygate.yaml", "--data", "data"}, args...)...)
	if got != code {
		p.t.Fatalf("exit %d, not %d:\n%s%s", got, code, out, errs)
	}
	for _, secret := range []string{"hidden-", "example-secret", testToken} {
		if strings.Contains(out+errs, secret) {
			p.t.Errorf("a secret is printed: %s%s", out, errs)
		}
	}
	return out
}

// shows reports what an output lacks.
func (p *planned) shows(out string, texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			p.t.Errorf("%q is not shown in\n%s", text, out)
		}
	}
	for line := range strings.Lines(out) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
			p.t.Errorf("a line has %d characters: %s", n, line)
		}
	}
}

// The product finds what a wrong change would do: a threshold off by one, a webhook that is gone, a mistyped path in a profile.
func TestPlan(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	var lines strings.Builder
	for i := range 110 {
		fmt.Fprintf(&lines, `{"event": "answered", "id": "r%d", "at": "2026-01-02T03:04:05Z", "score": %d, "email": "jo%d@example.com"}`+"\n", i, i%11, i)
	}
	for line := range strings.Lines(lines.String()) {
		body := strings.TrimSpace(line)
		mac := hmac.New(sha256.New, []byte("intake-example-secret-0123456789"))
		mac.Write([]byte(body))
		p.do(new(any), http.MethodPost, "/in/intake", body, "X-Intake-Signature", hex.EncodeToString(mac.Sum(nil)))
	}
	if out := p.plan(0, nil); out != "Nothing changes: the configuration means what the running one means\n" {
		t.Errorf("%s", out)
	}
	p.shows(p.plan(2, nil, "nps_score <= 6", "nps_score <= 5"),
		"Over 110 events since ", "10 deliveries fewer", "~ rule detractor: when", "rule detractor: -10", "nps_score <= 5 is false, nps_score is 6", "alarms  -10")
	hook := p.text[strings.Index(p.text, "webhooks:"):strings.Index(p.text, "rules:")]
	p.shows(p.plan(2, nil, hook, ""), "- webhook warehouse", "webhook warehouse: -110", "the webhook is removed", "webhook warehouse: no longer configured: ")
	put(t, p.dir, "new/profiles/intake.yaml", strings.Replace(p.profile(), "response.score.nps: score", "response.score.nps: scores", 1))
	p.shows(p.plan(2, nil), "~ source intake: profile (its file)", "110 events would be read differently: response.score.nps (110)", "rule detractor: -70",
		"the event has no nps_score")
	put(t, p.dir, "new/profiles/intake.yaml", p.profile())

	// Secrets are compared as they are written, and never shown.
	p.shows(p.plan(2, nil, "${SLACK_WEBHOOK}", "https://hooks.slack.com/services/T/B/hidden-new"), "no recent event is affected", "~ connection alarms: another secret in slack.webhook")

	var plan client.Plan
	if err := json.Unmarshal([]byte(p.plan(2, []string{"--json"}, "<= 6", "<= 7")), &plan); err != nil || !plan.Changes || plan.Deliveries.Added != 10 {
		t.Errorf("%v, %+v", err, plan)
	}
	markdown := p.plan(2, []string{"--markdown"}, "<= 6", "<= 7")
	if !strings.Contains(markdown, "| <code>rule detractor</code> | 10 | 0 | 0 |") || strings.Contains(markdown, "example.com") {
		t.Errorf("%s", markdown)
	}
	if out := p.plan(2, []string{"--markdown", "--values"}, "NPS {{ nps_score }}", "NPS: {{ nps_score }}"); !strings.Contains(out, "&#64;example.com") {
		t.Errorf("%s", out)
	}

	// What cannot be compared is no change: 2 means that something changes.
	put(t, p.dir, "faulty.yaml", "rules:\n  - {name: r, when: nps_scor <= 6, send: [nobody]}\n")
	for _, refused := range []struct {
		args string
		code int
		says string
	}{
		{"plan faulty.yaml --data data", 1, "faulty.yaml:2:21: `nps_scor` is not a name"},
		{"plan nothing.yaml --data data", 1, "nothing.yaml does not exist"},
		{"plan new/surveygate.yaml --data data --since yesterday", 1, "since: this is a time as"},
		{"plan new/surveygate.yaml --data data --limit 0", 1, "--limit is 1 to 1000000"},
		{"plan new/surveygate.yaml --data data --limt 1", 1, "unknown flag: --limt"},
		{"plan a b", 1, "one argument too many"},
		{"plan new/surveygate.yaml --json --markdown", 1, "--markdown and --json exclude each other"},
		{"plan new/surveygate.yaml --values", 1, "--values is for --markdown"},
		{"plan new/surveygate.yaml --data nowhere", 3, "no gateway is running there"},
	} {
		out, errs, code := call(t, binary, p.dir, nil, strings.Fields(refused.args)...)
		if code != refused.code || !strings.Contains(errs, refused.says) || out != "" {
			t.Errorf("%s: exit %d, %q %q", refused.args, code, out, errs)
		}
	}
}

func (p *planned) profile() string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "profiles", "intake.yaml"))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// workflow is a workflow of GitHub, as far as a test runs it.
type workflow struct {
	Jobs map[string]struct {
		Env   map[string]string `json:"env"`
		Steps []struct {
			Name string `json:"name"`
			Run  string `json:"run"`
		} `json:"steps"`
	} `json:"jobs"`
}

// The workflow of the example is YAML, and its steps that call surveygate do what they say, with the plan of a running gateway.
func TestWorkflowOfRules(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	request := t.TempDir() // the files of the pull request
	if err := os.CopyFS(request, os.DirFS(exampleOfCI)); err != nil {
		t.Fatal(err)
	}
	put(t, request, "surveygate.yaml", strings.NewReplacer("<= 6", "<= 5", "nps_score: 6", "nps_score: 5").Replace(p.example))
	text, err := os.ReadFile(filepath.Join(request, ".github", "workflows", "surveygate.yml"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := client.ReadDraft("surveygate.yml", []byte(strings.ReplaceAll(string(text), "${", "$${")), client.Lookup{})
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := json.Unmarshal(read.Plain(), &w); err != nil {
		t.Fatal(err)
	}
	job := w.Jobs["rules"]
	env := append(os.Environ(), "SURVEYGATE_SERVER=http://"+p.address, "SURVEYGATE_TOKEN="+testToken,
		"PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"), "GITHUB_OUTPUT="+filepath.Join(request, "output"), "GITHUB_STEP_SUMMARY="+filepath.Join(request, "summary"))
	for name, value := range job.Env {
		env = append(env, name+"="+value)
	}
	ran := 0
	for _, step := range job.Steps {
		if !strings.Contains(step.Run, "surveygate ") {
			continue
		}
		ran++
		cmd := exec.CommandContext(context.Background(), "bash", "-eo", "pipefail", "-c", step.Run) // as GitHub does
		cmd.Dir, cmd.Env = request, env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", step.Name, err, out)
		}
	}
	output, _ := os.ReadFile(filepath.Join(request, "output"))
	summary, _ := os.ReadFile(filepath.Join(request, "summary"))
	if ran != 3 || string(output) != "changes=true\n" || !strings.Contains(string(summary), "### surveygate plan") {
		t.Errorf("%d steps, %q, %q", ran, output, summary)
	}
	if _, err := os.Stat(filepath.Join(request, "report.xml")); err != nil {
		t.Error(err)
	}
}
