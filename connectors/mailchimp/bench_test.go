package mailchimp

import (
	"testing"

	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

const response = `{"type":"response.completed","id":"ev-1","nps_score":9,"feedback":"Fast & friendly, but the basket forgets",
"email":"jo@example.com","name":"Jo de la Cruz","consent":true,"params":{"plan":"pro"},"survey":{"id":"s1","title":"Onboarding"},"response":{"id":"r1"}}`

func cases(t testing.TB) (map[string]*Connector, *event.Event) {
	t.Helper()
	all := map[string]*Connector{}
	for name, settings := range map[string]string{
		"default": "",
		"full":    "merge_fields: {SCORE: nps_score, PLAN: params.plan, COMMENT: feedback, GROUP: nps_group, NOTE: \"{{ survey.title }}\"}",
	} {
		all[name] = bound(t, account+settings)
	}
	ev, err := connectortest.Event([]byte(response))
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

// TestBuildAllocates holds Build to its budget.
func TestBuildAllocates(t *testing.T) {
	all, ev := cases(t)
	for name, c := range all {
		if got := testing.AllocsPerRun(100, func() { _, _ = c.Build(ev) }); got > 60 {
			t.Errorf("%s: %v allocations, at most 60", name, got)
		}
	}
}
