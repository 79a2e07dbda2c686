package config_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
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

// TestLoc shows that a fault says where in the document it is.
func TestLoc(t *testing.T) {
	t.Parallel()
	base := loadText(t, overlayBase)
	for _, c := range []struct{ name, spec, want string }{
		{"webhook/x", `{"url": "https://hook.example.com", "signature": "none", "headers": {"X-A": "{{ nps_scor }}"}}`, `store:webhook/x:1:81 ["headers","X-A"]`},
		{"rule/x", `{"send": [{"files": {"channel": 1, "txt": "x"}}]}`, `store:rule/x:1:36 ["send",0,"files","txt"]`},
		{"rule/x", `{"send": ["files", "nobody"]}`, `store:rule/x:1:20 ["send",1]`},
		{"connection/x", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/x"}, "rate": "10"}`, `store:connection/x:1:74 ["rate"]`},
		{"connection/x", `{"rate": "10/s"}`, `store:connection/x []`},
		{"source/x", "profile: popsee\nsecrets: [0123456789abcdef]\nroles:\n  q: nobody", `store:source/x:4:6 ["roles","q"]`},
		{"rule/x", `{`, `store:rule/x:1:1 []`},
	} {
		o := config.Overlay(base, "acme", documents(doc(c.name, c.spec)))
		var got []string
		for _, f := range o.Documents[0].Faults {
			loc, err := json.Marshal(f.Loc)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f.Position.String()+" "+string(loc))
		}
		if !slices.Contains(got, c.want) {
			t.Errorf("%s\n%q, not %s: %v", c.spec, got, c.want, o.Documents[0].Faults)
		}
	}
}

// TestSecretsOfDocuments shows that secrets are put where they belong, are masked, and end a pause when they change.
func TestSecretsOfDocuments(t *testing.T) {
	t.Parallel()
	base := loadText(t, overlayBase)
	with := func(url, secret string) *config.TenantConfig {
		d := doc("webhook/x", `{"headers": {"X-A": "1"}, "rate": "5/s"}`)
		d.Secrets = map[string]connectors.Secret{
			"url": connectors.NewSecret(url), "secrets.0": connectors.NewSecret(secret), "headers.X-Api-Key": connectors.NewSecret("key-of-the-tenant"),
		}
		return config.Overlay(base, "acme", documents(d))
	}
	one := with("https://hook.example.com/secret-path-one", "whsec_deadbeefdeadbeefdeadbeefdeadbeef")
	two := with("https://hook.example.com/secret-path-two", "whsec_deadbeefdeadbeefdeadbeefdeadbee0")
	a, b := one.Destinations[0], two.Destinations[0]
	if a.Broken || b.Broken {
		t.Fatal(states(one), states(two))
	}
	if a.Sum != b.Sum || one.Documents[0].Sum != two.Documents[0].Sum || one.Generation != two.Generation {
		t.Error("a hash depends on a secret")
	}
	if slices.Equal(a.Credentials, b.Credentials) || a.Address == b.Address || a.Address.IsZero() {
		t.Error("a pause would not end when the secrets change")
	}
	reordered := doc("webhook/x", "rate: 5/s\nheaders: {X-A: '1'}")
	reordered.Secrets = map[string]connectors.Secret{
		"url": a.Address, "secrets.0": connectors.NewSecret("whsec_deadbeefdeadbeefdeadbeefdeadbeef"), "headers.X-Api-Key": connectors.NewSecret("key-of-the-tenant"),
	}
	if c := config.Overlay(base, "acme", documents(reordered)).Destinations[0]; !slices.Equal(a.Credentials, c.Credentials) || a.Sum != c.Sum {
		t.Error("a pause would end when the keys are written in another order")
	}
	for _, text := range []string{fmt.Sprintf("%+v", one), string(one.Kept)} {
		if strings.Contains(text, "secret-path") || strings.Contains(text, "deadbeef") || strings.Contains(text, "key-of-the-tenant") {
			t.Error(text)
		}
	}
	bad := with("ftp://hook.example.com/secret-path", "key-of-the-tenant\n")
	for _, f := range bad.Documents[0].Faults {
		if strings.Contains(f.String(), "secret-path") || strings.Contains(f.String(), "key-of") {
			t.Error(f)
		}
	}
	if len(bad.Documents[0].Faults) == 0 || !bad.Destinations[0].Broken {
		t.Error("bad secrets are accepted")
	}
}

// TestGivenFaults: a webhook whose secret cannot be opened owes what it subscribes to.
func TestGivenFaults(t *testing.T) {
	t.Parallel()
	base := loadText(t, overlayBase)
	d := doc("webhook/x", `{"url": "https://hook.example.com", "events": ["response.completed"], "send_incomplete": true}`)
	d.Faults = document.Faults{{Message: "the secret `secrets.0` is sealed with the key `k1`, which this gateway does not have", Remedy: "add the key"}}
	o := config.Overlay(base, "acme", documents(d, doc("rule/r", `{"send": ["x", "files"]}`)))
	if diff := cmp.Diff(map[string]string{
		"webhook/x": "broken\nstore:webhook/x: the secret `secrets.0` is sealed with the key `k1`, which this gateway does not have\n    add the key",
	}, states(o)); diff != "" {
		t.Error(diff)
	}
	if len(o.Rules) != 2 || !slices.Equal(o.Rules[1].Match.Events, []string{"response.completed", "response.partial"}) {
		t.Fatalf("%+v", o.Rules)
	}
	for _, r := range o.Rules {
		if c, owed := r.Steps[0].Build["acme"]; !owed || c != nil {
			t.Errorf("%s: %v", r.Name, c)
		}
	}
}

