package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The answers of the API about imports.
type (
	// Import is the plan of an import, and how much of it is done.
	Import = view.Import
	// ImportedItem is what an import does to one document.
	ImportedItem = view.ImportedItem
	// ChangedOwner is a change of a document's owner.
	ChangedOwner = view.ChangedOwner
)

// HowToImport says how documents are imported.
type HowToImport struct {
	// Owner becomes the owner of the documents. With Replace, documents of that owner that are not in the file are deleted.
	Owner   string
	Replace bool
	// Lock refuses changes by everybody but the owner.
	Lock bool
	// DryRun changes nothing: the answer is the plan.
	DryRun bool
}

// importWait is longer than the gateway works on an import and waits for the one before.
const importWait = 3 * time.Minute

// ExportSettings returns the documents of the tenant in YAML, with ${NAME} in place of secrets, or with sealed ones.
func (c *Client) ExportSettings(ctx context.Context, sealed bool) ([]byte, error) {
	var text []byte
	call := Call{Method: http.MethodGet, Path: "/v1/settings/export", Into: &text}
	if sealed {
		call.Query = url.Values{"sealed": {"true"}}
	}
	err := c.Do(ctx, call)
	return text, err
}

// ImportSettings makes the documents of a file.
func (c *Client) ImportSettings(ctx context.Context, settings *Draft, how HowToImport) (*Import, error) {
	query := url.Values{"mode": {"merge"}}
	if how.Replace {
		query.Set("mode", "replace")
	}
	if how.Owner != "" {
		query.Set("owner", how.Owner)
	}
	for name, set := range map[string]bool{"lock": how.Lock, "dry_run": how.DryRun} {
		if set {
			query.Set(name, "true")
		}
	}
	done := &Import{}
	return done, c.Do(ctx, Call{
		Method: http.MethodPost, Path: "/v1/settings/import", Query: query, Body: settings.JSON(), ContentType: "application/json", Wait: importWait, Into: done,
	})
}
