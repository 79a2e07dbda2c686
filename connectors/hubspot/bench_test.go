package hubspot

import (
	"fmt"
	"testing"

	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

// BenchmarkBuildBatch builds a batch of 100 events; divide by 100 for the cost of one event.
func BenchmarkBuildBatch(b *testing.B) {
	c := &Connector{Account: defaults()}
	if err := connectortest.Bind([]byte("token: x\nproperties: {sg_nps: nps_score, sg_comment: \"{{ survey.title }}: {{ feedback }}\", sg_group: nps_group}"), c); err != nil {
		b.Fatal(err)
	}
	events := make([]*event.Event, maxBatch)
	for i := range events {
		ev, err := connectortest.ParseEvent(fmt.Appendf(nil, `{"type":"response.completed","id":"ev-%d","nps_score":9,"feedback":"Fast","email":"jo%d@example.com","name":"Jo Doe"}`, i, i))
		if err != nil {
			b.Fatal(err)
		}
		events[i] = ev
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.BuildBatch(events); err != nil {
			b.Fatal(err)
		}
	}
}
