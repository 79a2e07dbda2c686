package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// From a person, a response or a delivery to the events, by the commands alone; another tenant finds nothing.
func TestFindEvents(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), `
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T/B/X"}}
  theirs: {slack: {webhook: "https://hooks.slack.com/services/T/B/X"}, tenant: acme}
rules:
  - {name: detractor, when: nps_score <= 6, delay: 1h, send: [alarms]}
`)
	var emitted []struct{ ID, Status string }
	ids := map[string]string{}
	for name, body := range map[string]string{
		"jo1":  `{"type":"response.partial","id":"jo1","email":"Jo@Example.com","response":{"id":"r1"}}`,
		"jo2":  `{"type":"response.completed","id":"jo2","email":"jo@example.com","nps_score":3,"response":{"id":"r1"}}`,
		"lee":  `{"type":"response.completed","id":"4930123","nps_score":9,"phone":"+49 30 123","respondent":{"external_id":"C-17"},"response":{"id":"r3"}}`,
		"evil": `{"type":"response.completed","id":"evil","nps_score":8,"email":"x@example.com","response":{"id":"\u001b[31mred"}}`,
	} {
		p.ask(&emitted, "emit", body)
		ids[name] = emitted[0].ID
	}
	var full struct {
		Deliveries []struct{ ID string }
	}
	until(t, "all are decided", func() bool {
		text, _ := p.say("events", "list")
		return !strings.Contains(text, "pending")
	})
	p.ask(&full, "events", "show", "jo2")
	if len(full.Deliveries) != 1 {
		t.Fatalf("%+v", full)
	}
	for _, c := range []struct {
		args []string
		code int
		says []string
		not  string
	}{
		{args: []string{"explain", "jo@example.com"}, says: []string{"2 events of jo@example.com", ids["jo1"], ids["jo2"], "1 waiting", "surveygate explain "}, not: ids["lee"]},
		{args: []string{"explain", "+49 30 123"}, says: []string{"Event " + ids["lee"]}},
		{args: []string{"explain", "c-17"}, says: []string{"Event " + ids["lee"]}},
		{args: []string{"explain", "4930123"}, says: []string{"Event " + ids["lee"]}},
		{args: []string{"explain", "r3"}, says: []string{"Event " + ids["lee"]}},
		{args: []string{"explain", "r1"}, says: []string{"2 events of r1"}},
		{args: []string{"explain", full.Deliveries[0].ID}, says: []string{"Event " + ids["jo2"], full.Deliveries[0].ID}},
		{args: []string{"explain", "nobody@example.com"}, code: 4, says: []string{"no such event", "nobody@example.com"}},
		{args: []string{"explain", "jo@example.com", "--tenant", "acme"}, code: 4, says: []string{"no such event"}},
		{args: []string{"explain", "jo@example.com", "--json"}, says: []string{`"data": [`, ids["jo1"]}},
		{args: []string{"events", "list", "--person", "jo@example.com"}, says: []string{ids["jo1"], "response.partial", "owes nothing", ids["jo2"]}, not: ids["lee"]},
		{args: []string{"events", "list", "--response", "r3"}, says: []string{ids["lee"]}, not: ids["jo1"]},
		{args: []string{"events", "list", "--type", "response.partial"}, says: []string{ids["jo1"]}, not: ids["jo2"]},
		{args: []string{"events", "list", "--type", "response.partiall"}, code: 1, says: []string{"did you mean `response.partial`"}},
		{args: []string{"events", "list", "--rule", "detractor"}, says: []string{ids["jo2"]}, not: ids["lee"]},
		{args: []string{"events", "list", "--rule", "detracter"}, code: 4, says: []string{"did you mean `detractor`"}},
		{args: []string{"events", "list", "--unmatched"}, says: []string{ids["lee"], ids["jo1"]}, not: ids["jo2"]},
		{args: []string{"events", "list", "--unmatched", "--dead"}, code: 2, says: []string{"exclude"}},
		{args: []string{"events", "list", "--source", "api", "--since", "1h", "--limit", "1"}, says: []string{"more: --cursor "}},
		{args: []string{"events", "list", "--until", "1h"}, says: []string{"none"}},
		{args: []string{"events", "list"}, says: []string{`\x1b[31mred`}, not: "\x1b"},
		{args: []string{"events", "list", "--tenant", "acme"}, says: []string{"none"}},
		{args: []string{"events", "show", ids["jo2"]}, says: []string{"rule detractor", "waiting  to alarms", `"nps": 3`, "surveygate explain " + ids["jo2"]}},
		{args: []string{"events", "show", full.Deliveries[0].ID}, says: []string{ids["jo2"] + "  response.completed from api"}},
		{args: []string{"events", "show", "jo2", "--json"}, says: []string{`"outcome": {`}},
		{args: []string{"events", "show", ids["jo2"], "--tenant", "acme"}, code: 4},
	} {
		out, errs, code := invoke(t, p.dir, nil, append(c.args, "--data", filepath.Join(p.dir, "data"))...)
		for _, want := range c.says {
			if !strings.Contains(out+errs, want) {
				t.Errorf("surveygate %s: no %q:\n%s%s", c.args, want, out, errs)
			}
		}
		if code != c.code || c.not != "" && strings.Contains(out+errs, c.not) {
			t.Errorf("surveygate %s: exit %d, want %d, without %q:\n%s%s", c.args, code, c.code, c.not, out, errs)
		}
	}
}
