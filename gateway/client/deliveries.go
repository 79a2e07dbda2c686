package client

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Delivery is one event owed to one step or webhook, as the API shows it.
type Delivery struct {
	ID          string    `json:"id"`
	Event       string    `json:"event"`
	Revision    int       `json:"revision,omitempty"` // of the event that owes it
	Tenant      string    `json:"tenant"`
	Kind        string    `json:"kind"`
	Rule        string    `json:"rule"`
	Step        string    `json:"step"`
	Destination string    `json:"destination"`
	Connector   string    `json:"connector"`
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Ref         string    `json:"ref,omitempty"` // the product's own id of what was written
	Attempts    int       `json:"attempts"`
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	Due         time.Time `json:"due,omitzero"`
	// Hint is what a person can do about a dead letter.
	Hint string `json:"hint,omitempty"`
	// Hold is why its destination is sent nothing now; nil where nothing holds it, and in lists.
	Hold *Hold     `json:"hold,omitempty"`
	Log  []Attempt `json:"log,omitempty"`
}

// Attempt is one request that was sent or could not connect, as the API shows it.
type Attempt struct {
	N        int       `json:"n"`
	At       time.Time `json:"at"`
	TookMS   float64   `json:"took_ms"`
	Verdict  string    `json:"verdict"`
	Status   int       `json:"status,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Sent     int       `json:"sent"`
	Received int       `json:"received"`
	Repeat   bool      `json:"repeat,omitempty"`
	Request  string    `json:"request,omitempty"`
	Response string    `json:"response,omitempty"`
}

// DeliveryPage is part of a list of deliveries, newest first.
type DeliveryPage struct {
	Data []Delivery `json:"data"`
	// Next goes on behind the last; nil at the end.
	Next *string `json:"next"`
	// SearchedBackTo is how far the search got within its budget; nil when it reached the end.
	SearchedBackTo *time.Time `json:"searched_back_to,omitempty"`
}

// DeadEvent is an event that will not be decided again by itself, as the API shows it.
type DeadEvent struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Source   string    `json:"source"`
	Tenant   string    `json:"tenant"`
	Received time.Time `json:"received"`
	Dead     string    `json:"dead"`
	// Entry is where it stood, of an entry of a stream that no event could be made of.
	Entry *StreamEntry `json:"entry,omitempty"`
}

// StreamEntry is an entry of a source's Redis stream.
type StreamEntry struct {
	Stream string `json:"stream"`
	ID     string `json:"id"`
}

// Kind is what sort of dead letter it is: event, or entry of a stream.
func (e *DeadEvent) Kind() string {
	if e.Entry != nil {
		return "entry"
	}
	return "event"
}

// DeadEvents lists the newest events, up to 200, that are themselves dead letters; more says that there are others.
func (c *Client) DeadEvents(ctx context.Context, limit int) (events []DeadEvent, more bool, err error) {
	var page struct {
		Data []DeadEvent `json:"data"`
		Next *string     `json:"next"`
	}
	err = c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/events", Query: url.Values{"dead": {"true"}, "limit": {strconv.Itoa(limit)}}, Into: &page})
	return page.Data, page.Next != nil, err
}

// Published is what became of one event.
type Published struct {
	ID     string `json:"id,omitempty"`
	Status string `json:"status"` // accepted, duplicate or invalid
	// Warnings are what did not fit and was left out.
	Warnings []string        `json:"warnings,omitempty"`
	Error    *PublishedFault `json:"error,omitempty"`
}

// PublishedFault is why an event is invalid.
type PublishedFault struct {
	Msg  string   `json:"msg"`
	Type string   `json:"type"`
	Loc  []string `json:"loc,omitempty"`
	// Line is where it stands in a body with one event to a line, from 1; 0 in any other.
	Line int `json:"line,omitempty"`
}

// Deliveries lists deliveries; the query is that of GET /v1/deliveries.
func (c *Client) Deliveries(ctx context.Context, query url.Values) (*DeliveryPage, error) {
	page := &DeliveryPage{}
	return page, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/deliveries", Query: query, Into: page})
}

// Delivery is one delivery with its attempts.
func (c *Client) Delivery(ctx context.Context, id string) (*Delivery, error) {
	d := &Delivery{}
	return d, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/deliveries/" + url.PathEscape(id), Into: d})
}

// contentType is what a body is: with a source it may be a form.
func contentType(source string, body []byte) string {
	text := strings.TrimLeft(string(body[:min(len(body), 256)]), " \t\r\n\uFEFF")
	switch {
	case source == "" || text == "" || strings.ContainsAny(text[:1], "{["):
		return "application/json"
	case strings.HasPrefix(text, "--"):
		boundary, _, _ := strings.Cut(text[2:], "\n")
		return mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": strings.TrimRight(boundary, "\r")})
	}
	return "application/x-www-form-urlencoded"
}

// Publish posts events: one, a JSON array or one per line; with a source, that platform's own body. The results are
// there, in order, also where the error says that none was accepted.
func (c *Client) Publish(ctx context.Context, source string, body []byte) ([]Published, error) {
	query := url.Values{}
	if source != "" {
		query.Set("source", source)
	}
	var answer struct {
		Results []Published `json:"results"`
	}
	err := c.Do(ctx, Call{
		Method: http.MethodPost, Path: "/v1/events", Query: query, Body: body, ContentType: contentType(source, body), Into: &answer,
	})
	if err == nil && len(answer.Results) == 0 {
		err = fmt.Errorf("%s: answered without a result", c.where)
	}
	return answer.Results, err
}
