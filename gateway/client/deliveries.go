package client

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The answers of the API about events and deliveries.
type (
	// Delivery is one event owed to one destination by one step or webhook, with its attempts if it was read by its id.
	Delivery = view.Delivery
	// Attempt is one attempt to send a delivery.
	Attempt = view.Attempt
	// DeliveryPage is one page of a list of deliveries, newest first.
	DeliveryPage = view.Page[view.Delivery]
	// DeadEvent is an event that is itself a dead letter; its field Dead is the reason.
	DeadEvent = view.Event
	// StreamEntry is an entry of a source's Redis stream.
	StreamEntry = view.StreamEntry
	// Published is the result of publishing one event.
	Published = view.Result
	// PublishedFault is why a published event is invalid.
	PublishedFault = view.ResultError
	// Time is a time in the format of the API.
	Time = view.Time
)

// DeadEvents lists the newest events, up to 200, that are themselves dead letters; more says that there are others.
func (c *Client) DeadEvents(ctx context.Context, limit int) (events []DeadEvent, more bool, err error) {
	var page view.Page[view.Event]
	err = c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/events", Query: url.Values{"dead": {"true"}, "limit": {strconv.Itoa(limit)}}, Into: &page})
	return page.Data, page.Next != nil, err
}

// Deliveries lists deliveries; the query is that of GET /v1/deliveries.
func (c *Client) Deliveries(ctx context.Context, query url.Values) (*DeliveryPage, error) {
	page := &DeliveryPage{}
	return page, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/deliveries", Query: query, Into: page})
}

// Delivery returns one delivery with its attempts.
func (c *Client) Delivery(ctx context.Context, id string) (*Delivery, error) {
	d := &Delivery{}
	return d, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/deliveries/" + url.PathEscape(id), Into: d})
}

// contentType returns the content type of a body; with a source it may be a form.
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
	var answer view.Results
	err := c.Do(ctx, Call{
		Method: http.MethodPost, Path: "/v1/events", Query: query, Body: body, ContentType: contentType(source, body), Into: &answer,
	})
	if err == nil && len(answer.Results) == 0 {
		err = fmt.Errorf("%s: answered without a result", c.where)
	}
	return answer.Results, err
}
