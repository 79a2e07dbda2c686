package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// exampleVariables are those of the examples of checks.
var exampleVariables = map[string]string{
	"SLACK_WEBHOOK": "https://hooks.slack.com/services/T0/B0/example", "POLTIO_TOKEN": "0123456789abcdef0123456789abcdef",
	"MAILCHIMP_KEY": "0123456789abcdef0123456789abcdef-us6", "SLACK_TOKEN": "xoxb-1234-example", "HUBSPOT_TOKEN": "pat-eu1-example",
	"POLLQR_SECRET": "pollqr-example-secret", "POPSEE_SECRET": "popsee-example-secret", "CRM_SECRET": "the-secret-of-the-crm", "HOOK_SECRET": "another-secret-of-it",
}

// linted are the warnings of files: surveygate.yaml, and what follows it in a txtar archive.
func linted(t *testing.T, text string, document *checks.Document) document.Faults {
	t.Helper()
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	archive := txtar.Parse([]byte(text))
	write("surveygate.yaml", string(archive.Comment))
	for _, f := range archive.Files {
		write(f.Name, string(f.Data))
	}
	if strings.Contains(text, "tls:") {
		for name, until := range map[string]time.Duration{"expires-soon": 24 * time.Hour, "renewed": 300 * 24 * time.Hour} {
			cert, key := pair(t, name, time.Now().Add(until))
			write(name+".pem", cert)
			write(name+".key", key)
		}
	}
	c, err := config.Load(config.Options{
		Path: filepath.Join(folder, "surveygate.yaml"), Lint: true,
		Env: func(name string) (string, bool) { v, ok := exampleVariables[name]; return v, ok },
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if document == nil {
		return c.Warnings
	}
	o := config.Overlay(c, "acme", documents(doc(document.Name, document.Spec)))
	if len(o.Documents[0].Faults) > 0 {
		t.Fatal(o.Documents[0].Faults)
	}
	return append(c.Warnings, o.Documents[0].Warnings...)
}

// Every check has an example that it alone warns of, and a mended one that nothing warns of.
func TestExamplesOfChecks(t *testing.T) {
	t.Parallel()
	last := checks.Code("")
	for _, check := range checks.All() {
		if check.Code <= last || check.Title == "" || check.Why == "" || check.Do == "" {
			t.Errorf("%s: it is out of order, or says too little", check.Code)
		}
		last = check.Code
		t.Run(string(check.Code), func(t *testing.T) {
			t.Parallel()
			got := linted(t, check.Example, check.Document)
			if len(got) != 1 || got[0].Code != string(check.Code) {
				t.Errorf("the example says %v", got)
			}
			if got := linted(t, check.Mended, check.Document); len(got) > 0 {
				t.Errorf("the mended example says %v", got)
			}
			if check.Code == checks.Empty || check.Document != nil || check.Code == checks.UnknownCode || check.Code == checks.Superfluous {
				return
			}
			// A comment on the line of the warning silences it, and so does one above that line.
			for _, above := range []bool{false, true} {
				lines := strings.SplitAfter(check.Example, "\n")
				at := got[0].Line - 1
				comment := "# surveygate: ignore " + string(check.Code) + " as a test"
				if above {
					lines = slices.Insert(lines, at, comment+"\n")
				} else {
					lines[at] = strings.TrimSuffix(lines[at], "\n") + " " + comment + "\n"
				}
				if got := linted(t, strings.Join(lines, ""), nil); len(got) > 0 {
					t.Errorf("with a comment it says %v", got)
				}
			}
		})
	}
}

// TestWarningTexts loads the files of each archive in testdata/warnings and compares the warnings with its last section.
func TestWarningTexts(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/warnings/*.txtar")
	if err != nil || len(archives) < 8 {
		t.Fatalf("found %d archives: %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			last := &archive.Files[len(archive.Files)-1]
			for _, f := range archive.Files[:len(archive.Files)-1] {
				if err := os.WriteFile(filepath.Join(folder, f.Name), f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := config.Load(config.Options{Path: folder, Lint: true, Env: func(name string) (string, bool) { v, ok := exampleVariables[name]; return v, ok }})
			if err != nil {
				t.Fatal(err)
			}
			got := "nothing\n"
			if len(c.Warnings) > 0 {
				got = strings.ReplaceAll(c.Warnings.Error(), folder+string(filepath.Separator), "") + "\n"
			}
			if last.Name != "warnings" {
				t.Fatalf("the last section is %s, want warnings", last.Name)
			}
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(last.Data) {
				t.Errorf("got\n%s\nwant\n%s", got, last.Data)
			}
		})
	}
}

// Every warning has a code that is declared.
func TestEveryWarningHasACode(t *testing.T) {
	t.Parallel()
	for _, code := range checks.Codes() {
		if c, ok := checks.Find(code); !ok || string(c.Code) != code || !strings.Contains(c.Text(), c.Title) {
			t.Errorf("%s is not found", code)
		}
	}
	if _, ok := checks.Find("SG9999"); ok {
		t.Error("SG9999 is found")
	}
	c, err := config.LoadText([]byte("listen: 127.0.0.1:0\n"))
	if err != nil || len(c.Warnings) != 1 || c.Warnings[0].Code != string(checks.Empty) {
		t.Error(errors.Join(err, c.Warnings))
	}
}

// Stored documents are checked for what their own text shows, and not for what only all rules and sources show.
func TestWarningsOfDocuments(t *testing.T) {
	t.Parallel()
	base := loadText(t, overlayBase)
	o := config.Overlay(base, "acme", documents(
		doc("connection/alone", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/alone"}}`),
		doc("rule/dead", `{"when": "nps_score > 8 and nps_score < 3", "send": ["files"]}`),
		doc("rule/same", `{"when": "ces_score > 3", "send": ["files"]}`),
		doc("rule/same-again", `{"when": "ces_score > 3", "send": ["files"]}`),
		doc("webhook/score", `{"url": "https://hook.example.com/in", "signature": "none", "events": ["response.completed"], "when": "nps_score >= 0"}`),
	))
	var got []string
	for _, d := range o.Documents {
		for _, w := range append(slices.Clone(d.Faults), d.Warnings...) {
			got = append(got, d.Name+" "+w.Code+" "+w.Message)
		}
	}
	want := []string{
		"rule/dead SG1101 `nps_score > 8` and `nps_score < 3` are never both true",
		"webhook/score SG1104 `nps_score` is always >= 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
