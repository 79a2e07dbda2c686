package connectors

import (
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/rules/event"
)

// Amender is implemented by a connector that can change what an earlier delivery made: a message, a note, a record. The gateway then
// tells a changed response by a change of it, in place of a second message.
//
// A receipt is the Verdict.Ref of an earlier delivery of the same step, at most MaxRef bytes. Judge sets it for all that the connector
// makes, and again after each change (see Response.Receipt), so that the newest receipt is always the one to amend. It holds ids of
// the product, and nothing about a person.
//
// An Amender is a Judge. An answer to an amendment says in res.Amendment what it was about. If the product says that what was made is gone, Judge
// returns JudgeGone, with which the content is told anew.
type Amender interface {
	// CanAmend returns nil, or an error made with Invalid that names the setting because of which nothing can be amended, and says
	// what to write instead. It is called after Validate, and needs no event.
	CanAmend() error
	// Amend returns the request that changes what the receipt names to what Build would make of the event. It is pure, and has the
	// errors of Build: with Skip, what was made is left as it is. The error wraps ErrReceipt if the receipt is not one of this
	// connector; the caller then uses Build. The request is marked with Amending.
	Amend(ev *event.Event, receipt string) (*Request, error)
}

// Retracter is implemented by an Amender that can also mark what an earlier delivery made as no longer so, without deleting it.
type Retracter interface {
	Amender
	// Retract returns the request that marks what the receipt names: a message is struck through, a note begins with NoLongerSo. ev
	// is the event as it was told, because most products replace the whole text. Its errors are those of Amend. The request is marked
	// with Retracting. What was retracted keeps its receipt, and may be amended again.
	Retract(ev *event.Event, receipt string) (*Request, error)
}

// ErrReceipt is wrapped by the error of Amend and Retract for a receipt that cannot be read, such as one of another connector.
var ErrReceipt = errors.New("the receipt is not one of this connector")

// BadReceipt returns an error that wraps ErrReceipt. form is the form of a receipt, such as `CHANNEL/TIMESTAMP`. The receipt is not
// quoted.
func BadReceipt(form string) error { return fmt.Errorf("%w: a receipt is %s", ErrReceipt, form) }

// NoLongerSo is how a note begins that was retracted.
const NoLongerSo = "No longer so"

// Amendment says what a request changes. The zero value is a request that changes nothing that an earlier delivery made.
type Amendment struct {
	// Receipt is the one that Amend or Retract was called with.
	Receipt string
	// Retraction is set for a request of Retract.
	Retraction bool
}

// Amending marks a request as an amendment of what the receipt names.
func (r *Request) Amending(receipt string) *Request { r.Amends = Amendment{Receipt: receipt}; return r }

// Retracting marks a request as a retraction of what the receipt names.
func (r *Request) Retracting(receipt string) *Request {
	r.Amends = Amendment{Receipt: receipt, Retraction: true}
	return r
}

// Amendment returns what the answered request was to change; ok is false if it was not an amendment.
func (r *Response) Amendment() (a Amendment, ok bool) {
	if r.To == nil {
		return a, false
	}
	return r.To.Amends, r.To.Amends != Amendment{}
}

// Receipt returns made, the receipt that an answer names, or else that of what the request changed: an answer may name nothing.
func (r *Response) Receipt(made string) string {
	if a, _ := r.Amendment(); made == "" {
		return a.Receipt
	}
	return made
}

// JudgeGone returns the verdict on an answer that says that what the request was to change is gone: a retraction has nothing left to do,
// and an amendment is told anew (see BuildAnew).
func JudgeGone(c Connector, res *Response) Verdict {
	if a, _ := res.Amendment(); a.Retraction {
		v := Deliver()
		v.Reason = "it is gone already"
		return v
	}
	return BuildAnew(c, res)
}

// BuildAnew returns a Continue verdict with the request that Build makes of the event, for an amendment that the product does not take.
// Its receipt is that of what is made then.
func BuildAnew(c Connector, res *Response) Verdict {
	if len(res.Events) != 1 {
		return Reject("an amendment has one event")
	}
	req, err := c.Build(res.Events[0])
	if skipped, ok := errors.AsType[*Skipped](err); ok {
		return Verdict{Kind: Skipping, Reason: skipped.Reason}
	}
	if unusable, ok := errors.AsType[*UnusableError](err); ok {
		return Revoke(unusable.Reason)
	}
	if err != nil {
		return Reject("what is gone cannot be built anew: " + err.Error())
	}
	return Then(req)
}
