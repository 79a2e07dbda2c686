// Package outbound is the only way out: it puts credentials on a request, sends it to a guarded address, and
// gives back a capped answer with every secret cut out.
//
// Two transports stand behind one Sender with the same limits, guard and tests: fasthttp's HTTP/1.1 for the hot
// path and net/http for HTTP/2 and proxies. Redirects are never followed.
package outbound

import (
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// Kind is what became of a request, a closed set.
type Kind string

// The kinds.
const (
	// Answered: there is a response, whatever its status.
	Answered Kind = "answered"
	// Timeout: the time for the whole request was over.
	Timeout Kind = "timeout"
	// Connect: no connection: no such name, refused, unreachable, not made in time.
	Connect Kind = "connect"
	// Refused: the address guard or the policy forbids the destination.
	Refused Kind = "guard"
	// TLS: no secure connection: certificate, name, version.
	TLS Kind = "tls"
	// Protocol: the connection broke, or the answer was not HTTP or beyond the limits.
	Protocol Kind = "protocol"
	// Invalid: the request cannot be sent as it was built, now or later.
	Invalid Kind = "invalid"
	// Credentials: the request cannot carry its credentials. No request of this destination can, until they change.
	Credentials Kind = "credentials"
	// Busy: the gateway has no connection free. Nothing was sent, and the destination has no part in it.
	Busy Kind = "busy"
	// Canceled: the caller's context ended first.
	Canceled Kind = "canceled"
)

// Error is why there is no answer. Its text is for people; it holds no secret and no URL.
type Error struct {
	Kind   Kind
	Reason string
}

func (e *Error) Error() string { return e.Reason }

// Result is what became of one request.
type Result struct {
	// Kind is Answered exactly where Response is there and Err is not.
	Kind Kind
	// Response is the answer: body capped, secrets cut out, redirects not followed.
	Response *connectors.Response
	// Err is an *Error with a reason without secrets.
	Err error
	// Took is the time from the call to the end of the answer.
	Took time.Duration
	// Reached says that bytes of the request may have reached the peer, so that it may have acted on them.
	Reached bool
	// Sent and Received are the sizes of the two bodies in bytes.
	Sent, Received int
}

// Limits of every request.
const (
	// ConnectTimeout bounds the resolving and connecting of one connection.
	ConnectTimeout = 5 * time.Second
	// DefaultTimeout is that of a request which names none.
	DefaultTimeout = 15 * time.Second
	// BodyCap is how much of an answer is kept, unless Attempt.Keep says more; Response.Truncated says that there was more.
	BodyCap = connectors.UsualKeep
	// HeaderCap bounds an answer's header section.
	HeaderCap = 16 << 10
	// IdleTimeout is shorter than what peers commonly allow, so that it is us who close.
	IdleTimeout = 4 * time.Second
)

// Attempt says how one request is sent.
type Attempt struct {
	// DeliveryID is the webhook-id of signed requests: the same on every attempt.
	DeliveryID string
	// Timeout bounds the whole request; 0 is DefaultTimeout.
	Timeout   time.Duration
	Transport Transport
	// Trusted permits the addresses of Policy.AllowAddresses, which are not public; without it only public ones are reached.
	Trusted bool
	// Tenant owns the destination; Options.Tokens fetches in its name.
	Tenant string
	// Destination keeps connections apart, so that one destination's cannot be used up by another of the same host.
	Destination string
	// MaxConns bounds the destination's connections; 0 is no bound. HTTP/2 shares one anyway.
	MaxConns int
	// TLS is the destination's own; nil is that of all. No two destinations share what was made with it.
	TLS *ClientTLS
	// Keep is how much of the answer is kept; 0 is BodyCap.
	Keep int
}

func (a *Attempt) timeout() time.Duration {
	if a.Timeout <= 0 {
		return DefaultTimeout
	}
	return a.Timeout
}
