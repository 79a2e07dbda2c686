package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Destination is a connection or a webhook, as the API shows it.
type Destination struct {
	Name    string `json:"name"`
	Tenant  string `json:"tenant"`
	Product string `json:"product"`
	// State is serving, disabled, or the kind of its hold: paused, revoked, gone, circuit, rate.
	State       string   `json:"state"`
	Enabled     bool     `json:"enabled"`
	Timeout     string   `json:"timeout"`
	Retry       []string `json:"retry"`
	Concurrency int      `json:"concurrency"`
	Rate        string   `json:"rate,omitempty"`
	// Waiting is how much is owed and not finished; OldestWaiting is zero where nothing is.
	Waiting       int       `json:"waiting"`
	OldestWaiting time.Time `json:"oldest_waiting,omitzero"`
	// Hold is why it is sent nothing now; nil where nothing holds it.
	Hold *Hold `json:"hold,omitempty"`
	// At is where it is defined.
	At *FilePlace `json:"defined_in,omitempty"`
}

// Hold is why a destination is sent nothing now.
type Hold struct {
	Kind   string    `json:"kind"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	// Hint is what lifts it.
	Hint string `json:"hint,omitempty"`
}

// FilePlace is a line of a file.
type FilePlace struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// Destinations lists a tenant's connections and webhooks, by name.
func (c *Client) Destinations(ctx context.Context) ([]Destination, error) {
	var all []Destination
	query := url.Values{"limit": {"200"}}
	for {
		var page struct {
			Data []Destination `json:"data"`
			Next *string       `json:"next"`
		}
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
