package airtable

import (
	"fmt"
	"testing"

	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkBuildBatch builds a batch of 10 events; divide by 10 for the cost of one event.
func BenchmarkBuildBatch(b *testing.B) {
	c := bound(b, "fields: {Mood: nps_score, Comment: \"{{ survey.title }}: {{ feedback }}\", Group: nps_group}")
	events := make([]*event.Event, maxBatch)
	for i := range events {
		events[i] = given(b, "default", fmt.Sprintf(`{"type":"response.completed","id":"ev-%d","nps_score":9,"feedback":"Fast","email":"jo%d@example.com","name":"Jo Doe"}`, i, i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.BuildBatch(events); err != nil {
			b.Fatal(err)
		}
	}
}
