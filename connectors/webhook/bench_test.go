package webhook

import (
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

const completed = `{"type":"response.completed","id":"r1-final","time":"2026-01-02T03:04:05Z","survey":{"id":"s1","title":"Onboarding","type":"nps"},
"response":{"id":"r1","score":{"nps":3},"feedback":"slow","answers":{"1":3,"2":"Great service and friendly staff!","why":"slow","q4":["a","b"]}},
"respondent":{"email":"jo@example.com","consent":true,"params":{"plan":"pro"}},"context":{"ip":"192.168.1.1","user_agent":"Mozilla/5.0"}}`

func cases(t testing.TB) (map[string]*Connector, *event.Event) {
	t.Helper()
	values, err := expression.CompileValues([]expression.Pair{
		{Key: "score", Value: "nps_score"}, {Key: "segment", Value: "'detractor'"}, {Key: "text", Value: "NPS {{ nps_score }}: {{ feedback }}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ev, err := connectortest.ParseEvent([]byte(completed))
	if err != nil {
		t.Fatal(err)
	}
	address, err := connectors.NewURL("https://hook.example.com/in")
	if err != nil {
		t.Fatal(err)
	}
	of := func(body Body, all bool) *Connector {
		return &Connector{
			URL: address, Secrets: []connectors.Secret{connectors.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")},
			Body: body, SendAnswers: all, SendLeads: all,
		}
	}
	return map[string]*Connector{
		"raw": of(Body{}, true), "raw-cut": of(Body{}, false), "event": of(Body{Format: Envelope}, true), "event-cut": of(Body{Format: Envelope}, false),
		"cloudevents": of(Body{Format: CloudEvents}, true), "binary": of(Body{Format: BinaryCloudEvents}, true), "values": of(Body{Values: values}, true),
		"pollarix": of(Body{Format: PollarixEnvelope}, true),
	}, ev
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

// TestBuildAllocates checks the allocations of Build. raw, the hot path, has a smaller budget.
func TestBuildAllocates(t *testing.T) {
	all, ev := cases(t)
	for name, c := range all {
		limit := 60.0
		if name == "raw" {
			limit = 5
		}
		if got := testing.AllocsPerRun(100, func() { _, _ = c.Build(ev) }); got > limit {
			t.Errorf("%s: %v allocations, at most %v", name, got, limit)
		}
	}
}
