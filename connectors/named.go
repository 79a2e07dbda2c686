package connectors

import "github.com/surveygate/surveygate/rules/event"

// JudgeEach holds the answer to a request against the events that it told of: `of` is asked of each event what the answer says
// of it, and whether it names it at all. An event that the answer does not name was not written, whatever the status: it
// gets the verdict Unnamed. The result is the verdict itself for one event, and Verdict.Each for a batch.
func JudgeEach(res *Response, of func(i int, ev *event.Event) (v Verdict, named bool)) Verdict {
	verdict := func(i int) Verdict {
		if v, named := of(i, res.Events[i]); named {
			return v
		}
		return Unconfirmed(res)
	}
	switch len(res.Events) {
	case 0:
		return Deliver()
	case 1:
		v := verdict(0)
		v.RetryAlone = false
		return v
	}
	all := Deliver()
	all.Each = make([]Verdict, len(res.Events))
	for i := range res.Events {
		all.Each[i] = verdict(i)
	}
	return all
}

// Unconfirmed is the verdict on an event that the product neither took nor refused, though it answered the request that told of
// it. The event is tried once more alone, and rejected if the answer does not name it then either.
func Unconfirmed(res *Response) Verdict {
	v := Reject(StatusReason(res.Status) + UnconfirmedReason)
	v.RetryAlone = true
	return v
}

// UnconfirmedReason ends the reason of an Unnamed verdict.
const UnconfirmedReason = ", but the answer names the record neither as written nor as refused"
