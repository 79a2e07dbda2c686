package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/live"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The answers of the API about destinations.
type (
	// Destination is a connection or a webhook: the unit that is limited, paused and measured.
	Destination = view.Destination
	// Hold is the reason why nothing is sent to a destination now.
	Hold = view.Hold
	// CheckedConnection is the result of checking a connection.
	CheckedConnection = live.Connection
	// FilePlace is a file and a line in it.
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

// Destination returns a destination by name.
func (c *Client) Destination(ctx context.Context, name string) (*Destination, error) {
	return c.destination(ctx, http.MethodGet, name, "", nil)
}

// Pause puts a destination on hold until it is resumed: its deliveries wait. The reason is shown with the destination and its
// deliveries.
func (c *Client) Pause(ctx context.Context, name, reason string) (*Destination, error) {
	query := url.Values{}
	if reason != "" {
		query.Set("reason", reason)
	}
	return c.destination(ctx, http.MethodPost, name, "/pause", query)
}

// Resume lifts the hold of a destination, also one that the gateway put on.
func (c *Client) Resume(ctx context.Context, name string) (*Destination, error) {
	return c.destination(ctx, http.MethodPost, name, "/resume", nil)
}

func (c *Client) destination(ctx context.Context, method, name, verb string, query url.Values) (*Destination, error) {
	d := &Destination{}
	return d, c.Do(ctx, Call{Method: method, Path: "/v1/destinations/" + url.PathEscape(name) + verb, Query: query, Into: d})
}

// TestDestination sends a test delivery to a destination, and returns it as it is before its first attempt. email is the address of the
// respondent whose record is written, for products that keep records of people; if it is empty, those products skip the delivery.
func (c *Client) TestDestination(ctx context.Context, name, email string) (*Delivery, error) {
	query := url.Values{}
	if email != "" {
		query.Set("email", email)
	}
	d := &Delivery{}
	return d, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/destinations/" + url.PathEscape(name) + "/test", Query: query, Into: d})
}

// CheckConnection checks a connection of the running configuration with harmless requests to its product.
func (c *Client) CheckConnection(ctx context.Context, name string) (*CheckedConnection, error) {
	found := &CheckedConnection{}
	return found, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/connections/" + url.PathEscape(name) + "/check", Into: found})
}
