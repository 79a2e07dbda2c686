package oauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// wall measures real time, for what waits for the network and for other replicas.
var wall = clock.System()

const (
	// renewFor bounds one renewal until the token endpoint is asked. It is longer than leaseFor.
	renewFor = 40 * time.Second
	// leaseFor is how long other replicas wait for one that has died. It covers askWithin, outbound.TokenTimeout and saveFor.
	leaseFor = 25 * time.Second
	// askWithin is how old a lease may be when the token endpoint is asked. An older one is renewed first.
	askWithin = 5 * time.Second
	// leasePoll is how often a replica that waits for another one reads the record.
	leasePoll = 100 * time.Millisecond
	// saveFor bounds how long requests wait for a new record to be stored.
	saveFor = 5 * time.Second
	// savePoll is how often it tries after that.
	savePoll = 250 * time.Millisecond
	// saveWait is how long a replica whose refresh token was refused waits for another one to store the successor.
	saveWait = 3 * time.Second
	// lookEvery is how often a record is read again while its token is valid: another replica, or a person, may have stored another.
	lookEvery = 30 * time.Second
	// earlyRetry is the shortest time between two early renewals that failed.
	earlyRetry = 30 * time.Second
)

// credential is one credential of one destination in this process.
type credential struct {
	tokens      *Tokens
	place       // of its record
	destination string
	jitter      float64       // of early renewals
	used        time.Duration // when it was last asked for; guarded by Tokens.mu

	mu       sync.Mutex    // guards what follows; it is not held during any call
	known    *record       // the newest record that was read or stored; nil: none yet
	looked   time.Duration // when the store was last read
	retryAt  time.Duration // no early renewal before
	running  *renewal      // the one that is under way, if any
	endpoint struct {      // what the token endpoint said when it asked to wait
		until time.Duration
		err   error
	}

	// unsaved is a record that was fetched and that the store has not taken yet; fence is that of the last lease. The running
	// renewal uses them, and Close after it.
	unsaved *record
	fence   uint64
}

// renewal is one search for another token. It is shared by all requests of this process that need one.
type renewal struct {
	key     key
	auth    connectors.OAuth2
	send    send
	refused connectors.Secret // the token that must be replaced; zero: any valid one will do
	early   bool              // the known token is still valid
	asking  atomic.Bool       // the token endpoint has been asked
	saving  bool              // it has ended, but its record is not stored yet: done is closed, and err the error of all requests
	done    chan struct{}     // closed when record and err are set
	record  *record
	fetched bool // the record is new, not found in the store
	err     error
}

// send sends a request to the token endpoint.
type send func(ctx context.Context, req *connectors.Request) outbound.Result

// idle reports whether nothing would be lost if the credential were forgotten.
func (c *credential) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running == nil && c.unsaved == nil
}

// token returns a valid token. A token that is valid but should soon be replaced is returned at once, and replaced meanwhile.
func (c *credential) token(ctx context.Context, r outbound.TokenRequest) (outbound.Token, error) {
	for {
		c.mu.Lock()
		now, elapsed := c.tokens.Clock.Now(), c.tokens.Clock.Elapsed()
		if c.known.valid(now, r.Refused) {
			known := c.known
			due := elapsed-c.looked > lookEvery || known.shouldRenew(now, c.jitter)
			if due && c.running == nil && elapsed >= c.retryAt {
				c.renew(r, true)
			}
			c.mu.Unlock()
			return known.token(false), nil
		}
		running := c.running
		if running == nil {
			running = c.renew(r, false)
		}
		c.mu.Unlock()
		select {
		case <-running.done:
		case <-ctx.Done():
			return outbound.Token{}, running.unfinished(ctx)
		}
		if !running.saving && !running.isFor(r) && (running.err != nil || !running.fetched) {
			continue
		}
		if running.err != nil {
			return outbound.Token{}, running.err
		}
		return running.record.token(running.fetched), nil
	}
}

