package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// `check --live` says in words what is missing, by exit codes what a script wants to know, and no secret.
func TestCheckLive(t *testing.T) {
	t.Parallel()
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") == "Bearer pat-refused":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"category":"INVALID_AUTHENTICATION","message":"pat-refused"}`)
		case strings.HasSuffix(r.URL.Path, "/field_definitions"):
			_, _ = fmt.Fprint(w, `{"custom_fields":[{"id":"e1_N","name":"nps","field_type":"Number"}]}`)
		case strings.HasSuffix(r.URL.Path, "/marketing/lists"):
			_, _ = fmt.Fprint(w, `{"result":[]}`)
		case strings.HasSuffix(r.URL.Path, "/properties/contacts"):
			_, _ = fmt.Fprint(w, `{"results":[{"name":"email"},{"name":"firstname"},{"name":"lastname"},{"name":"phone"}]}`)
		default:
			_, _ = fmt.Fprint(w, `{}`)
		}
	}))
	t.Cleanup(fake.Close)
	config := filepath.Join(t.TempDir(), "surveygate.yaml")
	text := fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
connections:
  crm: {hubspot: {token: "${HUBSPOT_TOKEN}", base_url: %[1]q}}
  wrong: {hubspot: {token: pat-refused, base_url: %[1]q}}
  mapped: {hubspot: {token: pat-good, base_url: %[1]q}}
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/pat-address"}}
  gone: {hubspot: {token: pat-good, base_url: "http://127.0.0.1:1"}}
  letters: {sendgrid: {api_key: pat-good, base_url: %[1]q}}
rules:
  - {name: scores, send: [{mapped: {properties: {sg_nps: nps_score}}}, crm, wrong, alarms, gone, letters]}
`, fake.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		args string
		code int
		want []string
	}{
		{"check --live crm", 0, []string{"crm          hubspot        proved\n"}},
		{"check --live alarms", 0, []string{"unproved\n", "not checked: anything"}},
		{"check --live wrong crm", 1, []string{"missing: a token that HubSpot accepts (401 Unauthorized: INVALID_AUTHENTICATION)", "proved\n"}},
		{"check --live mapped", 1, []string{"missing: the property sg_nps (for scores: mapped)"}},
		{"check --live letters", 0, []string{"letters      sendgrid       proved\n    note: the custom field nps has the id e1_N\n"}},
		{"check --live letters --json", 0, []string{`"the custom field nps has the id e1_N"`, `"notes": [`}},
		{"check --live gone", 1, []string{"unreachable: "}},
		{"check --live", 1, []string{"crm ", "wrong ", "mapped ", "alarms ", "gone "}},
		{"check --live --tenant acme crm", 4, []string{"there is no connection crm"}},
		{"check --live crn", 4, []string{"there is no connection crn; there are: alarms, crm, gone, letters, mapped, wrong"}},
		{"check crm", 2, []string{"names of connections need --live"}},
		{"check", 0, []string{"no faults"}},
	}
	run := func(args ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), binary, append(args, "--config", config)...)
		cmd.Env = append(os.Environ(), "HUBSPOT_TOKEN=pat-environment")
		out, _ := cmd.CombinedOutput()
		if strings.Contains(string(out), "pat-") {
			t.Errorf("%v prints a secret:\n%s", args, out)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	for _, c := range cases {
		out, code := run(strings.Fields(c.args)...)
		if code != c.code {
			t.Errorf("%s: exit %d, want %d:\n%s", c.args, code, c.code, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in:\n%s", c.args, want, out)
			}
		}
		if c.args == "check" && strings.Contains(out, "proved") {
			t.Errorf("without --live a product is asked:\n%s", out)
		}
	}
	out, code := run("check", "--live", "mapped", "--json")
	var report struct {
		Connections []struct {
			Name, Standing string
			Missing        []struct {
				What  string
				Steps []string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 || len(report.Connections) != 1 || report.Connections[0].Standing != "missing" ||
		report.Connections[0].Missing[0].What != "the property sg_nps" || report.Connections[0].Missing[0].Steps[0] != "scores: mapped" {
		t.Errorf("exit %d, %v:\n%s", code, err, out)
	}
}
