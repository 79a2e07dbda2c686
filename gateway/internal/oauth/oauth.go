// Package oauth fetches the access tokens of connectors.OAuth2, and keeps them for all replicas.
//
// A credential has one record in the store, sealed: its access token, when that ends, and the newest refresh token. A replica
// that needs another token takes the credential's lease, reads the record again, fetches, stores, and only then uses the token.
// The others wait for the record. So a refresh token that rotates is used once, and its successor is durable before anything
// depends on it.
//
// Between a product's answer and the write of the record lies a moment in which a crash loses the new refresh token. The next
// process then sends the old one again, which products accept for a while for this reason; if the product does not, the
// connection pauses until a person gives it a new one.
package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Vault seals what the store must hold. It is implemented by the gateway's vault.
type Vault interface {
	Seal(tenant, kind, name, field string, plain []byte) (string, error)
	Open(tenant, kind, name, field, sealed string) ([]byte, error)
}

// Options are what Tokens works with. All but Vault, Holder and Fetched are needed.
type Options struct {
	Store state.Settings
	// Vault seals the records. If it is nil, every token is an error of kind Credentials.
	Vault Vault
	Clock clock.Clock
	Log   *slog.Logger
	// Jitter returns a random number from 0 to 1, which spreads the early renewals of replicas.
	Jitter func() float64
	// FingerprintKey is the HMAC key of credentials' names in the store.
	FingerprintKey []byte
	// Holder names this process among those that share the store. A process that has the store alone keeps its name across
	// restarts, and so need not wait for the leases of the one before. Empty: a random name.
	Holder string
	// Fetched receives the result of each request to a token endpoint: `ok`, `retry` or `refused`. It may be nil.
	Fetched func(tenant, destination, result string)
}

// Tokens implements outbound.Tokens for a running gateway. Make it with New and end it with Close.
type Tokens struct {
	Options

	mu          sync.Mutex // guards the three below
	credentials map[place]*credential
	byKey       map[key]*credential // the same, for requests
	pruned      time.Duration       // when unused credentials were last removed

	renewals sync.WaitGroup
	renewing context.Context // ends when Close gives up
	giveUp   context.CancelFunc
}

// New returns Tokens without any credential.
func New(o Options) *Tokens {
	t := &Tokens{Options: o, credentials: map[place]*credential{}, byKey: map[key]*credential{}}
	if t.Holder == "" {
		t.Holder = rand.Text()
	}
	t.renewing, t.giveUp = context.WithCancel(context.Background())
	return t
}

// Close waits for renewals that are under way, at most until ctx ends, and writes records that the store did not take before.
// The sender and the store must still be open.
func (t *Tokens) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.renewals.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	t.giveUp()
	<-done
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, c := range t.credentials {
		if c.unsaved != nil {
			_, err := c.save(ctx)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Token returns a valid access token, and fetches one if there is none.
func (t *Tokens) Token(ctx context.Context, r outbound.TokenRequest) (outbound.Token, error) {
	if t.Vault == nil {
		return outbound.Token{}, refused("access tokens are kept sealed, and this gateway has no key to seal with")
	}
	return t.credential(r).token(ctx, r)
}

// place is where a credential's record is kept. Credentials that share a record, such as those of an application whose secret was
// changed, are one: there must not be two renewals of a record at a time.
type place struct{ tenant, name string }

// key identifies the credential of a request. Unlike connectors.OAuth2 it is comparable.
type key struct {
	tenant, destination                    string
	grant                                  connectors.Grant
	tokenURL, scopes, clientID             string
	keyID, issuer, subject, audience       string
	clientSecret, refreshToken, privateKey connectors.Secret
	basicAuth                              bool
}

func keyOf(r outbound.TokenRequest) key {
	a := r.Auth
	return key{
		tenant: r.Tenant, destination: r.Destination, grant: a.Grant, tokenURL: a.TokenURL, scopes: strings.Join(a.Scopes, " "),
		clientID: a.ClientID, keyID: a.KeyID, issuer: a.Issuer, subject: a.Subject, audience: a.Audience,
		clientSecret: a.ClientSecret, refreshToken: a.RefreshToken, privateKey: a.PrivateKey.Secret, basicAuth: a.BasicAuth,
	}
}

// unusedFor is how long a credential is remembered that no request has used, as after a change of the configuration.
const unusedFor = time.Hour

// credential returns the credential of a request.
func (t *Tokens) credential(r outbound.TokenRequest) *credential {
	k, now := keyOf(r), t.Clock.Elapsed()
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.byKey[k]
	if c == nil {
		t.prune(now)
		at := place{r.Tenant, nameOf(t.FingerprintKey, r)}
		if c = t.credentials[at]; c == nil {
			c = &credential{tokens: t, place: at, destination: r.Destination, jitter: t.Jitter()}
			t.credentials[at] = c
		}
		t.byKey[k] = c
	}
	c.used = now
	return c
}

// prune forgets credentials that no request has used for a while. t.mu is held.
func (t *Tokens) prune(now time.Duration) {
	if now-t.pruned <= unusedFor {
		return
	}
	t.pruned = now
	for at, c := range t.credentials {
		if now-c.used > unusedFor && c.idle() {
			delete(t.credentials, at)
		}
	}
	for k, c := range t.byKey {
		if t.credentials[c.place] != c {
			delete(t.byKey, k)
		}
	}
}
