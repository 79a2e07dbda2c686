package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The bodies and answers of replays.
type (
	// Job is a replay, and how far it came.
	Job = view.Job
	// JobPage is one page of a list of replays, newest first.
	JobPage = view.Page[view.Job]
	// ReplayRequest says what is replayed, and how.
	ReplayRequest = view.ReplayRequest
	// ReplayOf selects what is replayed.
	ReplayOf = view.ReplayOf
	// ReplayCount counts what a replay selects.
	ReplayCount = view.ReplayCount
)

// CountReplay counts what a replay would select, and replays nothing.
func (c *Client) CountReplay(ctx context.Context, req ReplayRequest) (*ReplayCount, error) {
	req.DryRun = true
	would := &view.WouldReplay{}
	return &would.Would, c.replay(ctx, req, would)
}

// BeginReplay begins a replay, which goes on without the caller.
func (c *Client) BeginReplay(ctx context.Context, req ReplayRequest) (*Job, error) {
	req.DryRun = false
	j := &Job{}
	return j, c.replay(ctx, req, j)
}

func (c *Client) replay(ctx context.Context, req ReplayRequest, into any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	return c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/replays", Body: body, ContentType: "application/json", Into: into})
}

// Replays lists replays; the query is that of GET /v1/replays.
func (c *Client) Replays(ctx context.Context, query url.Values) (*JobPage, error) {
	page := &JobPage{}
	return page, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/replays", Query: query, Into: page})
}

// Replay returns one replay.
func (c *Client) Replay(ctx context.Context, id string) (*Job, error) {
	j := &Job{}
	return j, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/replays/" + url.PathEscape(id), Into: j})
}

// CancelReplay ends a replay. What it has scheduled ahead is still delivered.
func (c *Client) CancelReplay(ctx context.Context, id string) (*Job, error) {
	j := &Job{}
	return j, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/replays/" + url.PathEscape(id) + "/cancel", Into: j})
}
