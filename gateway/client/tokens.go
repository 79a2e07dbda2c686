package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The answers of the API about sealed secrets.
type (
	// StoredToken says that a refresh token was stored.
	StoredToken = view.StoredToken
	// Resealed is the result of sealing anew what is sealed with older keys.
	Resealed = view.Resealed
)

// StoreToken stores the first refresh token of a connection, from which the gateway fetches access tokens from now on.
func (c *Client) StoreToken(ctx context.Context, connection string, refreshToken connectors.Secret) (*StoredToken, error) {
	body, err := json.Marshal(map[string]string{"refresh_token": refreshToken.Expose()})
	if err != nil {
		return nil, err
	}
	stored := &StoredToken{}
	return stored, c.Do(ctx, Call{
		Method: http.MethodPut, Path: "/v1/connections/" + url.PathEscape(connection) + "/token",
		Body: body, ContentType: "application/json", Into: stored,
	})
}

// Reseal seals with the current key what is sealed with an older one. It works over the control socket only.
func (c *Client) Reseal(ctx context.Context) (*Resealed, error) {
	r := &Resealed{}
	return r, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/vault/reseal", Into: r})
}
