package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/explain"
)

// Explanation is everything that is known of one event's way; Text prints it for a person.
type Explanation = explain.Explanation

// Explain asks a running gateway why an event arrived where it did, and why not elsewhere. The id is the event's, or
// the one it was published with; then source says through which, where it was not our API or one that is configured.
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
