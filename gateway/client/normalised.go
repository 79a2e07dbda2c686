package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The outcomes of normalising raw bodies again, or of a dry run of that.
type (
	// Normalised is the outcome for one event.
	Normalised = view.Normalised
	// NormalisedDelivery is a delivery that normalising an event again makes, ends or keeps.
	NormalisedDelivery = view.NormalisedDelivery
	// NormalisedPage counts the outcomes for a page of events.
	NormalisedPage = view.NormalisedPage
)

// The values of Normalised.Status: the event has a new revision, has not changed, or could not be normalised again.
const (
	Revised   = view.Revised
	Unchanged = view.Unchanged
	Left      = view.Left
)

// Normalise normalises an event's raw body again. The query is that of POST /v1/events/ID/replay.
func (c *Client) Normalise(ctx context.Context, id string, query url.Values) (*Normalised, error) {
	query.Set("normalise", "true")
	res := &Normalised{}
	return res, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/events/" + url.PathEscape(id) + "/replay", Query: query, Into: res})
}

// NormaliseMany normalises a page of events again. The query is that of POST /v1/replays; the result's Next is the `cursor` of the
// next page.
func (c *Client) NormaliseMany(ctx context.Context, query url.Values) (*NormalisedPage, error) {
	query.Set("normalise", "true")
	page := &NormalisedPage{}
	return page, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/replays", Query: query, Into: page})
}
