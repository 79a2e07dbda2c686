package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The bodies and answers of the API about its tokens.
type (
	// Token is a token of the API, without its secret.
	Token = view.Token
	// NewToken is what a token is made of.
	NewToken = view.NewToken
	// MadeToken is a new token with its secret.
	MadeToken = view.MadeToken
)

// Tokens lists the tokens of a tenant, by name.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return everything[Token](ctx, c, "/v1/tokens")
}

// CreateToken makes a token. The answer alone has its secret.
func (c *Client) CreateToken(ctx context.Context, asked NewToken) (*MadeToken, error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	made := &MadeToken{}
	return made, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/tokens", Body: body, ContentType: "application/json", Into: made})
}

// DeleteToken ends a token, and its sessions.
func (c *Client) DeleteToken(ctx context.Context, name string) error {
	return c.Do(ctx, Call{Method: http.MethodDelete, Path: "/v1/tokens/" + url.PathEscape(name)})
}