// TestRulesOfEveryTenant: a step that does not fit the tenant's connection is left out with a warning; the others are built.
func TestRulesOfEveryTenant(t *testing.T) {
	t.Parallel()
	base := loadText(t, `
connections:
  crm:  {hubspot: {token: pat-0123456789}}
  chat: {slack: {webhook: "https://hooks.slack.com/services/T/B/x"}}
rules:
  - {name: one, tenant: "*", send: [crm, crm.note, {crm: {properties: {a: nps_score}}, as: vip}, chat]}
  - {name: two, tenant: "*", send: [{crm: {properties: {a: source}}}]}
`)
	var before []string
	for _, r := range base.Rules {
		for _, s := range r.Steps {
			before = append(before, fmt.Sprintf("%s %v", s.Name, s.Build))
		}
	}
	o := config.Overlay(base, "acme", documents(
		doc("connection/crm", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/x"}}`),
		doc("connection/chat", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/y"}}`),
	))
	var built, after []string
	for _, r := range base.Rules {
		for _, s := range r.Steps {
			after = append(after, fmt.Sprintf("%s %v", s.Name, s.Build))
			if c, owed := o.Builds[s]; owed {
				built = append(built, fmt.Sprintf("%s/%s %t", r.Name, s.Name, c != nil))
			}
		}
	}
	if diff := cmp.Diff([]string{"one/crm true", "one/chat true"}, built); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the base was changed: %s", diff)
	}
	var got []string
	for _, d := range o.Documents {
		for _, f := range d.Warnings {
			got = append(got, d.Name+": "+f.Message)
		}
	}
	if diff := cmp.Diff([]string{
		"connection/crm: the rule `one` of the files (surveygate.yaml:6:42) cannot use it: `note` is not an action of slack",
		"connection/crm: the rule `one` of the files (surveygate.yaml:6:53) cannot use it: `properties` is not a setting here",
		"connection/crm: the rule `two` of the files (surveygate.yaml:7:38) cannot use it: `properties` is not a setting here",
	}, got); diff != "" {
		t.Error(diff)
	}
}

// TestBoundsOfDocuments: the newest documents beyond a bound are broken, and keep their place.
func TestBoundsOfDocuments(t *testing.T) {
	t.Parallel()
	base := loadText(t, overlayBase)
	count := func(o *config.TenantConfig, words string) (broken int) {
		for _, d := range o.Documents {
			if d.State != config.Broken {
				continue
			}
			if broken++; !strings.Contains(d.Faults[0].Message, words) {
				t.Error(d.Faults)
			}
		}
		return broken
	}
	var many, large []config.Document
	for i := range config.MaxDocuments + 3 {
		many = append(many, doc(fmt.Sprintf("webhook/w%d", i), `{"url": "https://hook.example.com", "signature": "none"}`))
	}
	for i := range 80 {
		large = append(large, doc(fmt.Sprintf("rule/r%d", i), `{"send": ["files"]`+strings.Repeat(" ", 60_000)+`}`))
	}
	slices.Reverse(many)
	o := config.Overlay(base, "acme", documents(many...))
	if n := count(o, "more than 1000 documents"); n != 3 || len(o.Destinations) != len(many) {
		t.Errorf("%d are broken, %d destinations", n, len(o.Destinations))
	}
	for _, d := range o.Destinations {
		if d.Broken != (d.Name == "w0" || d.Name == "w1" || d.Name == "w2") {
			t.Errorf("%s is broken: %t", d.Name, d.Broken)
		}
	}
	if n := count(config.Overlay(base, "acme", documents(large...)), "more than 4 MiB together"); n != 80-config.MaxDocumentBytes/60_019 {
		t.Errorf("%d are broken", n)
	}
	if n := count(config.Overlay(base, "*", documents(many[:2]...)), "is not a tenant's name"); n != 2 {
		t.Errorf("%d are broken", n)
	}
}

// TestOverlaysAtOnce compiles over one base at once, for the race detector: nothing of the base may be written to.
func TestOverlaysAtOnce(t *testing.T) {
	t.Parallel()
	g := generate(3)
	base := g.load(t, func(name string) bool { return !strings.HasSuffix(name, "-2.yaml") })
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for _, tenant := range overlayTenants {
				o := config.Overlay(base, tenant, g.documents[tenant])
				_ = fmt.Sprint(states(o))
				broken := slices.Clone(g.documents[tenant])
				for j := range broken {
					if (i+j)%2 == 0 {
						broken[j].Spec = []byte(`{"url": "x", "slack": {"txt": 1}, "send": ["crm"], "profile": "./x.yaml"}`)
					}
				}
				_ = fmt.Sprint(states(config.Overlay(base, tenant, broken)))
			}
		})
	}
	wait.Wait()
}
