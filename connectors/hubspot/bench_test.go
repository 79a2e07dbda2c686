package hubspot

import (
	"fmt"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

const answered = `{"type":"response.completed","id":"ev-1","time":"2026-01-02T03:00:00Z","nps_score":9,"feedback":"Fast & friendly, but the basket forgets",
"email":"jo@example.com","name":"Jo de la Cruz","phone":"+905550001122","survey":{"id":"s1","title":"Onboarding"},"response":{"id":"r1"}}`

func cases(t testing.TB) (map[string]connectors.Connector, *event.Event) {
	t.Helper()
	all := map[string]connectors.Connector{}
	for name, config := range map[string]struct{ product, settings string }{
		"default":    {"hubspot", ""},
		"properties": {"hubspot", "\nproperties: {sg_nps: nps_score, sg_comment: \"{{ survey.title }}: {{ feedback }}\", sg_group: nps_group}"},
		"note":       {"hubspot.note", ""},
		"note text":  {"hubspot.note", "\ntext: \"NPS {{ nps_score }}: {{ feedback }}\""},
	} {
		c, _ := connectors.New(config.product)
		if err := connectortest.Bind([]byte("token: x"+config.settings), c); err != nil {
			t.Fatal(err)
		}
		all[name] = c
	}
	ev, err := connectortest.Event([]byte(answered))
	if err != nil {
		t.Fatal(err)
	}
	return all, ev
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

// BenchmarkBuildBatch is a whole batch; a hundredth of it is what an event costs.
func BenchmarkBuildBatch(b *testing.B) {
	all, _ := cases(b)
	events := make([]*event.Event, maxBatch)
	for i := range events {
		ev, err := connectortest.Event(fmt.Appendf(nil, `{"type":"response.completed","id":"ev-%d","nps_score":9,"feedback":"Fast","email":"jo%d@example.com","name":"Jo Doe"}`, i, i))
		if err != nil {
			b.Fatal(err)
		}
		events[i] = ev
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := all["properties"].(*Connector).BuildBatch(events); err != nil {
			b.Fatal(err)
		}
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
