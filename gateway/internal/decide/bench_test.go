package decide

import (
	"fmt"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/slack"
	_ "github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkDecide asks one event of a hundred rules, of which one matches and owes one delivery: by files alone, for a tenant
// without an overlay beside a thousand that have one, and for a tenant whose ten webhooks are documents.
func BenchmarkDecide(b *testing.B) {
	text := "connections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T/B/X\"}}}\nrules:\n"
	for i := range 100 {
		text += fmt.Sprintf("  - {name: r%d, when: 'survey.id == \"s%d\" and nps_score <= 6', send: [alarms]}\n", i, i)
	}
	c, err := config.LoadText([]byte(text))
	if err != nil {
		b.Fatal(err)
	}
	var overlays []*config.TenantConfig
	for i := range 1000 {
		var documents []config.Document
		for j := range 10 {
			documents = append(documents, config.Document{
				Name: fmt.Sprint("webhook/w", j), Version: uint64(j + 1),
				Spec: fmt.Appendf(nil, `{"url": "https://example.com/%d", "events": ["response.completed"], "when": "survey.id == 's%d'", "signature": "none"}`, j, j),
			})
		}
		overlays = append(overlays, config.Overlay(c, fmt.Sprint("tenant", i), documents))
	}
	now := time.Unix(1767323045, 0)
	for _, run := range []struct {
		name, tenant string
		plan         *Plan
	}{
		{"files", "default", New(c)},
		{"no overlay", "default", New(c, overlays...)},
		{"overlay", "tenant7", New(c, overlays...)},
	} {
		b.Run(run.name, func(b *testing.B) {
			ev, err := event.ParseOne([]byte(`{"type":"response.completed","id":"e","survey":{"id":"s7"},"response":{"id":"r"},"nps_score":3}`),
				event.Defaults{Tenant: run.tenant, Source: "api", Received: now, Verified: "token"})
			if err != nil {
				b.Fatal(err)
			}
			if d := run.plan.Decide(ev, now); len(d.Owed) != 1 {
				b.Fatalf("%d deliveries", len(d.Owed))
			}
			b.ReportAllocs()
			for b.Loop() {
				run.plan.Decide(ev, now)
			}
		})
	}
}
