// Package connectors defines what a connector to a product is, and holds the registry of all connectors.
//
// A connector is a struct. Its fields are the settings that an operator writes in YAML, and its Build method turns one
// survey event into one HTTP request. A connector does no I/O: the gateway adds the credentials, sends the request, retries,
// limits the rate and records the result. The smallest connector is a struct, a Build method and a registration:
//
//	func init() {
//		connectors.Register("pager", func() connectors.Connector { return &Connector{Text: expression.MustText("NPS {{ nps_score }}")} })
//	}
//
//	type Connector struct {
//		// Token is the API token of the team.
//		Token connectors.Secret `yaml:"token"`
//		// Text is the message.
//		Text expression.Text `yaml:"text,omitempty"`
//	}
//
//	func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
//		text, err := c.Text.Render(ev)
//		if err != nil {
//			return nil, err
//		}
//		return connectors.Post("https://api.pager.example/calls", call{Text: text}).As(connectors.Bearer(c.Token)), nil
//	}
//
// Everything else is an optional interface, which the gateway discovers by a type assertion. Assert those that a connector
// implements at the top of its file: `var _ connectors.Judge = (*Connector)(nil)`.
//
//   - Judge: the product's answer means more than its status code.
//   - Keyer, SharedKeyer: deliveries that change the same record must be made in order.
//   - Batcher: the product takes several events in one request.
//   - Chained, ChainComparer: one event needs several requests.
//   - Named: the requests tell the name of their destination.
//   - RetryLimiter: the product counts a repeated event twice.
//   - RateLimiter, ConcurrencyLimiter: the product publishes limits.
//   - Validator: a setting has a form, or depends on another one.
//   - Checker: the settings can be proved with a harmless request. A connector with OAuth2 needs it.
//   - Amender, Retracter: what an earlier delivery made can be changed, or marked as no longer so.
//   - Forgetter: the product can be asked to erase a person.
//   - Digester: many events can be told in one message.
//   - Advisor: the product's reasons for a refusal tell what a person can do about them.
//
// An event becomes a record of the product with these functions:
//
//   - Properties, Facts: the event of an analytics product. RecordID makes the id by which the product knows a repeated one.
//   - PersonID, Pseudonym: the id of a respondent. ResponseCode: the id of a response.
//   - Consent.Subscribe: whether a mailing list may have the respondent.
//   - MessageFor: the message of a chat product, Digest.Message: that about many events, and Markdown, which escapes both. NoteHTML: the note of a CRM.
//   - PlainText, JoinedText: the text of a value, for fields that hold text only. Clip: a text within the product's limit.
//
// These rules hold for every connector:
//
//   - Respondents are strangers. Escape what comes from an event for the product (`c.Text.Render(ev, escape)`).
//   - Credentials have the type Secret, PrivateKey or ServiceAccount. They go into Request.Auth, or into a header with WithSecret, so
//     that a request can be printed and stored. An access token that has to be fetched is an OAuth2: the gateway fetches it.
//   - A setting `base_url` of the type BaseURL replaces the product's own address, also that of the token endpoint unless a setting
//     `token_url` does, so that tests and sandboxes never reach the product.
//   - A response's id is not unique. Identify a response by ev.Tenant together with ev.ResponseKey().
//   - A reason (Skip, Verdict.Reason) contains no response body, no secret and nothing about a person.
//
// The settings may have any type that the YAML reader knows: string, bool, int, time.Duration, Secret, PrivateKey, ServiceAccount,
// URL, BaseURL, HeaderValue, Signature, Consent, expression.Text, expression.Value, expression.Values, lists, maps and structs of
// these, and types with an UnmarshalText method, which are Enum if they are one of a few words, and ValuesUnmarshaler if they
// may also be a mapping of values. A setting is required unless its yaml tag has omitempty. Its comment is its documentation, and
// what the connector's transcripts write for it is its sample in the reference configuration.
//
// A connector costs its folder and its import line in connectors/all. If another file had to know it, that file is at fault.
//
// Package connectortest tests a connector with transcripts. CONTRIBUTING.md shows the steps to add one.
package connectors

