package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
)

const overlayBase = `
tokens: [{name: all, secret: "tttttttttttttttttttttttttttttttt", tenant: "*", scopes: [publish], sources: ["*"]}]
sources: {shop: {profile: popsee, secrets: ["popsee-secret-0001"]}}
connections:
  crm:   {slack: {webhook: "https://hooks.slack.com/services/T/B/operator"}}
  files: {slack: {webhook: "https://hooks.slack.com/services/T/B/files"}, tenant: acme}
webhooks: [{name: taken, url: "https://hook.example.com/taken", signature: none, tenant: acme, events: [response.completed]}]
rules:
  - {name: everybody, tenant: "*", send: [{crm: {text: "NPS {{ nps_score }}"}}]}
  - {name: own, tenant: acme, send: [files]}
`

// doc is a document whose version is its place in a list, which documents sets.
func doc(name, spec string) config.Document { return config.Document{Name: name, Spec: []byte(spec)} }

func documents(list ...config.Document) []config.Document {
	for i := range list {
		if list[i].Version == 0 {
			list[i].Version = uint64(i + 1)
		}
	}
	return list
}

func loadText(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.LoadText([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// states lists the documents that are not active, with their faults.
func states(t *config.TenantConfig) map[string]string {
	all := map[string]string{}
	for _, d := range t.Documents {
		text := string(d.State)
		for _, f := range d.Faults {
			text += "\n" + f.String()
		}
		for _, f := range d.Warnings {
			text += "\nwarning: " + f.String()
		}
		if text != string(config.Active) {
			all[d.Name] = text
		}
	}
	return all
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	base := loadText(t, overlayBase)
	o := config.Overlay(base, "acme", documents(
		doc("connection/crm", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/acme"}, "rate": "10/s"}`),
		doc("webhook/hook", `{"url": "https://hook.example.com/in", "signature": "none", "events": ["response.completed"], "when": "nps_score <= 6"}`),
		doc("source/popsee", `{"profile": "popsee", "secrets": ["popsee-secret-0002"]}`),
		doc("rule/detractor", `{"when": "nps_score <= 6", "send": ["crm", {"files": {"text": "hello"}}, {"hook": {"headers": {"X-A": "1"}}, "as": "again"}]}`),
	))
	if diff := cmp.Diff(map[string]string{}, states(o)); diff != "" {
		t.Error(diff)
	}
	var got []string
	for _, d := range o.Destinations {
		got = append(got, d.Tenant+" "+d.Name+" "+d.Product+" "+d.At.File)
		if d.Trusted || d.Alone == nil || d.Broken || !d.Enabled {
			t.Errorf("%+v", d)
		}
	}
	for _, s := range o.Sources {
		got = append(got, s.Tenant+" "+s.Name+" "+s.Receiver.Profile.Name)
	}
	for _, r := range o.Rules {
		for _, s := range r.Steps {
			got = append(got, r.Tenant+" "+r.Match.Kind.String()+" "+r.Name+"/"+s.Name+" → "+s.Destination)
			if s.Build["acme"] == nil || len(s.Build) != 1 {
				t.Errorf("%s has no connector", s.Name)
			}
		}
	}
	if diff := cmp.Diff([]string{
		"acme crm slack store:connection/crm", "acme hook webhook store:webhook/hook",
		"acme popsee popsee",
		"acme rule detractor/crm → crm", "acme rule detractor/files → files", "acme rule detractor/again → hook", "acme webhook hook/hook → hook",
	}, got); diff != "" {
		t.Error(diff)
	}
	if len(o.Builds) != 1 {
		t.Fatalf("%d builds", len(o.Builds))
	}
	for step, c := range o.Builds {
		if step.Name != "crm" || c == nil || step.Build["acme"] != nil || step.Build["default"] == nil {
			t.Errorf("%+v", step)
		}
	}
	if len(o.Generation) != 16 || len(o.Kept) == 0 {
		t.Errorf("generation %q", o.Generation)
	}
}

func TestBrokenDocuments(t *testing.T) {
	t.Parallel()
	base := loadText(t, overlayBase)
	o := config.Overlay(base, "acme", documents(
		doc("connection/crm", `{"slack": {"webhok": "x"}}`),
		doc("webhook/hook", `{"url": "ftp://x", "events": ["response.completed"]}`),
		doc("webhook/text", `[1]`),
		doc("webhook/yaml", `{`),
		doc("connection/hook", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/x"}}`),
		doc("rule/both", `{"send": [{"crm": {"text": "hello"}}, "files", "yaml"]}`),
		doc("rule/nowhere", `{"send": ["nothing"]}`),
		doc("rule/own", `{"send": ["files"]}`),
		doc("rule/everybody", `{"send": ["files"]}`),
		doc("webhook/files", `{"url": "https://hook.example.com/in", "signature": "none"}`),
		doc("rule/expression", `{"send": ["files"], "when": "nps_scor < 1"}`),
		doc("rule/off", `{"send": ["files"], "enabled": false}`),
		doc("rule/tenant", `{"send": ["files"], "tenant": "other"}`),
		doc("cron/x", `{}`),
		doc("rule/A", `{}`),
		doc("source/env", `{"profile": "popsee", "secrets": ["${SECRET}"]}`),
		doc("source/file", `{"profile": "popsee", "secrets": ["${file:/etc/passwd}"]}`),
		doc("source/path", `{"profile": "./x.yaml", "secrets": ["0123456789abcdef"]}`),
		doc("source/stream", `{"profile": "popsee", "redis_stream": "x"}`),
		doc("rule/large", `{"send": ["files"], "when": "`+strings.Repeat(" ", config.MaxDocument)+`true"}`),
		doc("webhook/given", `{"url": "https://hook.example.com/in", "signature": "none", "events": ["response.completed"]}`),
	))
	got := map[string]string{}
	for name, text := range states(o) {
		line, _, _ := strings.Cut(text, "\n    ")
		state, fault, _ := strings.Cut(line, "\n")
		_, fault, _ = strings.Cut(fault, ": ")
		got[name] = state + ": " + fault
	}
	if diff := cmp.Diff(map[string]string{
		"connection/crm":  "broken: `webhok` is not a setting here",
		"webhook/hook":    "broken: a URL begins with https://",
		"webhook/text":    "broken: a document must be a mapping of settings, and is a list",
		"webhook/yaml":    "broken: `{` is not closed, or a comma is missing within it",
		"connection/hook": "broken: the destination `hook` is defined twice",
		"rule/nowhere":    "broken: there is no connection or webhook `nothing`",
		"rule/own":        "shadowed: the rule `own` is defined in the files, and that one is used",
		"rule/everybody":  "shadowed: the rule `everybody` is defined in the files, and that one is used",
		"webhook/files":   "shadowed: the destination `files` is defined in the files, and that one is used",
		"rule/expression": "broken: `nps_scor` is not a name of the rule language",
		"rule/off":        "disabled: ",
		"rule/tenant":     "broken: the document belongs to the tenant `acme`",
		"cron/x":          "broken: `cron/x` is not the name of a document",
		"rule/A":          "broken: `A` is not a rule's name",
		"source/env":      "broken: `${…}` is for the files of the configuration: nothing is looked up for a stored document",
		"source/file":     "broken: `${…}` is for the files of the configuration: nothing is looked up for a stored document",
		"source/path":     "broken: a stored source cannot have the file of a profile",
		"source/stream":   "broken: requests of this source cannot be verified",
		"rule/large":      "broken: the document has more than 64 KiB",
	}, got); diff != "" {
		t.Error(diff)
	}
	var all []string
	for _, d := range o.Destinations {
		all = append(all, fmt.Sprintf("%s %s broken=%t", d.Name, d.Product, d.Broken))
	}
	for _, r := range o.Rules {
		for _, s := range r.Steps {
			c, owed := s.Build["acme"]
			all = append(all, fmt.Sprintf("%s/%s owed=%t built=%t", r.Name, s.Name, owed, c != nil))
		}
	}
	for step, c := range o.Builds {
		all = append(all, fmt.Sprintf("* %s built=%t", step.Name, c != nil))
	}
	if diff := cmp.Diff([]string{
		"crm slack broken=true", "given webhook broken=false", "hook webhook broken=true", "text webhook broken=true", "yaml webhook broken=true",
		"both/crm owed=true built=false", "both/files owed=true built=true", "both/yaml owed=true built=false",
		"off/files owed=true built=true", "given/given owed=true built=true", "hook/hook owed=true built=false",
		"* crm built=false",
	}, all); diff != "" {
		t.Error(diff)
	}
}
