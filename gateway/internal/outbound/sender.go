package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// wall measures real time for the network's deadlines, which a test's clock must not shorten.
var wall = clock.System()

// Options are the dependencies and limits of a Sender; the zero value is valid.
type Options struct {
	Policy Policy
	// Version is the version in the User-Agent header; empty is `dev`.
	Version string
	// Clock gives the time of signatures and answers; nil is the machine's.
	Clock clock.Clock
	// RootCAs are the only authorities trusted; nil is the machine's.
	RootCAs *x509.CertPool
	// Resolver looks names up; nil is the machine's.
	Resolver *net.Resolver
	// Tokens fetches the tokens of requests with connectors.OAuth2. If it is nil, those requests fail with Kind Credentials.
	Tokens Tokens
	// MaxConns bounds the file descriptors of the connections to all destinations together; 0 is no bound. If none is
	// free, a request waits for a part of its time and is then Busy.
	MaxConns int
}

// Sender sends requests and keeps idle connections for reuse. Make it with New and end it with Close; it is safe for concurrent use.
type Sender struct {
	agent    string
	clock    clock.Clock
	roots    *x509.CertPool
	resolver *net.Resolver
	tokens   Tokens
	all      *connections

	mu      sync.Mutex // guards changes of current
	current atomic.Pointer[transports]
	closed  atomic.Bool
}

// transports is everything that depends on the policy: the two transports and what they share.
type transports struct {
	policy    Policy
	fast      *fast
	std       *std
	addresses addressCutters
	tls       *tls.Config
	own       identities
}

// New returns a Sender.
func New(o Options) *Sender {
	s := &Sender{clock: o.Clock, roots: o.RootCAs, resolver: o.Resolver, tokens: o.Tokens}
	if s.clock == nil {
		s.clock = clock.System()
	}
	s.all = newConnections(o.MaxConns, s.reclaim)
	if o.Version == "" {
		o.Version = "dev"
	}
	s.agent = "surveygate/" + o.Version
	s.SetPolicy(o.Policy)
	return s
}

// SetPolicy changes where requests may go. Connections made under another policy are not reused; requests under way
// end under the policy that they began with. Setting an equal policy changes nothing and keeps connections open.
func (s *Sender) SetPolicy(p Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return
	}
	if r := s.current.Load(); r != nil && r.policy.equal(p) {
		return
	}
	config := s.tls(p)
	old := s.current.Swap(&transports{
		policy: p, tls: config,
		fast: newFast(p, s.resolver, config, s.all),
		std:  newStd(p, s.resolver, config, s.all),
	})
	if old != nil {
		old.close()
	}
}

// reclaim closes an idle connection for a request that waits.
func (s *Sender) reclaim() {
	r := s.current.Load()
	if !r.fast.pools.reclaim() {
		r.std.close() // what is idle
		r.own.close()
	}
}

// tls returns the TLS settings of every connection.
func (s *Sender) tls(p Policy) *tls.Config {
	roots := s.roots
	if p.CA != "" { // an unreadable one was refused at load
		if more, err := certificates("ca", []byte(p.CA)); err == nil {
			roots = withAuthorities(roots, more)
		}
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		RootCAs:            roots,
		ClientSessionCache: tls.NewLRUClientSessionCache(256),
	}
}

// Close closes idle connections; requests under way close theirs when they end. Later Sends are Canceled.
func (s *Sender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Swap(true) {
		return
	}
	s.current.Load().close()
}

func (r *transports) close() {
	r.fast.close()
	r.std.close()
	r.own.close()
}

// transport sends one prepared request.
type transport interface {
	// send returns within the deadline. The caller owns the answer's header and body.
	send(ctx context.Context, w *wire, deadline time.Time) (answer, error)
}

// answer is what a transport returns. Its field reached is valid with an error too.
type answer struct {
	response connectors.Response
	// received counts the bytes of the body, including those that were not kept.
	received int
	reached  bool
}

// Send sends one request and waits for its answer. It never follows a redirect. Every failure is in the Result.
func (s *Sender) Send(ctx context.Context, req *connectors.Request, a Attempt) Result {
	begun := wall.Now()
	if s.closed.Load() {
		return Result{Kind: Canceled, Err: &Error{Kind: Canceled, Reason: "the gateway is stopping"}}
	}
	r := s.current.Load()
	w, err := s.prepare(ctx, req, a, r.policy)
	if err != nil {
		result := failed(err, answer{}, begun)
		if w != nil {
			result.TokenWait = w.tokenWait
		}
		return result
	}
	if address := addressOf(req); !address.IsZero() {
		w.address = r.addresses.find(address)
	}
	if a.TLS != nil {
		w.identity = r.own.find(&a, r.tls)
	}
	timeout := a.timeout()
	deadline := begun.Add(timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := ctx.Err(); err != nil { // else a reused connection would carry the request before the end is noticed
		return failed(explain(ctx, &phaseError{phaseConnect, err}, deadline, timeout), answer{}, begun)
	}
	var by transport = r.fast
	if a.Transport == Std || !r.policy.Proxy.IsZero() {
		by = r.std
	}
	got, err := by.send(ctx, w, deadline)
	if status := got.response.Status; err == nil && !isFinal(status) {
		err = &phaseError{phaseExchange, errProtocol(notHTTP)}
	}
	if err != nil && isFinal(got.response.Status) { // the status line counts
		if got.response.Truncated = true; got.response.Fault == "" {
			if authErr, ok := errors.AsType[*authError](err); ok { // the receiver answered although it asked for a certificate
				err = authErr.err
			}
			got.response.Fault = faultOf(explain(ctx, err, deadline, timeout).Error())
		}
		err = nil
	}
	if err != nil {
		result := failed(explain(ctx, err, deadline, timeout), got, begun)
		if got.reached {
			result.Sent = len(w.body)
		}
		result.Token, result.TokenKept, result.TokenWait = w.token.Access, w.token.Kept, w.tokenWait
		return result
	}
	res := &got.response
	res.At, res.To = s.clock.Now(), req
	w.cut(res)
	return Result{
		Kind: Answered, Response: res, Took: wall.Now().Sub(begun),
		Reached: true, Sent: len(w.body), Received: got.received, Token: w.token.Access, TokenKept: w.token.Kept, TokenWait: w.tokenWait,
	}
}

func failed(err error, got answer, begun time.Time) Result {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: Protocol, Reason: "the request failed"}
	}
	return Result{Kind: e.Kind, Err: e, Took: wall.Now().Sub(begun), Reached: got.reached, Received: got.received}
}
