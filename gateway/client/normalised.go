package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// What became of events whose raw bodies were read again, or would.
type (
	// Normalised is one event's.
	Normalised = view.Normalised
	// NormalisedDelivery is a delivery that it makes, ends or leaves.
	NormalisedDelivery = view.NormalisedDelivery
	// NormalisedPage counts some events.
	NormalisedPage = view.NormalisedPage
)

// What an event can have become.
const (
	Revised   = view.Revised
	Unchanged = view.Unchanged
	Left      = view.Left
)

// Normalise has an event's raw body read again.
func (c *Client) Normalise(ctx context.Context, id string, query url.Values) (*Normalised, error) {
	query.Set("normalise", "true")
	res := &Normalised{}
	return res, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/events/" + url.PathEscape(id) + "/replay", Query: query, Into: res})
}

// NormaliseMany has a page of events read again; its Next is the next page's `cursor`.
func (c *Client) NormaliseMany(ctx context.Context, query url.Values) (*NormalisedPage, error) {
	query.Set("normalise", "true")
	page := &NormalisedPage{}
	return page, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/replays", Query: query, Into: page})
}
