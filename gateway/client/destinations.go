package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// What the API shows of destinations.
type (
	// Destination is a connection or a webhook: what is limited, paused and measured.
	Destination = view.Destination
	// Hold is why a destination is sent nothing now.
	Hold = view.Hold
	// FilePlace is a line of a file.
	FilePlace = view.FilePlace
)

// Destinations lists a tenant's connections and webhooks, by name.
func (c *Client) Destinations(ctx context.Context) ([]Destination, error) {
	var all []Destination
	query := url.Values{"limit": {"200"}}
	for {
		var page view.Page[Destination]
		if err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/destinations", Query: query, Into: &page}); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.Next == nil {
			return all, nil
		}
		query.Set("cursor", *page.Next)
	}
}

// Destination is one of them.
func (c *Client) Destination(ctx context.Context, name string) (*Destination, error) {
	return c.destination(ctx, http.MethodGet, name, "", nil)
}

// Pause keeps a destination from being sent anything until it is resumed. The reason is shown to whoever asks why.
func (c *Client) Pause(ctx context.Context, name, reason string) (*Destination, error) {
	query := url.Values{}
	if reason != "" {
		query.Set("reason", reason)
	}
	return c.destination(ctx, http.MethodPost, name, "/pause", query)
}

// Resume lifts whatever holds a destination.
func (c *Client) Resume(ctx context.Context, name string) (*Destination, error) {
	return c.destination(ctx, http.MethodPost, name, "/resume", nil)
}

func (c *Client) destination(ctx context.Context, method, name, verb string, query url.Values) (*Destination, error) {
	d := &Destination{}
	return d, c.Do(ctx, Call{Method: method, Path: "/v1/destinations/" + url.PathEscape(name) + verb, Query: query, Into: d})
}

// TestDestination sends a destination a test delivery, and answers it as it is before its first attempt. Email is whose record
// is written at products that keep people; without it those skip the delivery.
func (c *Client) TestDestination(ctx context.Context, name, email string) (*Delivery, error) {
	query := url.Values{}
	if email != "" {
		query.Set("email", email)
	}
	d := &Delivery{}
	return d, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/destinations/" + url.PathEscape(name) + "/test", Query: query, Into: d})
}
