package view

import (
	"encoding/json"

	"github.com/surveygate/surveygate/gateway/internal/audit"
)

// AuditLine is one change or act.
type AuditLine struct {
	At Time `json:"at"`
	// By is token:NAME, portal:ACTOR, import:OWNER, socket or gateway; IP the address that the request came from.
	By        string `json:"by"`
	IP        string `json:"ip,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// Did is what was done, KIND.VERB, such as webhook.update; Of is to what, KIND/NAME.
	Did string `json:"did"`
	Of  string `json:"of"`
	// Version is that of the document after the change.
	Version uint64 `json:"version,omitempty"`
	// Changed are the paths that differ; Before and After are the settings with masks in place of secrets, where they are not too
	// large.
	Changed []string        `json:"changed,omitempty"`
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
}

// NewAuditLine makes an AuditLine.
func NewAuditLine(l *audit.Line) AuditLine {
	return AuditLine{
		At: Time{l.At}, By: l.Name, IP: l.IP, RequestID: l.RequestID, Did: l.Did, Of: l.Of, Version: l.Version,
		Changed: l.Changed, Before: l.Before, After: l.After,
	}
}
