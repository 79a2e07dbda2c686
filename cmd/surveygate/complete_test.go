package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/cmd/command"
)

const completedConfig = `
sources:
  pollqr: {profile: pollqr, secrets: [pollqr-secret-0123456789]}
  branch: {profile: pollqr, secrets: [branch-secret-0123456789], tenant: acme}
connections:
  crm: {hubspot: {token: pat-x}}
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/x"}}
webhooks:
  - {name: hook, url: "https://hook.example.com/in", events: [response.completed], signature: none}
  - {name: hers, url: "https://hook.example.com/in", events: [response.completed], signature: none, tenant: acme}
rules:
  - {name: detractor, when: nps_score <= 6, send: [crm]}
tokens: [{name: ci, secret: "` + testToken + `", scopes: [read]}]
`

// completed returns what a shell is offered for a command line, whose last word is being written. It calls the command without a
// process of its own: there are many lines, and TestBashCompletion has the binary.
func completed(t *testing.T, config string, args ...string) []string {
	t.Helper()
	var out bytes.Buffer
	code := command.Main(append([]string{"__complete", "--config", config}, args...), &out, io.Discard)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != 0 || !strings.HasPrefix(lines[len(lines)-1], ":") {
		t.Errorf("%v: exit %d\n%s", args, code, out.String())
	}
	names := lines[:len(lines)-1]
	for i, name := range names {
		names[i], _, _ = strings.Cut(name, "\t")
	}
	return names
}

// Names come from the running gateway, each in every command and flag that takes one; without one, from the configuration file.
func TestCompletion(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), completedConfig)
	elsewhere := filepath.Join(t.TempDir(), "surveygate.yaml") // there is no such file
	file := filepath.Join(p.dir, "surveygate.yaml")
	data := filepath.Join(p.dir, "data")
	cases := []struct {
		line string // what is written, and the beginning of the next word after the last blank
		want []string
	}{
		{"destinations pause ", []string{"alarms", "crm", "hook"}},
		{"destinations test al", []string{"alarms"}},
		{"destinations show crm ", nil},
		{"webhook show ", []string{"hook"}},
		{"webhook secret rotate ", []string{"hook"}},
		{"webhook put ", []string{"hook"}},
		{"connection show ", []string{"alarms", "crm"}},
		{"source rejected ", []string{"pollqr"}},
		{"source capture ", []string{"pollqr"}},
		{"source show ", []string{"pollqr"}},
		{"source test --running poll", []string{"pollqr"}},
		{"source test poll", []string{"pollarix", "pollqr"}},
		{"rule disable ", []string{"detractor"}},
		{"token delete ", []string{"ci"}},
		{"token create ", nil},
		{"token create x --sources ", []string{"pollqr"}},
		{"token set ", []string{"alarms", "crm"}},
		{"check --live crm ", []string{"alarms"}},
		{"tenant show ", []string{"acme", "default"}},
		{"fields ", []string{"pollqr"}},
		{"deliveries list --rule ", []string{"detractor", "hook"}},
		{"dead list --destination ", []string{"alarms", "crm", "hook"}},
		{"replay --destination h", []string{"hook"}},
		{"replay --rule d", []string{"detractor"}},
		{"events list --source ", []string{"pollqr"}},
		{"emit --source ", []string{"pollqr"}},
		{"emit --sample pollq", []string{"pollqr"}},
		{"explain --source ", []string{"pollqr"}},
		{"try --source ", []string{"pollqr"}},
		{"backtest --rule d", []string{"detractor"}},
		{"backtest --source ", []string{"pollqr"}},
		{"destinations list --tenant ", []string{"acme", "default"}},
		{"destinations pause --tenant acme ", []string{"hers"}},
		{"destinations pause --tenant * ", []string{"alarms", "crm", "hers", "hook"}},
		{"init --to sl", []string{"slack"}},
		{"help dea", []string{"dead"}},
		{"version ", nil},
	}
	for _, c := range cases {
		args := strings.Split(c.line, " ")
		if got := completed(t, elsewhere, append([]string{"--data", data}, args...)...); !slices.Equal(got, c.want) {
			t.Errorf("%q with a gateway: %q, want %q", c.line, got, c.want)
		}
	}
	p.stop()
	for _, c := range cases {
		if got := completed(t, file, append([]string{"--data", data}, strings.Split(c.line, " ")...)...); !slices.Equal(got, c.want) {
			t.Errorf("%q with the file: %q, want %q", c.line, got, c.want)
		}
	}
	if got := completed(t, elsewhere, "--data", data, "destinations", "pause", ""); len(got) != 0 {
		t.Errorf("without a gateway and a file: %q", got)
	}
}

// A gateway that does not answer holds up no shell, and what goes wrong is not shown.
func TestCompletionIsSilent(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	deaf, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0") // takes connections, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deaf.Close() }()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "surveygate.yaml"), []byte(completedConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"http://" + deaf.Addr().String(), "nonsense"} {
		out, errs, code := invoke(t, dir, []string{"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"}, "__complete", "--server", server, "--token", testToken, "rule", "show", "")
		if code != 0 || out != "detractor\n:4\n" || strings.Contains(errs, "127.0.0.1") || strings.Contains(errs, "nonsense") {
			t.Errorf("%s: exit %d: %q %q", server, code, out, errs)
		}
	}
}

// The script of bash completes names too. The function is one of bash-completion, which the script builds on.
func TestBashCompletion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "surveygate.yaml"), []byte(completedConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-c", `set -e
compopt() { :; } # which works only while a person presses Tab
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
source <(surveygate completion bash)
set +e
COMP_WORDS=(surveygate destinations pause al) COMP_CWORD=3 COMP_LINE="surveygate destinations pause al" COMP_POINT=32 COMP_TYPE=9
$(complete -p surveygate | sed 's/.*-F \([^ ]*\) .*/\1/')
printf '%s\n' "${COMPREPLY[@]}"`)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "alarms" {
		t.Errorf("%v: %q, want alarms", err, out)
	}
}
