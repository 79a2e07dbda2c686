package config_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
)

// fuzzed splits a text into documents: the first line of each is its name, and a line of `--` ends it.
func fuzzed(text string) []config.Document {
	var all []config.Document
	for i, part := range strings.Split(text, "\n--\n") {
		name, spec, _ := strings.Cut(part, "\n")
		all = append(all, config.Document{
			Name: name, Spec: []byte(spec), Version: uint64(i),
			Secrets: map[string]connectors.Secret{"secrets.0": connectors.NewSecret("whsec_deadbeefdeadbeef")},
		})
	}
	return all
}

// FuzzOverlay: whatever strangers write, compiling it ends, each document gets a state, nothing belongs to another tenant, and
// neither the order of documents nor an earlier compilation matters.
func FuzzOverlay(f *testing.F) {
	for _, seed := range []string{
		"webhook/hook\n{\"url\": \"https://hook.example.com/in\", \"events\": [\"*\"], \"when\": \"nps_score <= 6\"}\n--\nrule/r\n{\"send\": [{\"hook\": {\"headers\": {\"X\": \"1\"}}}, \"files\"]}",
		"connection/crm\n{\"slack\": {\"webhook\": \"https://hooks.slack.com/services/T/B/x\"}}\n--\nrule/own\n{}",
		"connection/crm\n{\"hubspot\": {}}\n--\nrule/r\nsend: [crm.note, {crm: , as: x}]\ntests: [{given: {file: x}, expect: []}]",
		"source/s\nprofile: popsee\nroles: {q: email}\nsurveys: {a: {}}\n--\nsource/api\nprofile: ./x.yaml",
		"webhook/x\nurl: ${X}\n--\nconnection/x\n[]\n--\nwebhook/x\nnull\n--\n/\n\n--\nrule/\n{}",
		"webhook/t\n{\"url\": \"https://h.example.com\", \"tls\": {\"ca\": \"/etc/passwd\", \"key\": \"x\"}, \"tenant\": \"*\", \"name\": 1}",
	} {
		f.Add(seed)
	}
	for seed := range uint64(3) {
		var parts []string
		for _, d := range generate(seed).documents["acme"] {
			parts = append(parts, d.Name+"\n"+string(d.Spec))
		}
		f.Add(strings.Join(parts, "\n--\n"))
	}
	base, err := config.LoadText([]byte(overlayBase))
	if err != nil {
		f.Fatal(err)
	}
	reference := config.Overlay(base, "acme", fuzzed("connection/crm\n{\"slack\": {\"webhook\": \"https://hooks.slack.com/services/T/B/x\"}}"))
	f.Fuzz(func(t *testing.T, text string) {
		documents := fuzzed(text)
		o := config.Overlay(base, "acme", documents)
		checkOverlay(t, base, o, documents)
		slices.Reverse(documents)
		again := config.Overlay(base, "acme", documents)
		if !bytes.Equal(again.Kept, o.Kept) {
			t.Errorf("the order matters:\n%s\n%s", o.Kept, again.Kept)
		}
		if diff := cmp.Diff(states(o), states(again)); diff != "" && !twice(o) {
			t.Errorf("the order matters: %s", diff)
		}
		same := config.Overlay(base, "acme", fuzzed("connection/crm\n{\"slack\": {\"webhook\": \"https://hooks.slack.com/services/T/B/x\"}}"))
		if !bytes.Equal(same.Kept, reference.Kept) || len(same.Builds) != len(reference.Builds) {
			t.Error("the base was changed")
		}
	})
}

// twice reports whether two documents have one name, which a store cannot have.
func twice(o *config.TenantConfig) bool {
	for i := 1; i < len(o.Documents); i++ {
		if o.Documents[i].Name == o.Documents[i-1].Name {
			return true
		}
	}
	return false
}

// checkOverlay checks what holds for every overlay.
func checkOverlay(t *testing.T, base *config.Config, o *config.TenantConfig, documents []config.Document) {
	t.Helper()
	if len(o.Documents) != len(documents) {
		t.Errorf("%d of %d documents", len(o.Documents), len(documents))
	}
	spec := map[string][]byte{}
	for _, d := range documents {
		spec[d.Name] = append(spec[d.Name], d.Spec...)
	}
	for _, d := range o.Documents {
		bad := d.State == config.Broken || d.State == config.Shadowed
		if bad != (len(d.Faults) > 0) || len(d.Faults) > 21 || len(d.Warnings) > 21 {
			t.Errorf("%s is %s with %d faults and %d warnings", d.Name, d.State, len(d.Faults), len(d.Warnings))
		}
		for _, f := range slices.Concat(d.Faults, d.Warnings) {
			if !strings.HasPrefix(f.File, "store:") || f.Loc == nil || f.Message == "" {
				t.Errorf("%s has the fault %+v", d.Name, f)
			}
			if strings.Contains(f.String()+f.Source(), "deadbeefdeadbeef") && !strings.Contains(string(spec[d.Name]), "deadbeef") {
				t.Errorf("%s shows a secret: %s", d.Name, f)
			}
		}
	}
	named := map[string]bool{}
	for _, d := range o.Destinations {
		if named[d.Name] || d.Tenant != o.Tenant || d.Trusted || d.Broken != (d.Alone == nil) || d.Timeout == 0 || d.Concurrency == 0 {
			t.Errorf("destination %+v", d)
		}
		named[d.Name] = true
	}
	for _, s := range o.Sources {
		if s.Tenant != o.Tenant || s.Stream != nil || s.Receiver == nil || s.Receiver.Tenant != o.Tenant {
			t.Errorf("source %+v", s)
		}
	}
	for _, r := range o.Rules {
		if r.Tenant != o.Tenant || r.Match.Tenant != o.Tenant {
			t.Errorf("rule %+v", r)
		}
		for _, s := range r.Steps {
			if _, owed := s.Build[o.Tenant]; !owed || len(s.Build) != 1 {
				t.Errorf("step %+v", s)
			}
		}
	}
	for s := range o.Builds {
		if !named[s.Destination] {
			t.Errorf("built %s for a destination that is not there", s.Destination)
		}
	}
	if (o.Generation == "") != (len(o.Kept) == 0) {
		t.Errorf("generation %q of %q", o.Generation, o.Kept)
	}
	if o.Generation != "" {
		c, err := config.LoadKeptOver(base.Kept, o.Kept, o.Tenant)
		if err != nil || c.Generation != base.Generation+"+"+o.Generation {
			t.Errorf("%v: %s", err, o.Kept)
		}
	}
}
