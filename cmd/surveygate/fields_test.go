package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/cmd/command"
	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/rules/event"
)

// fields runs the command in this process, in a folder without a configuration unless one is named.
func fields(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = command.Main(append([]string{"fields", "--config", filepath.Join(t.TempDir(), "none.yaml")}, args...), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// Each name is there with its type, whatever a platform sends is shown, and nothing is wider than a terminal.
func TestFields(t *testing.T) {
	t.Parallel()
	narrow := func(of, text string) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > 80 || strings.HasSuffix(line, " ") {
				t.Errorf("%s: %q", of, line)
			}
		}
	}
	all, errs, code := fields(t)
	if narrow("all names", all); code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, n := range event.Glossary() {
		if !strings.Contains(all, "\n"+n.Name+" ") || !strings.Contains(all, " "+n.Kind.Words()+" ") || n.Path != "" && !strings.Contains(all, "  or "+n.Path) {
			t.Errorf("%s is not shown", n.Name)
		}
	}
	samples, err := filepath.Glob("../../gateway/internal/source/samples/*.json")
	if err != nil || len(samples) < 20 {
		t.Fatalf("%d samples: %v", len(samples), err)
	}
	for _, file := range samples {
		platform := strings.TrimSuffix(filepath.Base(file), ".json")
		text, errs, code := fields(t, platform, file)
		if narrow(platform, text); code != 0 || !strings.Contains(text, "\nnull, because this body has no value:\n") {
			t.Errorf("%s: exit %d\n%s%s", platform, code, text, errs)
		}
		var of offline.BodyFields
		if out, errs, code := fields(t, platform, file, "--json"); code != 0 || json.Unmarshal([]byte(out), &of) != nil || of.Profile != platform || len(of.Events) == 0 {
			t.Errorf("%s: exit %d\n%s%s", platform, code, out, errs)
		}
	}
}

