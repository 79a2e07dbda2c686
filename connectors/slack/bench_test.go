package slack

import (
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

const detractor = `{"type":"response.completed","id":"r1","nps_score":3,"feedback":"Checkout is slow & the basket forgets everything",
"email":"jo@example.com","survey":{"id":"s1","title":"Onboarding"},"response":{"id":"r1","answers":{"1":3,"2":"slow"}}}`

func cases(t testing.TB) (map[string]*Connector, *event.Event) {
	t.Helper()
	hook := Account{Webhook: connectors.NewSecret("https://hooks.slack.com/services/T/B/X")}
	withText, withBlocks := &Connector{Account: hook}, &Connector{Account: hook}
	if err := withText.Text.UnmarshalText([]byte("NPS {{ nps_score }} from {{ email }}: {{ feedback ?? 'no comment' }}")); err != nil {
		t.Fatal(err)
	}
	if err := withBlocks.Blocks.UnmarshalText([]byte(`[{"type":"section","text":{"type":"mrkdwn","text":"{{ feedback }}"}}]`)); err != nil {
		t.Fatal(err)
	}
	ev, err := connectortest.Event([]byte(detractor))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Connector{"default": {Account: hook}, "text": withText, "blocks": withBlocks}, ev
}

func BenchmarkBuild(b *testing.B) {
	all, ev := cases(b)
	for name, c := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Build(ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestBuildAllocates holds Build to its budget.
func TestBuildAllocates(t *testing.T) {
	all, ev := cases(t)
	for name, c := range all {
		if got := testing.AllocsPerRun(100, func() { _, _ = c.Build(ev) }); got > 60 {
			t.Errorf("%s: %v allocations, at most 60", name, got)
		}
	}
}
