package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Warnings have codes, fail a check only with --strict, are explained by their codes, and are silenced by a comment.
func TestCheckWarnings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const rule = `webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, body: event}
rules:
  - name: extremes
    when: nps_score > 8 and nps_score < 3
    send: [crm]
`
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "surveygate.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rule)
	out, _, code := invoke(t, dir, nil, "check")
	for _, want := range []string{
		"warning: surveygate.yaml:5:29: `nps_score > 8` and `nps_score < 3` are never both true [SG1101]\n", "^~~~~~~~~~~~~ correct it",
		"`surveygate check --explain SG1101` tells more\n", "no faults, 1 warning\n",
	} {
		if !strings.Contains(out, want) || code != 0 {
			t.Errorf("code %d, and %q is not in\n%s", code, want, out)
		}
	}
	if strict, _, code := invoke(t, dir, nil, "check", "--strict"); code != 1 || strict != out {
		t.Errorf("--strict: code %d\n%s", code, strict)
	}
	text, _, code := invoke(t, dir, nil, "check", "--strict", "--json")
	var report struct {
		Warnings []struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil || code != 1 || len(report.Warnings) != 1 || report.Warnings[0].Code != "SG1101" || strings.Contains(report.Warnings[0].Message, "SG1101") {
		t.Errorf("--json: code %d, %v\n%s", code, err, text)
	}
	write(strings.Replace(rule, "  - name", "  # surveygate: ignore SG1101\n  - name", 1))
	if out, _, code := invoke(t, dir, nil, "check", "--strict"); code != 0 || strings.Contains(out, "warning") {
		t.Errorf("with a comment: code %d\n%s", code, out)
	}
	if out, _, code := invoke(t, dir, nil, "check", "--explain", "sg1101"); code != 0 || !strings.HasPrefix(out, "SG1101: ") || !strings.Contains(out, "What to do: ") || !strings.Contains(out, "\n        when: nps_score > 8 and nps_score < 3\n") {
		t.Errorf("--explain: code %d\n%s", code, out)
	}
	out, said, code := invoke(t, dir, nil, "check", "--explain", "SG9999")
	if code != 4 || out != "" || !strings.Contains(said, "there is no warning `SG9999`") {
		t.Errorf("--explain of no code: code %d\n%s%s", code, out, said)
	}
	text, _, code = invoke(t, dir, nil, "check", "--explain", "SG1101", "--json")
	var explained struct{ Code, Title, Why, Do, Example, Mended string }
	if err := json.Unmarshal([]byte(text), &explained); err != nil || code != 0 || explained.Code != "SG1101" || explained.Mended == "" {
		t.Errorf("--explain --json: code %d, %v\n%s", code, err, text)
	}
}
