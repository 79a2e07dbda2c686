package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// What a source kept of requests, and how a request stood to its checks.
type (
	// RejectedRequest is one that was refused.
	RejectedRequest = view.Rejected
	// NotKept counts those that were refused and not kept.
	NotKept = view.NotKept
	// CapturedRequest is one that came while `capture` lasted.
	CapturedRequest = view.Captured
	// KeptRequest is what both have in common.
	KeptRequest = view.Request
	// SourceCheck is one proof that a source asks for.
	SourceCheck = source.Check
)

// SourceInfo is a source of a running gateway.
type SourceInfo struct {
	view.Source
	// Last is when its newest event came; zero where none is kept.
	Last view.Time `json:"last_event,omitzero"`
}

// Sources lists a tenant's sources, by name. With showSecrets their paths are whole, which needs the scope `secrets`.
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
		var page view.Page[view.Event]
		newest := url.Values{"source": {all[i].Name}, "limit": {"1"}}
		if err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/events", Query: newest, Into: &page}); err != nil {
			return nil, err
		}
		if len(page.Data) > 0 {
			all[i].Last = page.Data[0].Received
		}
	}
	return all, nil
}

// Rejected lists what a source refused, newest first, and says how much of it was not kept; nil where all was.
func (c *Client) Rejected(ctx context.Context, name string) ([]RejectedRequest, *NotKept, error) {
	var page view.RejectedPage
	err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/sources/" + url.PathEscape(name) + "/rejected", Into: &page})
	return page.Data, page.NotKept, err
}

// Captured lists what a source captured, newest first, and says until when it does; zero where it does not.
func (c *Client) Captured(ctx context.Context, name string) ([]CapturedRequest, time.Time, error) {
	var page view.CapturedPage
	err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/sources/" + url.PathEscape(name) + "/captured", Into: &page})
	return page.Data, page.CaptureUntil.Time, err
}
