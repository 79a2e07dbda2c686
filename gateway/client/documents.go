package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Kind is a kind of settings of a tenant.
type Kind string

// The kinds.
const (
	WebhookKind    Kind = "webhook"
	ConnectionKind Kind = "connection"
	SourceKind     Kind = "source"
	RuleKind       Kind = "rule"
)

// Kinds are all kinds.
var Kinds = []Kind{WebhookKind, ConnectionKind, SourceKind, RuleKind}

func (k Kind) path(name string) string {
	path := "/v1/" + string(k) + "s"
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	return path
}

// Document is a webhook, a connection, a source or a rule: of a file, or written by API. Fields that its kind does not have are zero.
type Document struct {
	view.Setting
	Product string `json:"product"`
	// URL, Events and When are of webhooks; rules have the last two.
	URL    string   `json:"url"`
	Events []string `json:"events"`
	When   string   `json:"when"`
	// Profile, Path and URLs are of sources.
	Profile string   `json:"profile"`
	Path    string   `json:"path"`
	URLs    []string `json:"urls"`
	// Send is of rules.
	Send []view.Step `json:"send"`

	raw json.RawMessage
}

// UnmarshalJSON keeps the answer beside its fields.
func (d *Document) UnmarshalJSON(text []byte) error {
	type plain Document
	if err := json.Unmarshal(text, (*plain)(d)); err != nil {
		return err
	}
	d.raw = append(json.RawMessage{}, text...)
	return nil
}

// MarshalJSON returns the answer of the API as it was.
func (d *Document) MarshalJSON() ([]byte, error) { return d.raw, nil }

// The answers of the API about documents.
type (
	// DeletedDocument is the answer to a deletion.
	DeletedDocument = view.Deleted
	// SettingProblem is a fault of a document, or a warning about it.
	SettingProblem = view.SettingProblem
	// WebhookSecret is a secret that a webhook signs with.
	WebhookSecret = view.WebhookSecret
)

// Condition says how a document is changed.
type Condition struct {
	// Version is the version that it must have; 0 is any.
	Version uint64
	// DryRun changes nothing.
	DryRun bool
}

// call completes a call that changes a document.
func (c Condition) call(call Call) Call {
	if c.Version > 0 {
		call.Header = map[string]string{"If-Match": `"` + strconv.FormatUint(c.Version, 10) + `"`}
	}
	if c.DryRun {
		call.Query = url.Values{"dry_run": {"true"}}
	}
	return call
}

// everything reads a list to its end.
func everything[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	all := []T{}
	query := url.Values{"limit": {"200"}}
	for {
		var page view.Page[T]
		if err := c.Do(ctx, Call{Method: http.MethodGet, Path: path, Query: query, Into: &page}); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.Next == nil {
			return all, nil
		}
		query.Set("cursor", *page.Next)
	}
}

// Documents lists what files and documents define of a kind, by name.
func (c *Client) Documents(ctx context.Context, kind Kind) ([]*Document, error) {
	return everything[*Document](ctx, c, kind.path(""))
}

// Document returns one.
func (c *Client) Document(ctx context.Context, kind Kind, name string) (*Document, error) {
	d := &Document{}
	return d, c.Do(ctx, Call{Method: http.MethodGet, Path: kind.path(name), Into: d})
}

// PutDocument makes a document, or replaces its settings, which are JSON or YAML. isNew reports whether there was none.
func (c *Client) PutDocument(ctx context.Context, kind Kind, name string, settings []byte, on Condition) (d *Document, isNew bool, err error) {
	d = &Document{}
	status := 0
	err = c.Do(ctx, on.call(Call{Method: http.MethodPut, Path: kind.path(name), Body: settings, ContentType: "application/json", Status: &status, Into: d}))
	return d, status == http.StatusCreated, err
}

// EnableDocument switches a document on or off; no other setting changes.
func (c *Client) EnableDocument(ctx context.Context, kind Kind, name string, enabled bool, on Condition) (*Document, error) {
	d := &Document{}
	call := Call{Method: http.MethodPatch, Path: kind.path(name), Body: fmt.Appendf(nil, `{"enabled": %t}`, enabled), ContentType: "application/merge-patch+json", Into: d}
	if kind == RuleKind || kind == WebhookKind {
		verb := map[bool]string{true: "/enable", false: "/disable"}[enabled]
		call = Call{Method: http.MethodPost, Path: kind.path(name) + verb, Into: d}
	}
	return d, c.Do(ctx, on.call(call))
}

// DeleteDocument deletes a document. Deliveries that wait for a destination become dead letters.
func (c *Client) DeleteDocument(ctx context.Context, kind Kind, name string, on Condition) (*DeletedDocument, error) {
	d := &DeletedDocument{}
	return d, c.Do(ctx, on.call(Call{Method: http.MethodDelete, Path: kind.path(name), Into: d}))
}

// WebhookSecrets lists the secrets of a webhook, without their values.
func (c *Client) WebhookSecrets(ctx context.Context, name string) ([]WebhookSecret, error) {
	var page view.Page[WebhookSecret]
	err := c.Do(ctx, Call{Method: http.MethodGet, Path: WebhookKind.path(name) + "/secrets", Into: &page})
	return page.Data, err
}

// RotateWebhookSecret makes another secret, whose value the answer alone has. The former one ends after overlap; empty is 24h.
func (c *Client) RotateWebhookSecret(ctx context.Context, name, overlap string) (*WebhookSecret, error) {
	body, err := json.Marshal(view.NewWebhookSecret{Overlap: overlap})
	if err != nil {
		return nil, err
	}
	s := &WebhookSecret{}
	return s, c.Do(ctx, Call{Method: http.MethodPost, Path: WebhookKind.path(name) + "/secrets", Body: body, ContentType: "application/json", Into: s})
}

// DeleteWebhookSecret ends a secret now, and returns those that are left.
func (c *Client) DeleteWebhookSecret(ctx context.Context, name, id string) ([]WebhookSecret, error) {
	var page view.Page[WebhookSecret]
	err := c.Do(ctx, Call{Method: http.MethodDelete, Path: WebhookKind.path(name) + "/secrets/" + url.PathEscape(id), Into: &page})
	return page.Data, err
}

// isStatus reports whether the API answered with a status.
func isStatus(err error, status int) bool {
	refused, ok := errors.AsType[*APIError](err)
	return ok && refused.Status == status
}
