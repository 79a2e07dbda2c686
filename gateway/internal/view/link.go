package view

import (
	"github.com/surveygate/surveygate/gateway/internal/access"
)

// NewPortalLink is what a portal link is made of.
type NewPortalLink struct {
	// OpensWithin is how long the link can be opened, 5m without it; Session how long the session lasts, 8h without it.
	OpensWithin string `json:"opens_within,omitempty"`
	Session     string `json:"session,omitempty"`
	// Actor is who will use it, for the audit.
	Actor string `json:"actor,omitempty"`
	// Capabilities are webhooks, connections, rules, deliveries, replay and bodies.
	Capabilities []string `json:"capabilities"`
	// Origin is the page that will show the portal in a frame: one of `portal.origins` in the configuration.
	Origin string `json:"origin,omitempty"`
	// RefreshURL is where a browser is sent whose link has ended, with the parameter `tenant`.
	RefreshURL string `json:"refresh_url,omitempty"`
	// Theme is auto, light or dark; Accent a colour as #2b6cb0.
	Theme  string `json:"theme,omitempty"`
	Accent string `json:"accent,omitempty"`
	// Name stands in the head of the portal, the tenant's title without it. Logo stands beside it: a PNG, JPEG or WebP image of at most
	// 16 KiB as a data URL.
	Name string `json:"name,omitempty"`
	Logo string `json:"logo,omitempty"`
	// At is the page of the portal that opens, as /webhooks.
	At string `json:"at,omitempty"`
}

// PortalLink is a portal link.
type PortalLink struct {
	ID           string   `json:"id"`
	Tenant       string   `json:"tenant"`
	Actor        string   `json:"actor"`
	Capabilities []string `json:"capabilities"`
	Origin       string   `json:"origin,omitempty"`
	// Expires is until when it can be opened or, once opened, when its session ends.
	Expires Time    `json:"expires"`
	Opened  Time    `json:"opened,omitzero"`
	Created Written `json:"created"`
}

// MadePortalLink is a new link with its URL, which opens it once and is shown this once.
type MadePortalLink struct {
	PortalLink
	URL string `json:"url"`
}

// NewLink makes the view of a portal link.
func NewLink(l *access.Link) PortalLink {
	v := PortalLink{
		ID: l.ID, Tenant: l.Tenant, Actor: l.Actor, Capabilities: []string{}, Origin: l.Origin,
		Expires: Time{l.Ends()}, Opened: Time{l.Opened}, Created: Written{Time{l.Created}, l.By},
	}
	for _, c := range l.Capabilities {
		v.Capabilities = append(v.Capabilities, string(c))
	}
	return v
}
