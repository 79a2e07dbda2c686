package pipedrive

import (
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// BenchmarkChain builds all requests of one event: the search, the newest persons and the person.
func BenchmarkChain(b *testing.B) {
	c := bound(b, "pipedrive", "fields: {"+custom+": nps_score, owner_id: 7}").(*Connector)
	ev := given(b, `{"type":"response.completed","id":"r1","nps_score":9,"feedback":"Fast","email":"jo@example.com","name":"Jo Doe","phone":"+1 555"}`)
	none := answer(200, `{"success":true,"data":{"items":[]}}`, ev)
	nobody := answer(200, `{"success":true,"data":[]}`, ev)
	b.ReportAllocs()
	for b.Loop() {
		first, err := c.Build(ev)
		if err != nil {
			b.Fatal(err)
		}
		none.To = first
		nobody.To, nobody.Trail = c.Judge(none).Next, []*connectors.Response{none}
		if c.Judge(nobody).Next == nil {
			b.Fatal("no person is created")
		}
	}
}
