package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// What a source kept of requests, and how a request stood to its checks.
type (
	// RejectedRequest is one that was refused.
	RejectedRequest = intake.Rejected
	// NotKept counts those that were refused and not kept.
	NotKept = intake.NotKept
	// CapturedRequest is one that came while `capture` lasted.
	CapturedRequest = intake.Captured
	// KeptRequest is what both have in common.
	KeptRequest = intake.Request
	// SourceCheck is one proof that a source asks for.
	SourceCheck = source.Check
)

// SourceInfo is a source of a running gateway.
type SourceInfo struct {
	Name    string `json:"name"`
	Tenant  string `json:"tenant"`
	Enabled bool   `json:"enabled"`
	Profile string `json:"profile"`
	// Path is where its platform sends to, with [secret] for its token unless that was asked for; Stream the Redis stream
	// it reads instead.
	Path   string `json:"path,omitempty"`
	Stream string `json:"redis_stream,omitempty"`
	// Last is when its newest event came; zero where none is kept.
	Last time.Time `json:"last_event,omitzero"`
}

// Sources lists a tenant's sources, by name. With showSecrets their paths are whole, which needs the scope `secrets`.
func (c *Client) Sources(ctx context.Context, showSecrets bool) ([]SourceInfo, error) {
	var all []SourceInfo
	query := url.Values{"limit": {"200"}}
	if showSecrets {
		query.Set("show_secrets", "true")
	}
	for {
		var page struct {
			Data []SourceInfo `json:"data"`
			Next *string      `json:"next"`
		}
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
		var page struct {
			Data []struct {
				Received time.Time `json:"received"`
			} `json:"data"`
		}
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
	var page struct {
		Data    []RejectedRequest `json:"data"`
		NotKept *NotKept          `json:"not_kept"`
	}
	err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/sources/" + url.PathEscape(name) + "/rejected", Into: &page})
	return page.Data, page.NotKept, err
}

// Captured lists what a source captured, newest first, and says until when it does; zero where it does not.
func (c *Client) Captured(ctx context.Context, name string) ([]CapturedRequest, time.Time, error) {
	var page struct {
		Data  []CapturedRequest `json:"data"`
		Until time.Time         `json:"capture_until"`
	}
	err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/sources/" + url.PathEscape(name) + "/captured", Into: &page})
	return page.Data, page.Until, err
}
