package deliver

import (
	"net/http"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// faulty is a product whose connector has faults of its own.
type faulty struct {
	many
	alone    func(ev *event.Event) (*connectors.Request, error)
	together func(events []*event.Event) (*connectors.Request, error)
	verdict  *connectors.Verdict
}

func (f *faulty) Build(ev *event.Event) (*connectors.Request, error) {
	if f.alone != nil {
		return f.alone(ev)
	}
	return f.many.Build(ev)
}

func (f *faulty) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	if f.together != nil {
		return f.together(events)
	}
	return f.many.BuildBatch(events)
}

func (f *faulty) Judge(res *connectors.Response) connectors.Verdict {
	if f.verdict != nil {
		return *f.verdict
	}
	return f.many.Judge(res)
}

// A connector's faults cost the event they are about, with a reason, and lose nobody beside it.
func TestFaultyConnectors(t *testing.T) {
	t.Parallel()
	good := (&many{}).Build
	type end struct {
		state  state.DeliveryState
		reason string
	}
	delivered := end{state.Delivered, ""}
	rows := map[string]struct {
		f    *faulty
		want [3]end
	}{
		"panics on one that a batch was cut down to": {
			&faulty{many: many{limit: connectors.BatchLimit{Bytes: 1}}, alone: func(ev *event.Event) (*connectors.Request, error) {
				if ev.OrigID == "e1" {
					panic("one of its own")
				}
				return good(ev)
			}},
			[3]end{{state.Dead, "the connector panicked"}, delivered, delivered},
		},
		"skips many, of whom each alone is good": {
			&faulty{together: func([]*event.Event) (*connectors.Request, error) { return nil, connectors.Skip("no two of them") }},
			[3]end{delivered, delivered, delivered},
		},
		"makes no request of many": {
			&faulty{together: func([]*event.Event) (*connectors.Request, error) { return nil, nil }},
			[3]end{delivered, delivered, delivered},
		},
		"makes no request": {
			&faulty{
				alone:    func(*event.Event) (*connectors.Request, error) { return nil, nil },
				together: func([]*event.Event) (*connectors.Request, error) { return nil, nil },
			},
			[3]end{{state.Dead, "the connector built no request"}, {state.Dead, "the connector built no request"}, {state.Dead, "the connector built no request"}},
		},
		"has no verdict": {
			&faulty{verdict: &connectors.Verdict{}},
			[3]end{{state.Dead, "the connector gave no verdict"}, {state.Dead, "the connector gave no verdict"}, {state.Dead, "the connector gave no verdict"}},
		},
		"goes on to nowhere": {
			&faulty{verdict: &connectors.Verdict{Kind: connectors.Continue}},
			[3]end{{state.Dead, "the connector gave no verdict"}, {state.Dead, "the connector gave no verdict"}, {state.Dead, "the connector gave no verdict"}},
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := destination("crm")
			d.Batch, d.Timeout = config.Batch{Wait: 500 * time.Millisecond}, time.Minute // no lease ends within this test
			conf := destinations(d)
			conf.Rules = []*config.Rule{ruleTo("crm", row.f)}
			b := prepare(t, conf, nil)
			b.sender = &crowd{answer: func([]string) int { return http.StatusOK }}
			b.open()
			for i, id := range b.accept(3) {
				if d := b.untilState(id, "crm", row.want[i].state); d.Reason != row.want[i].reason {
					t.Errorf("e%d: %q, want %q", i+1, d.Reason, row.want[i].reason)
				}
			}
		})
	}
}