// renew starts a renewal. It does not end with the request that needed it: a refresh token may be used up by then. c.mu is held.
func (c *credential) renew(r outbound.TokenRequest, early bool) *renewal {
	n := &renewal{key: keyOf(r), auth: r.Auth, send: r.Send, refused: r.Refused, early: early, done: make(chan struct{})}
	c.running = n
	c.tokens.renewals.Go(func() {
		ctx, cancel := context.WithTimeout(c.tokens.renewing, renewFor)
		defer cancel()
		n.record, n.fetched, n.err = c.replaceSafely(ctx, n)
		if saving := c.end(n, n.record); saving != nil {
			c.end(saving, c.keepSaving())
		}
	})
	return n
}

// isFor reports whether the result is final for a request. One that began for another request may have failed with another
// secret, or found a token that this request must not use.
func (n *renewal) isFor(r outbound.TokenRequest) bool {
	return !n.early && n.refused == r.Refused && n.key == keyOf(r)
}

// unfinished returns the error of a request that cannot wait any longer. The destination is at fault only if its token endpoint
// was asked.
func (n *renewal) unfinished(ctx context.Context) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &outbound.Error{Kind: outbound.Canceled, Reason: "the gateway gave the attempt up"}
	case !n.asking.Load():
		return errStillWaiting
	}
	return &outbound.Error{Kind: outbound.Timeout, Reason: "token endpoint: no access token in time"}
}

var errStillWaiting = &outbound.Error{Kind: outbound.Busy, Reason: "no access token in time: another replica is fetching it, or the store is slow"}

// replaceSafely is replace, with an error in place of a panic, which would end the gateway.
func (c *credential) replaceSafely(ctx context.Context, n *renewal) (r *record, fetched bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.tokens.Log.Error("fetching an access token panicked", "tenant", c.tenant, "destination", c.destination, "err", fmt.Sprint(p))
			r, fetched, err = nil, false, &outbound.Error{Kind: outbound.Protocol, Reason: "the access token cannot be fetched"}
		}
	}()
	return c.replace(ctx, n)
}

// end ends a renewal, with the record that it found or stored, if any. If the store did not take the record, it returns the renewal
// that goes on until it does.
func (c *credential) end(n *renewal, r *record) (saving *renewal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r != nil {
		c.known, c.looked, c.retryAt = r, c.tokens.Clock.Elapsed(), 0
	} else if n.early {
		c.retryAt = c.tokens.Clock.Elapsed() + earlyRetry
		c.tokens.Log.Warn("cannot renew an access token early", "tenant", c.tenant, "destination", c.destination, "err", n.err)
	}
	if !n.saving {
		if c.unsaved != nil {
			saving = &renewal{saving: true, done: n.done, err: n.err}
		}
		close(n.done)
	}
	c.running = saving
	return saving
}

// keepSaving writes the unsaved record as soon as the store takes it, so that no replica uses the refresh token before it. Requests
// fail meanwhile, with the renewal's error. It returns nil if the gateway stops first.
func (c *credential) keepSaving() *record {
	for pause(c.tokens.renewing, savePoll) {
		ctx, cancel := context.WithTimeout(c.tokens.renewing, saveFor)
		r, err := c.save(ctx)
		cancel()
		if err == nil {
			return r
		}
	}
	return nil
}

