package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The bodies and answers of erasures.
type (
	// Erasure is the erasing of a person, and how far it came.
	Erasure = view.Erasure
	// ErasureReceipt counts what was erased, or would be.
	ErasureReceipt = view.ErasureReceipt
	// ErasureRequest says who is erased.
	ErasureRequest = view.ErasureRequest
)

// CountErasure counts what an erasure would erase, and erases nothing.
func (c *Client) CountErasure(ctx context.Context, req ErasureRequest) (*ErasureReceipt, error) {
	req.DryRun = true
	would := &view.WouldErase{}
	return &would.Would, c.erase(ctx, req, would)
}

// BeginErasure begins an erasure, which goes on without the caller.
func (c *Client) BeginErasure(ctx context.Context, req ErasureRequest) (*Erasure, error) {
	req.DryRun = false
	e := &Erasure{}
	return e, c.erase(ctx, req, e)
}

func (c *Client) erase(ctx context.Context, req ErasureRequest, into any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	return c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/erasures", Body: body, ContentType: "application/json", Into: into})
}

// Erasure returns one erasure.
func (c *Client) Erasure(ctx context.Context, id string) (*Erasure, error) {
	e := &Erasure{}
	return e, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/erasures/" + url.PathEscape(id), Into: e})
}
