package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/connectors/connectortest/credentials"
)

var update = connectortest.Update

// exampleEnv is what the examples and the README leave to the environment.
var exampleEnv = []string{
	"SURVEYGATE_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
	"POLLQR_SECRET=pollqr-example-secret",
	"INTAKE_SECRET=intake-example-secret-0123456789",
	"POPSEE_SECRET=popsee-example-secret",
	"POLLARIX_SECRET=pollarix-example-secret",
	"POLTIO_TOKEN=0123456789abcdef0123456789abcdef",
	"DASHBOARD_TOKEN=0123456789abcdef0123456789abcdef",
	"SLACK_WEBHOOK=https://hooks.slack.com/services/T0/B0/example",
	"HOOK_SECRET=whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
	"CRM_SECRET=the-secret-that-the-crm-already-checks",
	"SLACK_TOKEN=xoxb-1234-example",
	"HUBSPOT_TOKEN=pat-eu1-example",
	"MAILCHIMP_KEY=0123456789abcdef0123456789abcdef-us6",
	"KLAVIYO_KEY=pk_0123456789abcdef0123456789abcdef",
	"GA4_SECRET=example-secret",
	"MIXPANEL_SECRET=example-secret",
	"AMPLITUDE_KEY=0123456789abcdef0123456789abcdef",
	"PAGER_TOKEN=example-token",
	"SALESFORCE_SECRET=example-secret-of-salesforce",
	"TEAMS_WEBHOOK=https://default00.00.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/0a1b2c" +
		"/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=example",
	"GOOGLE_CREDENTIALS=" + credentials.Google(),
}

// Each example is checked, its rules' tests pass, and each of its expected/*.txtar is a command and what it prints.
func TestExamples(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("../../examples/*/surveygate.yaml")
	if err != nil || len(stories) < 2 {
		t.Fatal("the examples are gone", err)
	}
	for _, story := range stories {
		dir := filepath.Dir(story)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			program := binary
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				program = buildOwn(t, dir)
			}
			for _, args := range [][]string{{"check"}, {"test"}} {
				if out, errs, code := call(t, program, dir, exampleEnv, args...); code != 0 {
					t.Errorf("surveygate %s: exit %d\n%s%s", args, code, out, errs)
				}
			}
			expected := filepath.Join(dir, "expected.txtar")
			archive, err := txtar.ParseFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) == 0 {
				t.Fatalf("%s expects nothing", expected)
			}
			for i, file := range archive.Files {
				out, errs, _ := call(t, program, dir, exampleEnv, strings.Fields(file.Name)[1:]...)
				if got := out + errs; got != string(file.Data) {
					if *update {
						archive.Files[i].Data = []byte(got)
						continue
					}
					t.Errorf("%s (-want +got):\n%s", file.Name, cmp.Diff(string(file.Data), got))
				}
			}
			if *update {
				if err := os.WriteFile(expected, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
