package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Shapes of the API.
type (
	// Response is one response as it stands, with its events and the deliveries of all of them.
	Response = view.Response
	// Responses are the responses with one id.
	Responses = view.Responses
)

// Responses returns the responses with an id, the one that moved last first. Query may have `source` and `survey`.
func (c *Client) Responses(ctx context.Context, id string, query url.Values) (*Responses, error) {
	all := &Responses{}
	if err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/responses/" + url.PathEscape(id), Query: query, Into: all}); err != nil {
		return nil, err
	}
	return all, nil
}
