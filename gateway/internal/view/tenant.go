package view

import (
	"maps"

	"github.com/surveygate/surveygate/gateway/internal/access"
)

// TenantSpec is what an operator says of a tenant: the body of PUT, and of PATCH as a merge patch.
type TenantSpec struct {
	Title string `json:"title,omitempty"`
	// Limits are those of its plan; an absent one is the operator's.
	Limits access.Limits `json:"limits,omitzero"`
	// Metadata are the operator's own notes.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Tenant is a tenant.
type Tenant struct {
	ID string `json:"id"`
	// Version is that of its record, and its ETag; absent where it has none.
	Version uint64 `json:"version,omitempty"`
	// Provenance is file (a file names it), api (it has a record, a document or a token), or store (only its events are there).
	Provenance string            `json:"provenance"`
	Title      string            `json:"title"`
	Limits     access.Limits     `json:"limits"`
	Metadata   map[string]string `json:"metadata"`
	// Allowed are the limits that apply: its own, or the operator's. An absent one is no limit.
	Allowed access.Limits `json:"allowed"`
	Created *Written      `json:"created,omitempty"`
	Updated *Written      `json:"updated,omitempty"`
	// Uses is how much it has, where one tenant was asked for.
	Uses *TenantUses `json:"uses,omitempty"`
	// Standing is how it stands against its plan, where one tenant was asked for.
	Standing *TenantStanding `json:"standing,omitempty"`
	// Would is what the change would do: create, update or nothing. It is there with `dry_run=true`.
	Would string `json:"would,omitempty"`
}

// TenantStanding is how a tenant stands against `events_per_minute` of its plan. Events of all ways count: publishing is refused above the
// plan, and what platforms send to `/in/SOURCE` and streams is accepted. The last ten seconds may be missing.
type TenantStanding struct {
	// EventsThisMinute is how many events were accepted since the minute began.
	EventsThisMinute int64 `json:"events_this_minute"`
	// OverLimit1h and OverLimit24h are how many exceeded the plan of today in the minutes of the last hour and of the last day; 0 without
	// a limit.
	OverLimit1h  int64 `json:"over_limit_1h"`
	OverLimit24h int64 `json:"over_limit_24h"`
}

// TenantUses is how much a tenant has of what is limited. What files define does not count.
type TenantUses struct {
	Webhooks    int `json:"webhooks"`
	Connections int `json:"connections"`
	Sources     int `json:"sources"`
	Rules       int `json:"rules"`
	Tokens      int `json:"tokens"`
}

// NewTenant makes the view of a tenant; record is nil where it has none.
func NewTenant(id, provenance string, record *access.Tenant, allowed access.Limits) Tenant {
	v := Tenant{ID: id, Provenance: provenance, Metadata: map[string]string{}, Allowed: allowed}
	if record == nil {
		return v
	}
	v.Version, v.Title, v.Limits = record.Version, record.Title, record.Limits
	maps.Copy(v.Metadata, record.Metadata)
	v.Created, v.Updated = &Written{Time{record.Created}, record.CreatedBy}, &Written{Time{record.Updated}, record.UpdatedBy}
	return v
}
