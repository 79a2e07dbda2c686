package outbound

import (
	"context"

	"github.com/surveygate/surveygate/connectors"
)

// TokenAuth is an Auth that names a credential whose access token is fetched, and sent as `Authorization: Bearer`.
// The method marks the type.
type TokenAuth interface {
	connectors.Auth
	FetchesToken()
}

// Tokens fetches access tokens. It is safe for concurrent use.
type Tokens interface {
	// Token returns a token of the credential that is valid now. The same credential in two tenants is two credentials. The
	// context ends with the request's timeout. An error is an *Error whose Kind is the request's: Credentials only where the
	// credential itself was refused, since that pauses the destination. Any other error is retried, and its text is not shown.
	Token(ctx context.Context, tenant string, auth TokenAuth) (connectors.Secret, error)
}

// fetchToken adds the request's token. It replaces w.request by one with that token, so that the token is cut out of the answer.
func (s *Sender) fetchToken(ctx context.Context, w *wire, auth TokenAuth, a *Attempt) error {
	if s.tokens == nil {
		return unusable("the request needs a token that is fetched, and this gateway fetches none")
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout())
	defer cancel()
	token, err := s.tokens.Token(ctx, a.Tenant, auth)
	if err != nil {
		return err
	}
	fetched := *w.request
	fetched.Auth = connectors.Bearer(token)
	w.request = &fetched
	return w.secretHeader("Authorization", "Bearer ", token)
}
