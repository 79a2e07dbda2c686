package deliver

import (
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
)

// registry is a product with one record that each step changes.
type registry struct{ product }

func (*registry) Key(*event.Event) string { return "one" }

func (*registry) SharesKeys() {}

var _ connectors.SharedKeyer = (*registry)(nil)

// Steps of one destination that share their keys change a record one after the other, also those of another rule.
func TestStepsThatShareARecord(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm"))
	first, second := ruleTo("crm", &registry{}), ruleTo("crm", &registry{})
	note := *first.Steps[0]
	note.Name, note.Build = "crm.note", map[string]connectors.Connector{"default": &registry{}}
	first.Steps = append(first.Steps, &note)
	second.Name, second.Match.Name = "another", "another"
	conf.Rules = []*config.Rule{first, second}
	var running atomic.Int32
	b := begin(t, conf, func(seen) (int, http.Header) {
		defer running.Add(-1)
		if running.Add(1) > 1 {
			t.Error("the record is changed twice at a time")
		}
		runtime.Gosched() // another worker may begin here
		return http.StatusOK, nil
	})
	b.accept(50)
	b.until("all are sent", func() bool { return b.world.count(func(seen) bool { return true }) == 150 })
}
