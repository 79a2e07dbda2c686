package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The answers of the API about the audit.
type (
	// AuditLine is one change or act.
	AuditLine = view.AuditLine
	// AuditPage is one page of the audit, newest first.
	AuditPage = view.Page[view.AuditLine]
)

// Audit lists who changed what; the query is that of GET /v1/audit.
func (c *Client) Audit(ctx context.Context, query url.Values) (*AuditPage, error) {
	page := &AuditPage{}
	return page, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/audit", Query: query, Into: page})
}
