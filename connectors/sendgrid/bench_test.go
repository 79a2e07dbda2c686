package sendgrid

import (
	"fmt"
	"testing"

	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkBuildBatch builds a batch of 100 events; divide by 100 for the cost of one event.
func BenchmarkBuildBatch(b *testing.B) {
	c := bound(b, "lists: ["+list+"]\nfields: {e1_N: nps_score, e2_T: \"{{ survey.title }}: {{ feedback }}\", e3_T: nps_group}")
	events := make([]*event.Event, 100)
	for i := range events {
		events[i] = parsed(b, fmt.Sprintf(`{"type":"response.completed","id":"ev-%d","nps_score":9,"feedback":"Fast","email":"jo%d@example.com","name":"Jo Doe","consent":true}`, i, i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.BuildBatch(events); err != nil {
			b.Fatal(err)
		}
	}
}
