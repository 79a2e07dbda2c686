package view

import "github.com/surveygate/surveygate/gateway/internal/access"

// Me is who asks, and what that is allowed: for pages, which have no other way to know, and for programs that check their token.
type Me struct {
	// By is as in the audit: `token:NAME`, `portal:ACTOR` or `socket`.
	By string `json:"by"`
	// Kind is token, portal or socket; Name is that of the token, or who uses the portal link.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Tenant is `*` for every tenant. Title is the tenant's, or with `*` that of the tenant which the request named.
	Tenant string `json:"tenant"`
	Title  string `json:"title,omitempty"`
	// Scopes are empty in a session of a portal link, which has Capabilities.
	Scopes       []string `json:"scopes"`
	Capabilities []string `json:"capabilities,omitempty"`
	// Sources are those that it may publish as; absent where it may not publish.
	Sources []string `json:"sources,omitempty"`
	// Session: it asked by the cookie of a session.
	Session bool `json:"session,omitempty"`
	// Expires is when the session ends, or the token; absent: never.
	Expires Time `json:"expires,omitzero"`
	// Link is the portal link of the session.
	Link *MeLink `json:"link,omitempty"`
	// Version is the gateway's.
	Version string `json:"version"`
	// PublicURL is the gateway's address, where the configuration has it.
	PublicURL string `json:"public_url,omitempty"`
}

// The kinds of callers.
const (
	ByToken  = "token"
	ByPortal = "portal"
	BySocket = "socket"
)

// MeLink is the portal link of a session, as far as pages show it.
type MeLink struct {
	ID string `json:"id"`
	// Theme is auto, light or dark.
	Theme string `json:"theme"`
	// Accent is a colour as #2b6cb0.
	Accent string `json:"accent,omitempty"`
	// Name stands in the head of the portal, Logo beside it: a data URL of an image.
	Name string `json:"name,omitempty"`
	Logo string `json:"logo,omitempty"`
	// Title is the tenant's.
	Title string `json:"title,omitempty"`
	// Origin is the page that shows the portal in a frame.
	Origin string `json:"origin,omitempty"`
	// RefreshURL is where the browser gets another link when this one has ended.
	RefreshURL string `json:"refresh_url,omitempty"`
	// At is the page of the portal that the link opens.
	At string `json:"at,omitempty"`
}

// NewMe makes the view of a caller, without its title and link.
func NewMe(g *access.Grant) Me {
	v := Me{By: g.By(), Kind: ByToken, Name: g.Name, Tenant: g.Tenant, Scopes: g.Scopes.Names(), Expires: Time{g.Expires}}
	switch {
	case g == access.Socket:
		v.Kind = BySocket
	case g.Capabilities != nil:
		v.Kind, v.Name = ByPortal, g.Actor
		for _, c := range g.Capabilities {
			v.Capabilities = append(v.Capabilities, string(c))
		}
	}
	if g.May(access.Publish) {
		v.Sources = g.PublishesAs()
	}
	return v
}

// NewMeLink makes the view of the link of a session.
func NewMeLink(l *access.Link, title string) *MeLink {
	v := &MeLink{ID: l.ID, Theme: l.Theme, Accent: l.Accent, Name: l.Name, Logo: l.Logo, Title: title, Origin: l.Origin, RefreshURL: l.RefreshURL, At: l.At}
	if v.Theme == "" {
		v.Theme = "auto"
	}
	return v
}
