package config

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/rules/event"
)

// Secrets leave a document wherever their type says that they are one, and nothing else does.
func TestSplit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, spec, public, secrets string }{
		{
			"webhook/a", `{"url": "https://a.example.com/", "secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="], "headers": {"X-Api.Key": "abc", "X-B": "d"}}`,
			`{"url":"https://a.example.com/","secrets":[],"headers":{}}`, `headers.X-Api\.Key headers.X-B secrets.0 secrets.1`,
		},
		{"connection/crm", `{"hubspot": {"token": "pat-na1-0123456789"}, "rate": "10/s"}`, `{"hubspot":{},"rate":"10/s"}`, "hubspot.token"},
		{"connection/alarms", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/x"}}`, `{"slack":{}}`, "slack.webhook"},
		{"source/p", `{"profile": "pollqr", "secrets": ["abc"], "path_token": "0123456789012345678901", "vars": {"x": "y"}}`, `{"profile":"pollqr","secrets":[],"vars":{}}`, "path_token secrets.0 vars.x"},
		// What is no variable stays as it is written, and is none when it is read again. A secret is the value itself.
		{
			"webhook/b", `{"url": "https://b.example.com/$${x}", "title": "$$${a} $${b} $", "signature": "none", "headers": {"X-Key": "pa$${s}"}}`,
			`{"url":"https://b.example.com/$${x}","title":"$$${a} $${b} $","signature":"none","headers":{}}`, "headers.X-Key",
		},
		{"rule/r", `{"when": "nps_score <= 6", "send": ["crm", {"crm.note": {"text": "a"}}]}`, `{"when":"nps_score <= 6","send":["crm",{"crm.note":{}}]}`, `send.1.crm\.note.text`}, // there is no such destination: it may be a secret
	} {
		spec, secrets, ok := splitAlone(Document{Name: tt.name, Spec: []byte(tt.spec)})
		var names []string
		for path := range secrets {
			names = append(names, path)
		}
		if got := strings.Join(slices.Sorted(slices.Values(names)), " "); !ok || string(spec) != tt.public || got != tt.secrets {
			t.Errorf("%s: %t\n%s\n%s", tt.name, ok, spec, got)
		}
		// Together they compile as before.
		whole := Overlay(&Config{}, "acme", []Document{{Name: tt.name, Spec: []byte(tt.spec)}})
		parts := Overlay(&Config{}, "acme", []Document{{Name: tt.name, Spec: spec, Secrets: secrets}})
		if a, b := verdict(whole), verdict(parts); a != b {
			t.Errorf("%s: whole %s, in parts %s", tt.name, a, b)
		}
	}
}

// splitAlone splits the only document of a tenant.
func splitAlone(d Document) (spec []byte, secrets map[string]connectors.Secret, ok bool) {
	return Split(d, Overlay(&Config{}, "acme", []Document{d}).Documents[0].Clear)
}

// verdict is what became of the only document, and the messages of its faults.
func verdict(o *TenantConfig) string {
	text := string(o.Documents[0].State)
	for _, f := range o.Documents[0].Faults {
		text += "; " + f.Message
	}
	return text
}

// What was split out of a document is read as if it stood there: a value with {{ }} is filled for each event, and `$${` is `${`.
func TestSplitKeepsTemplates(t *testing.T) {
	t.Parallel()
	const hook = "webhook/a"
	for _, tt := range []struct{ name, spec, want string }{
		{hook, `{"url": "https://a.example.com/", "signature": "none", "headers": {"X-Kind": "k {{ type }}"}}`, "X-Kind: k response.completed"},
		{hook, `{"url": "https://hooks.zapier.com/{{ type }}/x", "signature": "none"}`, "https://hooks.zapier.com/response.completed/x"},
		{hook, `{"url": "https://a.example.com/{{ type }}", "signature": "none", "headers": {"X-A": "$${x} {{ type }}"}}`, "https://a.example.com/response.completed X-A: ${x} response.completed"},
	} {
		spec, secrets, ok := splitAlone(Document{Name: tt.name, Spec: []byte(tt.spec)})
		if !ok {
			t.Fatal(tt.spec)
		}
		for what, d := range map[string]Document{"whole": {Name: tt.name, Spec: []byte(tt.spec)}, "in parts": {Name: tt.name, Spec: spec, Secrets: secrets}} {
			o := Overlay(&Config{}, "acme", []Document{d})
			if len(o.Documents[0].Faults) > 0 {
				t.Fatal(what, o.Documents[0].Faults)
			}
			w, ok := o.Destinations[0].Alone.(*webhook.Connector)
			if !ok {
				t.Fatalf("%T", o.Destinations[0].Alone)
			}
			ev := &event.Event{}
			ev.Type = event.TypeResponseCompleted
			url, err := w.URL.Fill(ev)
			got := url.Secret().Expose()
			for name, value := range w.Headers {
				text, _, fillErr := value.Fill(ev)
				err = errors.Join(err, fillErr)
				got += " " + name + ": " + text.Expose()
			}
			if err != nil || !strings.Contains(got, tt.want) {
				t.Errorf("%s, %s: %s, %v", tt.spec, what, got, err)
			}
		}
	}
}