import (
	"fmt"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Connector builds the request that tells a product about one event.
//
// Build is pure: the same event gives the same request. It reads no clock, no random source, no environment and no network,
// and it changes neither the event nor the connector. It is called from several goroutines at once.
//
// Build returns one of three errors: Skip when the event has nothing for this product (verdict `skipped`), Unusable when
// the credentials cannot make any request (verdict `revoked`), and any other error when this event cannot be sent
// (verdict `rejected`). A panic counts as such an error.
type Connector interface {
	Build(ev *event.Event) (*Request, error)
}

// Judge is implemented by a connector whose product says more than the status code does, such as one that refuses with 200.
// Connectors without it are judged by ByStatus.
//
// Judge is pure, as Build is, and returns a verdict for any status, header and body. res.To is the request, and res.Events are
// the events that it carried.
type Judge interface {
	Judge(res *Response) Verdict
}

// Keyer is implemented by a connector whose events change a record that other events change too. Deliveries of one step that
// have the same key are made one after the other, in the order of their events.
type Keyer interface {
	// Key returns the record's key, such as the e-mail address in the product's own spelling. An event with the empty key waits
	// for no other.
	Key(ev *event.Event) string
}

// SharedKeyer is implemented by a Keyer whose records are changed by several steps of a connection, such as a person that each step
// searches and creates if there is none. Deliveries of all these steps, of any rule, that have the same key are made one after the
// other. A Batcher cannot be one.
type SharedKeyer interface {
	Keyer
	// SharesKeys does nothing; it marks the connector.
	SharesKeys()
}

// Batcher is implemented by a connector whose product takes several events in one request. A batch never holds two events
// with the same key.
//
// The gateway calls Build for an event that is sent alone. When BuildBatch returns an error, the gateway calls Build for each
// event to find those at fault, and then BuildBatch again without them.
//
// A successful status does not prove that every event of a batch was written: Judge compares the answer with res.Events
// (see JudgeEach). Judge returns what the answer says, whatever the status is:
//
//   - One verdict for each event (Verdict.Each), if the answer tells which events it is about. Events that the product left
//     unwritten only because of those get Resend, and are sent again at once without them.
//   - Reject for the batch, if the product refused it as a whole and does not tell because of which event, or because of its size.
//     The gateway halves it until the event at fault is alone; halving uses up no attempts. Reject is final for a single event.
//   - Retry or Revoke for the batch, if the reason concerns all events. The gateway does not split it.
type Batcher interface {
	Keyer
	// Batch returns the limits of one batch.
	Batch() BatchLimit
	// BuildBatch builds one request for all events. It is pure, as Build is.
	BuildBatch(events []*event.Event) (*Request, error)
}

// BatchLimit bounds a batch. Zero means no limit.
type BatchLimit struct {
	// Events is the largest number of events.
	Events int
	// Bytes is the largest size of the request's body.
	Bytes int
	// Silent is set for a product whose documented answer names only the events that it refused, or none at all. Without
	// it, an event of a batch is delivered only if the answer names it: Judge returns Verdict.Each (see JudgeEach).
	Silent bool
}

// Named is implemented by a connector whose requests tell the name of their destination.
type Named interface {
	// SetName sets the name that the destination has in the configuration. It is called once, before Build.
	SetName(name string)
}

// RetryLimiter is implemented by a connector whose product may count a repeated event twice.
type RetryLimiter interface {
	// MaxRetries returns the largest number of retries of one delivery. It shortens a longer retry schedule.
	MaxRetries() int
}

// Chained is implemented by a connector that needs more than one request for an event. The rate limit counts all of them.
type Chained interface {
	// MaxRequests returns the largest number of requests for one event, at most 5.
	MaxRequests() int
}

// ChainComparer is implemented by every Chained connector, so that the gateway can tell whether two revisions of an event
// would be sent differently.
type ChainComparer interface {
	// LaterContent returns the content of all requests after the first one, in any stable form. Two events with equal first
	// requests and equal LaterContent are sent alike.
	LaterContent(ev *event.Event) ([]byte, error)
}

// RateLimiter is implemented by a connector whose product publishes a rate limit.
type RateLimiter interface {
	// Rate returns the rate of a connection that sets none.
	Rate() Rate
}

// Rate allows Requests in each period Per. The zero value is no limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

// String returns the rate in the form of the `rate` setting: `10/s`, `100/m`; `none` without a limit.
func (r Rate) String() string {
	switch {
	case r.Requests == 0:
		return "none"
	case r.Per == time.Second:
		return fmt.Sprintf("%d/s", r.Requests)
	case r.Per == time.Minute:
		return fmt.Sprintf("%d/m", r.Requests)
	}
	return fmt.Sprintf("%d/%s", r.Requests, r.Per)
}

// ConcurrencyLimiter is implemented by a connector whose product takes fewer simultaneous requests than the gateway's default.
type ConcurrencyLimiter interface {
	// Concurrency returns the number of simultaneous requests of a connection that sets none.
	Concurrency() int
}

// Validator is implemented by a connector with settings that have a form of their own or depend on each other. Validate runs after
// the defaults, the connection's settings and the step's settings are merged. An error made with Invalid names the setting at fault.
type Validator interface {
	Validate() error
}
