package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/explain"
)

// Explanation describes how one event was handled; Text prints it for a person.
type Explanation = explain.Explanation

// Explain returns why an event was delivered to some destinations and not to others. id is the event's id, or the one that it was
// published with. In the second case source names its source, unless that is the gateway's API or a configured source.
func (c *Client) Explain(ctx context.Context, id, source string) (*Explanation, error) {
	x := &Explanation{}
	query := url.Values{}
	if source != "" {
		query.Set("source", source)
	}
	if err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/events/" + url.PathEscape(id) + "/explain", Query: query, Into: x}); err != nil {
		return nil, err
	}
	return x, nil
}
