package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The answers of the API about events.
type (
	// Event is an event in a list.
	Event = view.Event
	// EventPage is one page of a list of events, newest first.
	EventPage = view.Page[view.Event]
	// EventRecord is one event in full, with its decision and its deliveries.
	EventRecord = view.Record
)

// Events lists events; the query is that of GET /v1/events.
func (c *Client) Events(ctx context.Context, query url.Values) (*EventPage, error) {
	page := &EventPage{}
	return page, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/events", Query: query, Into: page})
}

// Event returns one event in full. id and source are as for Explain.
func (c *Client) Event(ctx context.Context, id, source string) (*EventRecord, error) {
	query := url.Values{}
	if source != "" {
		query.Set("source", source)
	}
	e := &EventRecord{}
	return e, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/events/" + url.PathEscape(id), Query: query, Into: e})
}
