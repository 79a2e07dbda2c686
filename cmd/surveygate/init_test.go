package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// init writes a configuration that check accepts as soon as its variables are set, and changes no file that exists.
func TestInit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, errs, code := invoke(t, dir, nil, "init", "--source", "pollqr", "--to", "webhook")
	for _, says := range []string{
		"surveygate.yaml is written: no faults, 2 tests passed", "export POLLQR_SECRET=… HOOK_SECRET=…\n", "  surveygate check\n  surveygate run\n",
		"  surveygate emit '{\"type\": \"response.completed\", \"nps_score\": 3,\n    \"email\": \"jo@example.com\", \"consent\": true}'\n  surveygate emit --sample pollqr\n",
	} {
		if !strings.Contains(out, says) {
			t.Errorf("no %q in:\n%s", says, out)
		}
	}
	if code != 0 || errs != "" {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	file := filepath.Join(dir, "surveygate.yaml")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, _ := invoke(t, dir, nil, "secret")
	env := []string{"POLLQR_SECRET=pollqr-secret-0123456789", "HOOK_SECRET=" + strings.TrimSpace(secret)}
	if out, errs, code := invoke(t, dir, env, "check"); code != 0 || !strings.Contains(out, "1 source, 1 destination, 1 rule: no faults") || strings.Contains(out+errs, "warning") {
		t.Errorf("check: exit %d\n%s%s", code, out, errs)
	}

	out, errs, code = invoke(t, dir, nil, "init", "--source", "pollqr", "--to", "slack")
	if after, err := os.ReadFile(file); code != 2 || !strings.Contains(errs, "surveygate.yaml exists, and is not changed: name another file with --out") || err != nil || string(after) != string(before) {
		t.Errorf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	out, errs, code = invoke(t, dir, nil, "init", "--source", "surveymonkey", "--to", "salesforce", "--out", "other.yaml", "--json")
	var made struct {
		File                string
		Variables, Examples []string
		Tests               int
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	if made.File != "other.yaml" || made.Tests != 1 || len(made.Variables) != 3 || made.Examples[0] != "domain" {
		t.Errorf("%+v", made)
	}
	// The printed commands name the file, as a shell reads it.
	for says, args := range map[string][]string{
		"  surveygate run --config 'it'\\''s ours.yaml'\n": {"--out", "it's ours.yaml"},
		"  surveygate run --config named.yaml\n":           {"--config", "named.yaml"},
	} {
		if out, errs, code := invoke(t, dir, nil, append([]string{"init", "--source", "pollqr", "--to", "slack"}, args...)...); code != 0 || !strings.Contains(out, says) {
			t.Errorf("%q: exit %d, no %q in:\n%s%s", args, code, says, out, errs)
		}
	}
	for args, says := range map[string]string{
		"init":                                     "surveygate init --source pollqr --to slack",
		"init --source polqr --to slack":           "did you mean `pollqr`?",
		"init --source pollqr --to slak":           "did you mean `slack`?",
		"init --source pollqr --to slack --out /x": "/x",
	} {
		if before, missing := strings.CutSuffix(args, "/x"); missing {
			args = before + filepath.Join(dir, "no", "folder.yaml")
			says = "no such file or directory"
		}
		if out, errs, code := invoke(t, dir, nil, strings.Fields(args)...); code != 2 || !strings.Contains(errs, says) {
			t.Errorf("%s: exit %d, want %q\n%s%s", args, code, says, out, errs)
		}
	}
}
