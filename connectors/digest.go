package connectors

import (
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Digester is implemented by a connector that can tell of many events in one message, for `at_most` with `then: digest`.
type Digester interface {
	// Digest builds one message about events that no message of their own was sent for. It is pure, as Build is, and has the same
	// errors. The answer is judged like that of Build, with the first event of the digest in Response.Events.
	Digest(d *Digest) (*Request, error)
}

// Digest is what a rule would have sent in a period beyond its limit.
type Digest struct {
	// Rule is the rule's name.
	Rule string
	// From and To are the period.
	From, To time.Time
	// Total is the number of events; it is a lower bound if More is set.
	Total int
	More  bool
	// Events are the first of them, at most MaxDigestEvents. It may be empty if none is kept any more.
	Events []*event.Event
}

// MaxDigestEvents bounds Digest.Events.
const MaxDigestEvents = 10