// replace returns a record with another token: one that is in the store, or a new one.
func (c *credential) replace(ctx context.Context, n *renewal) (_ *record, fetched bool, err error) {
	if c.unsaved != nil { // not to be used before it is stored
		if _, err := c.save(ctx); err != nil {
			return nil, false, err
		}
	}
	lease := leaseName(c.tenant, c.name)
	leased, repeated := false, false
	var leasedAt time.Time
	defer func() {
		// While a record is unsaved, the others must not use the refresh token before it: their wait ends with the lease.
		if leased && c.unsaved == nil {
			_, _ = c.tokens.Store.Lease(context.WithoutCancel(ctx), lease, c.tokens.Holder, 0)
		}
	}()
	for {
		found, err := c.load(ctx, n.auth)
		if err != nil {
			return nil, false, err
		}
		if found.serves(n, c.tokens.Clock.Now(), c.jitter) {
			return found.record, false, nil
		}
		if err := c.asksToWait(); err != nil {
			return nil, false, err
		}
		if leased && wall.Now().Sub(leasedAt) < askWithin {
			r, err := c.fetch(ctx, n, found)
			if !repeated && isRefusal(err) && c.changedSince(ctx, n.auth, found) {
				repeated = true // a replica whose lease had ended was faster, or a person has stored another refresh token
				continue
			}
			return r, err == nil, err
		}
		// Whether the answer can be sealed is found out before a refresh token is used up.
		if _, err := c.tokens.Vault.Seal(c.tenant, KindToken, c.name, fieldSealed, nil); err != nil {
			return nil, false, c.sealFailure(err)
		}
		leasedAt = wall.Now()
		fence, err := c.tokens.Store.Lease(ctx, lease, c.tokens.Holder, leaseFor)
		switch leased = err == nil; {
		case leased:
			c.fence = fence // and read again: the one before may just have stored a token
		case !errors.Is(err, state.ErrConflict):
			return nil, false, c.storeFailure(err)
		case !pause(ctx, leasePoll):
			return nil, false, errStillWaiting
		}
	}
}

// asksToWait returns the last error of the token endpoint while it lasts for as long as the endpoint said.
func (c *credential) asksToWait() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left := c.endpoint.until - c.tokens.Clock.Elapsed(); left > 0 {
		return waiting(c.endpoint.err, left)
	}
	return nil
}

// fetch asks the token endpoint, and stores what it answers. The end of ctx stops neither: a refresh token that was sent may be used up.
func (c *credential) fetch(ctx context.Context, n *renewal, found found) (*record, error) {
	refresh, err := found.refreshToken(c, n.auth)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	n.asking.Store(true)
	answer, err := exchange(ctx, n.auth, refresh, c.tenant, c.destination, n.send)
	c.observe(err)
	if err != nil {
		return nil, err
	}
	crashpoint.At(crashpoint.TokenFetched)
	c.unsaved = found.succeed(c, refresh, answer)
	ctx, cancel := context.WithTimeout(ctx, saveFor)
	defer cancel()
	for backoff := leasePoll; ; backoff *= 2 {
		r, err := c.save(ctx)
		if err == nil || !pause(ctx, backoff) {
			return r, err
		}
	}
}

// changedSince reports whether the record, or the first refresh token, was stored anew after it was read. For the newest refresh token
// it waits a moment: a replica that could not store the successor stores it as soon as the store is back.
func (c *credential) changedSince(ctx context.Context, auth connectors.OAuth2, f found) bool {
	waits := f.record != nil && f.first.IsZero() && auth.Grant == connectors.GrantRefreshToken
	for until := wall.Elapsed() + saveWait; ; {
		now, err := c.load(ctx, auth)
		if err == nil && (now.version != f.version || now.first != f.first) {
			return true
		}
		if !waits || wall.Elapsed() >= until || !pause(ctx, leasePoll) {
			return false
		}
	}
}

// observe counts the outcome of a request to the token endpoint, and notes how long the endpoint asked to wait.
func (c *credential) observe(err error) {
	result := "ok"
	if own, ok := errors.AsType[*outbound.Error](err); ok {
		if result = "retry"; isRefusal(err) {
			result = "refused"
		}
		if own.After > 0 {
			c.mu.Lock()
			c.endpoint.until, c.endpoint.err = c.tokens.Clock.Elapsed()+own.After, own
			c.mu.Unlock()
		}
	}
	if c.tokens.Fetched != nil {
		c.tokens.Fetched(c.tenant, c.destination, result)
	}
}

// pause returns false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	after, stop := wall.After(d)
	defer stop()
	select {
	case <-after:
		return true
	case <-ctx.Done():
		return false
	}
}
