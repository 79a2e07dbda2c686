package decide

import (
	"fmt"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/slack"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkDecide asks one event of a hundred rules, of which one matches and owes one delivery.
func BenchmarkDecide(b *testing.B) {
	text := "connections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T/B/X\"}}}\nrules:\n"
	for i := range 100 {
		text += fmt.Sprintf("  - {name: r%d, when: 'survey.id == \"s%d\" and nps_score <= 6', send: [alarms]}\n", i, i)
	}
	c, err := config.LoadText([]byte(text))
	if err != nil {
		b.Fatal(err)
	}
	plan := New(c)
	now := time.Unix(1767323045, 0)
	ev, err := event.ParseOne([]byte(`{"type":"response.completed","id":"e","survey":{"id":"s7"},"response":{"id":"r"},"nps_score":3}`),
		event.Defaults{Tenant: "default", Source: "api", Received: now, Verified: "token"})
	if err != nil {
		b.Fatal(err)
	}
	if d := plan.Decide(ev, now); len(d.Owed) != 1 {
		b.Fatalf("%d deliveries", len(d.Owed))
	}
	b.ReportAllocs()
	for b.Loop() {
		plan.Decide(ev, now)
	}
}
