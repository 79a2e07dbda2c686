package view

import (
	"encoding/json"

	"github.com/surveygate/surveygate/gateway/internal/source"
)

// CaptureAsk asks a source to keep the requests that it gets for a while.
type CaptureAsk struct {
	// For is how long, such as 1h, up to 24h; 0s ends it.
	For string `json:"for"`
}

// Capturing is until when a source keeps requests.
type Capturing struct {
	Source string `json:"source"`
	// CaptureUntil is null if it keeps none.
	CaptureUntil *Time `json:"capture_until"`
}

// SourceTest is a request to read as its source would read it from its platform.
type SourceTest struct {
	// Body is JSON as the platform sends it, or the text of a body that may be anything.
	Body json.RawMessage `json:"body"`
	// Headers and Query are those of the request. Content-Type is that of JSON without one.
	Headers map[string]string `json:"headers,omitempty"`
	Query   map[string]string `json:"query,omitempty"`
	// Token is the path token that the request ends with; absent: assume the right one.
	Token *string `json:"token,omitempty"`
}

// SourceTested is how a source reads a request.
type SourceTested struct {
	Profile string `json:"profile"`
	// Proved is whether the request would be accepted as the platform's; Checks are what its source checks, with the result of each.
	// An unverified source has no checks.
	Proved bool           `json:"proved"`
	Checks []source.Check `json:"checks"`
	// Status is that of the answer that the platform would get.
	Status int `json:"status"`
	// Error is why no event is made of the body.
	Error  string        `json:"error,omitempty"`
	Events []TestedEvent `json:"events"`
	// Unmapped are places of the body that no part of the profile makes anything of. Incomplete: the search for them took too long.
	Unmapped   []source.Unread `json:"unmapped"`
	Incomplete bool            `json:"unmapped_incomplete,omitempty"`
}

// TestedEvent is an event as it would be kept.
type TestedEvent struct {
	Type     string          `json:"type"`
	Envelope json.RawMessage `json:"envelope"`
	Warnings []string        `json:"warnings,omitempty"`
	// Unread are the places that the event itself lists as unread.
	Unread []string `json:"unread,omitempty"`
}
