// Package outbound sends every request that leaves the gateway: it adds credentials to the request, checks the address, and
// returns the answer, cut at a limit and with every secret cut out.
//
// One Sender has two transports with the same limits, guard and tests: fasthttp's HTTP/1.1, the cheaper one, and net/http
// for HTTP/2 and proxies. Redirects are never followed.
package outbound

import (
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// Kind is the outcome of a request, a closed set.
type Kind string

// The kinds.
const (
	// Answered: there is a response, whatever its status.
	Answered Kind = "answered"
	// Timeout: the time for the whole request ran out.
	Timeout Kind = "timeout"
	// Connect: no connection could be made: unknown name, refused, unreachable, too slow.
	Connect Kind = "connect"
	// Refused: the address guard or the policy forbids the destination.
	Refused Kind = "guard"
	// TLS: no secure connection: certificate, name, version.
	TLS Kind = "tls"
	// Protocol: the connection broke, or the answer was not HTTP or beyond the limits.
	Protocol Kind = "protocol"
	// Invalid: the request can never be sent as it was built.
	Invalid Kind = "invalid"
	// Credentials: the request's credentials cannot be used. No request of this destination can be sent until they change.
	Credentials Kind = "credentials"
	// Busy: the gateway has no free connection, or its store is unavailable. Nothing was sent, and the destination is not at fault.
	Busy Kind = "busy"
	// Canceled: the caller's context ended first.
	Canceled Kind = "canceled"
)

// Error is the reason why there is no answer. Its text is for people; it holds no secret and no URL.
type Error struct {
	Kind   Kind
	Reason string
	// After is how long a token endpoint asked to wait before the next request; 0: it did not.
	After time.Duration
}

func (e *Error) Error() string { return e.Reason }

// Result is the outcome of one request.
type Result struct {
	// Kind is Answered exactly if Response is set and Err is nil.
	Kind Kind
	// Response is the answer: body capped, secrets cut out, redirects not followed.
	Response *connectors.Response
	// Err is an *Error with a reason without secrets.
	Err error
	// Took is the time from the call to the end of the answer.
	Took time.Duration
	// Token is the access token that was sent, if the request's Auth is an OAuth2; TokenWait is the part of Took that passed
	// until it was there. TokenKept reports that it was not fetched for this request, so that it may be as old as one that was refused.
	Token     connectors.Secret
	TokenKept bool
	TokenWait time.Duration
	// Reached reports whether the peer may have received bytes of the request, and so may have acted on them.
	Reached bool
	// Sent and Received are the sizes of the two bodies in bytes.
	Sent, Received int
}

// Limits of every request.
const (
	// ConnectTimeout bounds the name look-up and the dial of one connection.
	ConnectTimeout = 5 * time.Second
	// DefaultTimeout bounds a request that names no timeout.
	DefaultTimeout = 15 * time.Second
	// BodyCap is how many bytes of an answer's body are kept if Attempt.Keep is 0. Response.Truncated is set if there were more.
	BodyCap = connectors.DefaultResponseLimit
	// HeaderCap bounds an answer's header section, in bytes.
	HeaderCap = 16 << 10
	// IdleTimeout closes idle connections. It is shorter than what peers commonly allow, so that the gateway closes first.
	IdleTimeout = 4 * time.Second
)

// Attempt is how one request is sent.
type Attempt struct {
	// DeliveryID is the webhook-id of signed requests: the same on every attempt.
	DeliveryID string
	// Timeout bounds the whole request; 0 is DefaultTimeout.
	Timeout   time.Duration
	Transport Transport
	// Trusted permits the addresses of Policy.AllowAddresses, which are not public; without it only public ones are reached.
	Trusted bool
	// Tenant and Destination name the destination. It has connections and access tokens of its own, so that one destination
	// cannot use up those of another on the same host.
	Tenant      string
	Destination string
	// RefusedToken is the access token that the product has refused (Result.Token): the request is sent with another one.
	RefusedToken connectors.Secret
	// MaxConns bounds the destination's connections with Fast; 0 is no bound. Std has none: HTTP/2 shares one connection.
	MaxConns int
	// TLS is the destination's own TLS settings; nil is the common ones. Nothing that was made with it, such as a connection, is shared
	// with another destination.
	TLS *ClientTLS
	// Keep is how many bytes of the answer's body are kept; 0 is BodyCap.
	Keep int
}

// owner returns the key of the destination's connections.
func (a *Attempt) owner() string { return a.Tenant + "/" + a.Destination }

func (a *Attempt) timeout() time.Duration {
	if a.Timeout <= 0 {
		return DefaultTimeout
	}
	return a.Timeout
}
