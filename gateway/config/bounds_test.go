package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
)

// TestNarrowBoundsOfDocuments: what a tenant may ask for is narrower than what a file may. A file keeps its bounds.
func TestNarrowBoundsOfDocuments(t *testing.T) {
	t.Parallel()
	hook := func(setting string) string {
		return `{"url": "https://hook.example.com/in", "signature": "none", "events": ["response.completed"], ` + setting + `}`
	}
	headers := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"X-%d": "a"`, i))
		}
		return `"headers": {` + strings.Join(all, ", ") + `}`
	}
	steps := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"to": {"text": "a"}, "as": "s%d"}`, i))
		}
		return `{"when": "nps_score <= 6", "send": [` + strings.Join(all, ", ") + `]}`
	}
	waits := func(n int) string { return `"retry": [` + strings.TrimSuffix(strings.Repeat(`"5s", `, n), ", ") + `]` }
	for _, tt := range []struct{ name, good, bad, fault string }{
		{"webhook/hook", hook(`"concurrency": 64`), hook(`"concurrency": 65`), "the concurrency 65 is out of range"},
		{"webhook/hook", hook(`"timeout": "1m"`), hook(`"timeout": "61s"`), "the timeout 1m1s is out of range"},
		{"webhook/hook", hook(waits(24)), hook(waits(25)), "there are 25 waits; at most 24 are allowed"},
		{"webhook/hook", hook(headers(32)), hook(headers(33)), "there are 33 headers; at most 32 are allowed"},
		{"connection/other", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/x"}, "concurrency": 64}`, `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/x"}, "concurrency": 65}`, "the concurrency 65"},
		{"rule/r", steps(20), steps(21), "there are 21 steps; at most 20 are allowed"},
	} {
		to := doc("connection/to", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/x"}}`)
		base := &config.Config{}
		if got := states(config.Overlay(base, "acme", documents(to, doc(tt.name, tt.good)))); strings.HasPrefix(got[tt.name], "broken") {
			t.Errorf("%s: %s: %s", tt.name, tt.good, got[tt.name])
		}
		if got := states(config.Overlay(base, "acme", documents(to, doc(tt.name, tt.bad)))); !strings.HasPrefix(got[tt.name], "broken") || !strings.Contains(got[tt.name], tt.fault) {
			t.Errorf("%s: %s: %s", tt.name, tt.bad, got[tt.name])
		}
	}
	loadText(t, "webhooks:\n  - {name: hook, url: \"https://hook.example.com/in\", signature: none, events: [response.completed], concurrency: 1000, timeout: 5m}\n")
}
