package connectors

import "github.com/surveygate/surveygate/rules/event"

// JudgeEach compares an answer with the events of its request. judge returns what the answer says about event i, and
// whether the answer names that event at all. An event that is not named gets the verdict Unconfirmed, whatever the status,
// because products drop records silently. The result is a plain verdict for one event, and has Verdict.Each for a batch.
func JudgeEach(res *Response, judge func(i int, ev *event.Event) (v Verdict, named bool)) Verdict {
	verdict := func(i int) Verdict {
		if v, named := judge(i, res.Events[i]); named {
			return v
		}
		return Unconfirmed(res)
	}
	switch len(res.Events) {
	case 0:
		return Deliver()
	case 1:
		v := verdict(0)
		v.RetryAlone, v.Resend = false, false
		return v
	}
	all := Deliver()
	all.Each = make([]Verdict, len(res.Events))
	for i := range res.Events {
		all.Each[i] = verdict(i)
	}
	return all
}

// Unconfirmed returns the verdict on an event that a product's answer names neither as accepted nor as refused. The event is
// tried once more by itself, and is rejected if the answer to that does not name it either (see Verdict.RetryAlone).
func Unconfirmed(res *Response) Verdict {
	v := Reject(StatusReason(res.Status) + UnconfirmedReason)
	v.RetryAlone = true
	return v
}

// UnconfirmedReason is the end of the reason of an Unconfirmed verdict, behind the status.
const UnconfirmedReason = ", but the answer names the record neither as written nor as refused"
