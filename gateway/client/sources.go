package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The requests that a source kept, and the checks that it makes.
type (
	// RejectedRequest is a request that a source refused.
	RejectedRequest = view.Rejected
	// NotKept counts the requests that a source refused and did not keep.
	NotKept = view.NotKept
	// CapturedRequest is a request that was received while `capture` was on.
	CapturedRequest = view.Captured
	// KeptRequest has the fields that RejectedRequest and CapturedRequest share.
	KeptRequest = view.Request
	// SourceCheck is the result of one check of a request.
	SourceCheck = source.Check
)

// SourceInfo is a source of a running gateway.
type SourceInfo struct {
	view.Source
	// Last is when its newest kept event was received; zero if none is kept, and in a list of all tenants.
	Last view.Time `json:"last_event,omitzero"`
}

// Sources lists a tenant's sources, by name. With showSecrets their paths contain the path tokens, which needs the scope `secrets`.
func (c *Client) Sources(ctx context.Context, showSecrets bool) ([]SourceInfo, error) {
	var all []SourceInfo
	query := url.Values{"limit": {"200"}}
	if showSecrets {
		query.Set("show_secrets", "true")
	}
	for {
		var page view.Page[SourceInfo]
		if err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/sources", Query: query, Into: &page}); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.Next == nil {
			break
		}
		query.Set("cursor", *page.Next)
	}
	for i := range all {
		if c.tenant == "*" { // it would be a request for each
			break
		}
		var page view.Page[view.Event]
		newest := url.Values{"source": {all[i].Name}, "limit": {"1"}}
		if err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/events", Query: newest, Into: &page}); err != nil && !isStatus(err, http.StatusNotFound) { // it is not in use yet
			return nil, err
		}
		if len(page.Data) > 0 {
			all[i].Last = page.Data[0].Received
		}
	}
	return all, nil
}

// Rejected returns the requests that a source refused and kept, newest first. NotKept counts those that it did not keep; nil: it kept
// all.
func (c *Client) Rejected(ctx context.Context, name string) ([]RejectedRequest, *NotKept, error) {
	var page view.RejectedPage
	err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/sources/" + url.PathEscape(name) + "/rejected", Into: &page})
	return page.Data, page.NotKept, err
}

// Captured returns the requests that a source captured, newest first, and until when it captures; zero if it does not.
func (c *Client) Captured(ctx context.Context, name string) ([]CapturedRequest, time.Time, error) {
	var page view.CapturedPage
	err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/sources/" + url.PathEscape(name) + "/captured", Into: &page})
	return page.Data, page.CaptureUntil.Time, err
}

// The check of a request by a source of a running gateway.
type (
	// SourceTest is a request to read as its source would read it from its platform.
	SourceTest = view.SourceTest
	// SourceTested is how a source reads a request.
	SourceTested = view.SourceTested
)

// CaptureRequests lets a source keep its requests for a while; 0 ends that. It returns until when it keeps them; zero: it does not.
func (c *Client) CaptureRequests(ctx context.Context, name string, lasts time.Duration) (time.Time, error) {
	body, err := json.Marshal(view.CaptureAsk{For: lasts.String()})
	if err != nil {
		return time.Time{}, err
	}
	var now view.Capturing
	err = c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/sources/" + url.PathEscape(name) + "/capture", Body: body, ContentType: "application/json", Into: &now})
	if err != nil || now.CaptureUntil == nil {
		return time.Time{}, err
	}
	return now.CaptureUntil.Time, nil
}

// TestSource asks how a source would read a request. Nothing is kept.
func (c *Client) TestSource(ctx context.Context, name string, t SourceTest) (*SourceTested, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	tested := &SourceTested{}
	return tested, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/sources/" + url.PathEscape(name) + "/test", Body: body, ContentType: "application/json", Into: tested})
}
