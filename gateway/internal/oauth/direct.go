package oauth

import (
	"context"
	"sync"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// Direct implements outbound.Tokens without a store, for checks of a configuration. It keeps each token in memory, and never uses a
// refresh token: one that rotates belongs to the running gateway. The zero value is ready.
type Direct struct {
	mu     sync.Mutex
	tokens map[key]*direct
}

type direct struct {
	once  sync.Once
	token outbound.Token
	err   error
}

// Token fetches an access token; a second call for the same credential returns the same token.
func (d *Direct) Token(ctx context.Context, r outbound.TokenRequest) (outbound.Token, error) {
	if r.Auth.Grant == connectors.GrantRefreshToken {
		return outbound.Token{}, refused("only the running gateway can use the refresh token")
	}
	k := keyOf(r)
	d.mu.Lock()
	if d.tokens == nil {
		d.tokens = map[key]*direct{}
	}
	t := d.tokens[k]
	if t == nil {
		t = &direct{}
		d.tokens[k] = t
	}
	d.mu.Unlock()
	t.once.Do(func() {
		var a answer
		if a, t.err = exchange(ctx, r.Auth, connectors.Secret{}, r.Tenant, r.Destination, r.Send); t.err == nil {
			t.token = outbound.Token{Access: a.access, BaseURL: a.baseURL}
		}
	})
	return t.token, t.err
}
