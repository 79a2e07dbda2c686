package ga4

import (
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

const response = `{"type":"response.completed","id":"ev-1","time":"2026-01-02T03:00:00Z","nps_score":9,"feedback":"Fast & friendly, but the basket forgets",
"email":"jo@example.com","params":{"ga":"GA1.1.1234567890.1795214596","plan":"pro"},"survey":{"id":"s1","title":"Onboarding","type":"nps"},"response":{"id":"r1"}}`

func cases(t testing.TB) (map[string]*Connector, *event.Event) {
	t.Helper()
	all := map[string]*Connector{}
	for name, settings := range map[string]string{
		"default": "",
		"full":    "\nclient_id: params.ga\nuser_id: respondent.external_id\nparams: {plan: params.plan, comment: feedback, segment: nps_group, note: \"{{ survey.title }}\"}",
	} {
		c, _ := connectors.New("ga4")
		if err := connectortest.Bind([]byte("measurement_id: G-1\napi_secret: x"+settings), c); err != nil {
			t.Fatal(err)
		}
		all[name] = c.(*Connector)
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
