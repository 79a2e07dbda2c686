package connectors

import "github.com/surveygate/surveygate/rules/event"

// Forgetter is implemented by a connector whose product can be asked to erase a person. It needs the settings of the connection alone,
// so that the connector of the product itself implements it, and not those of its other actions.
//
// Judge reads the answers, for which res.Forgets is true. A person whom the product does not know is delivered, with the reason
// NobodyKnown. What the product keeps for a while, or leaves to a person, is said in the reason of a delivered verdict too.
type Forgetter interface {
	// CanForget returns nil, or an error made with Invalid that says why these settings cannot erase anybody, and what to do by hand. It
	// is called after Validate, and needs no event.
	CanForget() error
	// Forget returns the request that erases the respondent of an event, which may have nothing but the respondent's e-mail address, phone
	// number and external id, as far as they are known. It is pure, and has the errors of Build: Skip if none of them identifies a person
	// in the product. The request is marked with Forgetting, and so is each that Judge continues with.
	Forget(ev *event.Event) (*Request, error)
}

// Forgetting marks a request as one that erases a person.
func (r *Request) Forgetting() *Request { r.Forgets = true; return r }

// Forgets reports whether the answered request was to erase a person.
func (r *Response) Forgets() bool { return r.To != nil && r.To.Forgets }

// NobodyKnown is the reason of a delivered verdict on the erasure of a person whom the product does not know.
const NobodyKnown = "the product does not know the person"

// mayNotErase is the reason for credentials that lack the permission to erase a person.
const mayNotErase = "the credentials may not erase a person"

// Forgotten returns a Delivered verdict on the erasure of a person. reason says what the product keeps, or NobodyKnown; it may be empty.
func Forgotten(reason string) Verdict { return Verdict{Kind: Delivered, Reason: reason} }

// JudgeForget returns v, the verdict on the refusal of an erasure. Credentials that lack the permission to erase a person may have all
// others, so that 403 rejects the erasure, and holds no other delivery back.
func JudgeForget(res *Response, v Verdict) Verdict {
	if res.Status == 403 && v.Kind == Revoked {
		return Reject(mayNotErase + " (403)")
	}
	return v
}
