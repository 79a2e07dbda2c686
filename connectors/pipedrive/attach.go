package pipedrive

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// attach reads an answer of a chain that attaches something to a person. It returns the event, the person and the name of the
// request that was answered, or else a verdict: the next step towards the person, or the end of the chain. A person who is known
// is left as they are.
func (a *Account) attach(res *connectors.Response) (ev *event.Event, person int64, step string, v connectors.Verdict) {
	step = nameOf(res)
	if v, ok := accepted(res); !ok {
		if res.Status == 404 && step != "" && step != newest && step != created { // the request names the person
			return nil, 0, step, vanished
		}
		return nil, 0, step, v
	}
	if len(res.Events) == 0 {
		return nil, 0, step, connectors.Deliver()
	}
	ev = res.Events[0]
	p, err := newPerson(ev, expression.Values{})
	if err != nil {
		return nil, 0, step, unbuildable(err)
	}
	if step == "" || step == newest {
		known, v := a.find(res, p)
		if known.ID == 0 {
			return nil, 0, step, v
		}
		return ev, known.ID, step, v
	}
	if person = personID(res, p.Email); person == 0 {
		return nil, 0, step, unreadable
	}
	return ev, person, step, v
}