func TestFieldsOfABody(t *testing.T) {
	t.Parallel()
	body := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(body, []byte(`{"event":"response.created","survey_id":"s1","response_id":"r1","timestamp":"2026-01-02T03:04:05Z",
		"response":{"nps_score":3,"answers":{"2":"Too slow","3":["A","B"],"why \"so\"\n?":"é"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	text, errs, code := fields(t, "pollqr", body)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, line := range []string{
		`nps_score               3`, `nps_group               "detractor"`, `answer("2")             "Too slow"`, `answer("3")             ["A","B"]`,
		`answer("why \"so\"\n?") "é"`, `survey.id               "s1"`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
	if null := text[strings.Index(text, "null, because"):]; !strings.Contains(null, "feedback") || strings.Contains(null, "nps_score") {
		t.Errorf("missing:\n%s", null)
	}

	// A configured source stands before a profile of its name, with its roles.
	config := filepath.Join(t.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(config, []byte("sources: {pollqr: {profile: pollqr, secrets: [\"${NOT_SET}\"], roles: {\"2\": feedback}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := fields(t, "pollqr", body, "--json", "--config", config)
	var of offline.BodyFields
	if err := json.Unmarshal([]byte(out), &of); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	values := map[string]string{}
	for _, v := range of.Events[0].Fields {
		var value bytes.Buffer
		if err := json.Compact(&value, v.Value); err != nil {
			t.Fatal(err)
		}
		values[v.Name] = v.Type + " " + value.String()
	}
	for name, want := range map[string]string{
		"feedback": `text "Too slow"`, "csat_score": "number null", `answer("3")`: `list ["A","B"]`, "source": `text "pollqr"`, "response.completed": "true or false true",
	} {
		if values[name] != want {
			t.Errorf("%s is %s, want %s", name, values[name], want)
		}
	}
	if of.Source != "pollqr" || of.Profile != "pollqr" || of.Events[0].Type != "response.completed" {
		t.Errorf("through %+v", of)
	}

	// A configuration with faults keeps nobody from looking at a body, and it is said.
	if err := os.WriteFile(config, []byte("rules: [{name: x, when: nps = 3, send: [y]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, _, code := fields(t, "pollqr", body, "--config", config); code != 0 || !strings.Contains(text, "note: the configuration has faults") {
		t.Errorf("exit %d\n%s", code, text)
	}
	for want, args := range map[string][]string{
		"did you mean `pollqr`?":              {"polqr", body},
		"no such file":                        {"pollqr", body + ".none"},
		"a source and a file":                 {"pollqr"},
		"the body cannot be read as an event": {"pollqr", config},
	} {
		if _, errs, code := fields(t, args...); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
}

// A name that is printed can be pasted into a condition, whatever a key is made of.
func TestFieldsAreNamesOfTheLanguage(t *testing.T) {
	t.Parallel()
	keys := []string{"plan", "plan-name", "in", "not", "true", "a.b", "a b", "1st", "é", "\u00a0", "\u200b", "\U000e0001", "\\", "'\"`", "{{", "#", "<b>", "\u2028", "\t", "_x9"}
	params := map[string]any{}
	for i, key := range keys {
		params[key] = i
	}
	body := filepath.Join(t.TempDir(), "body.json")
	text, err := json.Marshal(map[string]any{"event_type": "form_response", "event_id": "e", "form_response": map[string]any{"token": "t", "form_id": "f", "hidden": params}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(body, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := fields(t, "typeform", body, "--json")
	var of offline.BodyFields
	if err := json.Unmarshal([]byte(out), &of); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	found := map[string]bool{}
	for _, v := range of.Events[0].Fields {
		if strings.HasPrefix(v.Name, "params.") || strings.HasPrefix(v.Name, "params[") {
			found[string(v.Value)] = true
		}
	}
	if len(found) != len(keys) {
		t.Errorf("%d of %d hidden fields have a name: %v\n%s", len(found), len(keys), found, out)
	}
}

// check warns of what the page of the rule language says that it warns of.
func TestRulesPageWarnings(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../rules/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for _, table := range strings.Split(string(page), "| Warned of | `check` warns |\n| --- | --- |\n")[1:] {
		for row := range strings.Lines(table) {
			cells := strings.Split(row, "|")
			if len(cells) != 4 {
				break
			}
			rows = append(rows, cells)
		}
	}
	plain := strings.NewReplacer("`", "", "; ", " ")
	for _, cells := range rows {
		file := filepath.Join(t.TempDir(), "surveygate.yaml")
		if err := os.WriteFile(file, []byte("sources: {typeform: {profile: typeform, secrets: [s]}, shop: {profile: pollqr, secrets: [s]}}\n"+
			"connections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T/B/x\"}}}\nrules:\n  - name: r\n    send: [alarms]\n    when: "+
			strings.Trim(cells[1], " `")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := offline.Check(offline.Options{Config: file}, "")
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(plain.Replace(cells[2]))
		if len(report.Warnings) != 1 || !containsInOrder(plain.Replace(report.Warnings[0].String()), want) {
			t.Errorf("%s: %v, want %v", cells[1], report.Warnings, want)
		}
	}
	if len(rows) < 9 {
		t.Errorf("%d warnings were played", len(rows))
	}
}

// What the page says of conditions in YAML is true: which need a block, and that a block takes each of them.
func TestRulesPageYAML(t *testing.T) {
	t.Parallel()
	for condition, plain := range map[string]bool{
		`nps_score <= 6 and context.country == "DE"`: true, `not (consent ?? false)`: true, `(nps_score ?? 10) <= 6`: true, `feedback contains 'it''s'`: false,
		`"DE" == context.country`: false, `'DE' == context.country`: false, `["DE"] contains context.country`: false, `!consent`: false,
		`feedback == "a: b"`: false, `any(answer("q"), # == "a")`: false, `any(answer("q"), (# == "a"))`: true,
	} {
		for _, when := range []string{condition, "|\n      " + condition} {
			file := filepath.Join(t.TempDir(), "surveygate.yaml")
			if err := os.WriteFile(file, []byte("connections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T/B/x\"}}}\n"+
				"rules:\n  - name: r\n    send: [alarms]\n    when: "+when+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := offline.Check(offline.Options{Config: file}, "")
			if want := plain || when != condition && !strings.Contains(condition, "''"); (err == nil) != want {
				t.Errorf("%s: %v", when, err)
			}
		}
	}
}

// containsInOrder says whether the words stand in a text, one after the other.
func containsInOrder(text string, words []string) bool {
	for _, word := range words {
		_, after, found := strings.Cut(text, word)
		if !found {
			return false
		}
		text = after
	}
	return true
}

// untilInterrupted runs the binary until it has printed a line, and interrupts it.
func untilInterrupted(t *testing.T, dir string, args []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), exampleEnv...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Errorf("surveygate %s: %q, %v", args, line, err)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("surveygate %s, interrupted: %v", args, err)
	}
}

// Every command of the page of the rule language runs.
func TestRulesPageCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	body, err := os.ReadFile("../../gateway/internal/source/samples/typeform.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"body.json": string(body), "surveygate.yaml": `
sources: {typeform: {profile: typeform, path_token: 0123456789abcdef012345}}
connections: {alarms: {slack: {webhook: "${SLACK_WEBHOOK}"}}}
rules: [{name: r, when: nps_score <= 6, send: [alarms], tests: [{given: {nps_score: 3}, expect: [alarms]}]}]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	played := 0
	for _, b := range blocks(t, "../../rules/README.md") {
		if b.language != "sh" {
			continue
		}
		for _, line := range commands(b.text) {
			played++
			args := strings.Fields(line)[1:]
			if slices.Contains(args, "--watch") { // it has no end
				untilInterrupted(t, dir, args)
				continue
			}
			if out, errs, code := invoke(t, dir, exampleEnv, args...); code != 0 {
				t.Errorf("%s: exit %d\n%s%s", line, code, out, errs)
			}
		}
	}
	if played < 4 {
		t.Errorf("%d commands were played", played)
	}
}
