package view

import (
	"time"

	"github.com/surveygate/surveygate/gateway/internal/access"
)

// Token is a token of the API, without its secret.
type Token struct {
	Name   string   `json:"name"`
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
	// Sources are those that it may publish as; absent where it may not publish.
	Sources []string `json:"sources,omitempty"`
	// Provenance is file, first (the token of the first start) or api.
	Provenance string `json:"provenance"`
	// Expires is when it ends to count; absent: never.
	Expires Time `json:"expires,omitzero"`
	// Expired: it counts no longer.
	Expired bool     `json:"expired,omitempty"`
	Created *Written `json:"created,omitempty"`
	// LastUsed is the day on which it was last used, as 2026-01-02; absent for tokens of files, and for those not used yet.
	LastUsed string `json:"last_used,omitempty"`
}

// NewToken is what a token is made of.
type NewToken struct {
	Name string `json:"name"`
	// Scopes are some of the caller's own.
	Scopes []string `json:"scopes"`
	// Sources are those that it may publish as; without any it is `api` alone.
	Sources []string `json:"sources,omitempty"`
	// Expires is how long it counts, as 90d or 12h, or until when, as 2027-01-02T03:04:05Z; without it, it never ends.
	Expires string `json:"expires,omitempty"`
}

// MadeToken is a new token with its secret, which is shown this once.
type MadeToken struct {
	Token
	Secret string `json:"secret"`
}

// NewTokenOf makes the view of a token of a file or of the first start.
func NewTokenOf(g *access.Grant, provenance string) Token {
	v := Token{Name: g.Name, Tenant: g.Tenant, Scopes: g.Scopes.Names(), Provenance: provenance}
	if g.May(access.Publish) {
		v.Sources = g.PublishesAs()
	}
	return v
}

// NewStored makes the view of a token in the store.
func NewStored(t *access.Token, lastUsed, now time.Time) Token {
	v := NewTokenOf(t.Grant(), access.ByAPI)
	v.Created = &Written{Time{t.Created}, t.By}
	v.Expires = Time{t.Expires}
	v.Expired = !t.Expires.IsZero() && !now.Before(t.Expires)
	if !lastUsed.IsZero() {
		v.LastUsed = lastUsed.Format(time.DateOnly)
	}
	return v
}
