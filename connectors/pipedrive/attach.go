package pipedrive

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// attach reads an answer of a chain that attaches something to a person. It returns the event, the person and the name of the
// request that was answered, or else a verdict: the person's creation, or the end of the chain. A person who is known is left as
// they are.
func (a *Account) attach(res *connectors.Response) (ev *event.Event, person int64, step string, v connectors.Verdict) {
	step = nameOf(res)
	if v, ok := accepted(res); !ok {
		if res.Status == 404 && step != "" && step != created { // the request names the person
			return nil, 0, step, vanished
		}
		return nil, 0, step, v
	}
	if len(res.Events) == 0 {
		return nil, 0, step, connectors.Deliver()
	}
	ev = res.Events[0]
	if step == "" {
		switch known, ok := searchResult(res); {
		case !ok:
			return nil, 0, step, unreadable
		case known.ID == 0:
			p, err := newPerson(ev, expression.Values{})
			if err != nil {
				return nil, 0, step, unbuildable(err)
			}
			return nil, 0, step, connectors.Then(a.create(p))
		}
	}
	if person = personID(res); person == 0 {
		return nil, 0, step, unreadable
	}
	return ev, person, step, v
}

// recordID returns the id of the note that was written.
func recordID(res *connectors.Response) int64 {
	var answer struct {
		Data struct {
			ID int64 `json:"id"`
		} `json:"data"`
	}
	if res.JSON(&answer) != nil {
		return 0
	}
	return answer.Data.ID
}
