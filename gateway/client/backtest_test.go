package client

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func openDraft(t *testing.T, text string) (*Draft, []string) {
	t.Helper()
	d, unset, err := ReadOpenDraft("file.yaml", []byte(text), Lookup{Env: func(name string) (string, bool) { return "a${b}", name == "BRACES" }})
	if err != nil {
		t.Fatal(err)
	}
	return d, unset
}

const wholeFile = `
listen: 127.0.0.1:8080
tokens: [{name: ci, secret: "${TOKEN}", scopes: [read]}]
sources: {pollqr: {profile: pollqr, secrets: ["${POLLS}"]}}
connections:
  crm: {hubspot: {token: "${CRM}"}, tenant: acme}
  alarms: {slack: {webhook: "${BRACES}"}, rate: 1/s}
  other: {slack: {webhook: "https://hooks.slack.com/services/x"}}
webhooks:
  - {name: hook, url: "https://hook.example.com/${PATH_OF}", tenant: "*"}
rules:
  - name: low
    when: nps_score <= 6
    send: [alarms, {crm.note: {text: x}, as: note}, hook]
    tests: [{given: {nps_score: 3}, expect: [alarms]}]
  - {name: high, tenant: acme, when: nps_score >= 9, send: [other]}
`

// Of a whole configuration, a backtest is sent the rules that are asked, with what they send to, and nothing else.
func TestDraftOfABacktest(t *testing.T) {
	t.Parallel()
	d, unset := openDraft(t, wholeFile)
	if want := []string{"TOKEN", "POLLS", "CRM", "PATH_OF"}; !slices.Equal(unset, want) {
		t.Errorf("unset: %q, want %q", unset, want)
	}
	for _, c := range []struct {
		names  []string
		tenant string
		want   string
	}{
		{[]string{"low"}, "", `{"webhooks":{"hook":{"url":"https://hook.example.com/${PATH_OF}"}},` +
			`"connections":{"alarms":{"slack":{"webhook":"a$${b}"},"rate":"1/s"},"crm":{"hubspot":{"token":"${CRM}"}}},` +
			`"rules":{"low":{"when":"nps_score \u003c= 6","send":["alarms",{"crm.note":{"text":"x"},"as":"note"},"hook"]}}}`},
		{[]string{"high"}, "", `{"connections":{"other":{"slack":{"webhook":"https://hooks.slack.com/services/x"}}},"rules":{"high":{"when":"nps_score \u003e= 9","send":["other"]}}}`},
		{nil, "default", `{"webhooks":{"hook":{"url":"https://hook.example.com/${PATH_OF}"}},"connections":{"alarms":{"slack":{"webhook":"a$${b}"},"rate":"1/s"}},` +
			`"rules":{"low":{"when":"nps_score \u003c= 6","send":["alarms",{"crm.note":{"text":"x"},"as":"note"},"hook"]}}}`},
		{[]string{"hook"}, "", `{"webhooks":{"hook":{"url":"https://hook.example.com/${PATH_OF}"}}}`},
	} {
		made, err := d.Backtest(c.names, c.tenant)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(made); err != nil || string(got) != c.want {
			t.Errorf("%q of %q: %s, %v\nwant %s", c.names, c.tenant, got, err, c.want)
		}
	}
}

// What a text lacks is said with what to write.
func TestDraftOfABacktestIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		names []string
		want  string
	}{
		{wholeFile, []string{"lo"}, "file.yaml has no rule `lo`; did you mean low?"},
		{"rules: {}\n", nil, "file.yaml has no rules: write rules:"},
		{"listen: x\n", []string{"low"}, "file.yaml has no rule `low`"},
		{"rules: [{name: a, tenant: x}, {name: a, tenant: y}]\n", nil, "file.yaml:1:38: `a` is there twice"},
		{"rules: {a: null}\n", nil, "file.yaml has no rules"},
	} {
		d, _ := openDraft(t, c.text)
		if _, err := d.Backtest(c.names, ""); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}

// Of several documents with one name, a tenant has the one that names it, and the tenant default the one that names none.
func TestDraftOfABacktestOfATenant(t *testing.T) {
	t.Parallel()
	d, _ := openDraft(t, `
webhooks:
  - {name: hook, url: "https://default.example.com/"}
  - {name: hook, url: "https://acme.example.com/", tenant: acme}
rules:
  - {name: low, when: nps_score <= 6, send: [hook]}
  - {name: low, when: nps_score <= 3, send: [hook], tenant: acme}
`)
	for tenant, want := range map[string]string{
		"acme":    `{"webhooks":{"hook":{"url":"https://acme.example.com/"}},"rules":{"low":{"when":"nps_score \u003c= 3","send":["hook"]}}}`,
		"default": `{"webhooks":{"hook":{"url":"https://default.example.com/"}},"rules":{"low":{"when":"nps_score \u003c= 6","send":["hook"]}}}`,
	} {
		made, err := d.Backtest(nil, tenant)
		if err != nil {
			t.Errorf("%s: %v", tenant, err)
			continue
		}
		if got, err := json.Marshal(made); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v\nwant %s", tenant, got, err, want)
		}
	}
}
