package outbound

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// Tokens provides the access tokens of requests with connectors.OAuth2. It is safe for concurrent use.
type Tokens interface {
	// Token returns an access token that is valid now, and not r.Refused. The context ends with the request's timeout. An error
	// is an *Error whose Kind is the request's: Credentials only if the credentials themselves were refused, since that pauses
	// the destination. Any other error is retried, and its text is not shown.
	Token(ctx context.Context, r TokenRequest) (Token, error)
}

// TokenRequest names the credential whose access token a request needs.
type TokenRequest struct {
	// Tenant and Destination own the credential: the same Auth at two destinations is two credentials.
	Tenant, Destination string
	Auth                connectors.OAuth2
	// Refused is an access token that the product has refused; zero: none.
	Refused connectors.Secret
	// Send sends a request to the token endpoint, with the policy, the trust and the TLS settings of the destination. The answer
	// keeps its secrets. Send may be called after the request has ended that needed the token.
	Send func(ctx context.Context, req *connectors.Request) Result
}

// Token is an access token with what belongs to it.
type Token struct {
	Access connectors.Secret
	// Kept reports that the token was not fetched for this request, but for an earlier one.
	Kept bool
	// BaseURL is the address that relative URLs are relative to, as the token endpoint wrote it (`instance_url`); empty: none.
	BaseURL string
	// Others are further secrets of the exchange, such as refresh tokens. Like Access, they are cut out of answers.
	Others []connectors.Secret
}

// TokenTimeout bounds one request to a token endpoint.
const TokenTimeout = 10 * time.Second

// tokenBodyCap is how many bytes of a token endpoint's answer are read.
const tokenBodyCap = 64 << 10

// fetchToken gets the token of a request with OAuth2, and sets w.token.
func (s *Sender) fetchToken(ctx context.Context, w *wire, auth connectors.OAuth2, a *Attempt) error {
	if s.tokens == nil {
		return unusable("the request needs a token that is fetched, and this gateway fetches none")
	}
	of := Attempt{
		DeliveryID: "token", Timeout: TokenTimeout, Transport: Std, Trusted: a.Trusted, TLS: a.TLS,
		Tenant: a.Tenant, Destination: a.Destination, Keep: tokenBodyCap,
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout())
	defer cancel()
	begun := wall.Now()
	token, err := s.tokens.Token(ctx, TokenRequest{
		Tenant: a.Tenant, Destination: a.Destination, Auth: auth, Refused: a.RefusedToken,
		Send: func(ctx context.Context, req *connectors.Request) Result { return s.Send(ctx, req, of) },
	})
	w.tokenWait = wall.Now().Sub(begun)
	w.token = token
	return err
}

// isRelative reports whether a request's URL is relative to the address that its token names.
func isRelative(req *connectors.Request) bool { return strings.HasPrefix(req.URL, "/") }

// resolve returns the absolute form of a relative URL. The base is an origin and nothing else, so that it cannot change the
// request's path, query or credentials.
func (t Token) resolve(relative string) (string, error) {
	if t.BaseURL == "" {
		return "", unusable("the token endpoint named no address (instance_url), which the request's URL is relative to")
	}
	u, err := url.Parse(t.BaseURL)
	if err == nil {
		err = checkForm(u)
	}
	if err != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery {
		return "", &Error{Kind: Protocol, Reason: "the token endpoint named an address (instance_url) that is not of the form https://host"}
	}
	return u.Scheme + "://" + u.Host + relative, nil
}

// tokenTexts appends the secrets of an OAuth2 credential.
func tokenTexts(auth connectors.OAuth2, out []string) []string {
	for _, s := range []connectors.Secret{auth.ClientSecret, auth.RefreshToken, auth.PrivateKey.Secret} {
		out = append(out, s.Expose())
	}
	if !auth.ClientSecret.IsZero() {
		out = append(out, basic(auth.ClientID, auth.ClientSecret))
	}
	return out
}

// texts appends the secrets of a token.
func (t Token) texts(out []string) []string {
	if !t.Access.IsZero() {
		out = append(out, t.Access.Expose())
	}
	for _, s := range t.Others {
		if !s.IsZero() {
			out = append(out, s.Expose())
		}
	}
	return out
}
