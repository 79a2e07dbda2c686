package view

// Health is how a tenant stands, or with `tenant=*` the whole gateway. The counts of 24 hours are the tenant's.
type Health struct {
	Tenant string `json:"tenant"`
	// Events24h are the events that its sources accepted in the last 24 hours, Attempts24h the attempts of its deliveries; absent for
	// the whole gateway, as are the rates.
	Events24h   *int64 `json:"events_24h,omitempty"`
	Attempts24h *int64 `json:"attempts_24h,omitempty"`
	// OverLimit24h are the events that exceeded `events_per_minute` of the plan in the last 24 hours; absent without such a limit.
	OverLimit24h *int64 `json:"over_limit_24h,omitempty"`
	// SuccessRate is that of the attempts, DeliverySuccess that of the deliveries that ended; absent without any.
	SuccessRate     *float64 `json:"success_rate,omitempty"`
	DeliverySuccess *float64 `json:"delivery_success,omitempty"`
	// Waiting counts deliveries that will be tried, OldestWaitingS is the age of the oldest in seconds, Dead counts dead letters.
	Waiting        int64   `json:"waiting"`
	OldestWaitingS float64 `json:"oldest_waiting_s"`
	Dead           int64   `json:"dead"`
	// Holds are its destinations on hold, at most 100; OnHold is how many there are.
	Holds  []HealthHold `json:"holds"`
	OnHold int          `json:"on_hold"`
	// Documents counts its documents by state; broken and shadowed ones are not in use.
	Documents HealthDocuments `json:"documents"`
	// Warnings are those of readiness, for `tenant=*`; of one tenant, that more of its documents are asked about an event than new ones
	// may be.
	Warnings []string `json:"warnings,omitempty"`
}

// HealthHold is a destination on hold.
type HealthHold struct {
	// Tenant is there with `tenant=*`.
	Tenant      string `json:"tenant,omitempty"`
	Destination string `json:"destination"`
	// Kind is circuit, rate, revoked, gone or paused.
	Kind    string `json:"kind"`
	Reason  string `json:"reason,omitempty"`
	Since   Time   `json:"since,omitzero"`
	Until   Time   `json:"until,omitzero"`
	Waiting int    `json:"waiting"`
}

// HealthDocuments counts documents by state.
type HealthDocuments struct {
	Active   int `json:"active"`
	Disabled int `json:"disabled"`
	Broken   int `json:"broken"`
	Shadowed int `json:"shadowed"`
}

// Tick is the data of the signal `tick`: how a tenant stands now.
type Tick struct {
	Waiting int64 `json:"waiting"`
	// OldestS is the age of the oldest waiting delivery in seconds.
	OldestS int64 `json:"oldest_s"`
	Dead    int64 `json:"dead"`
	// Rev is the version of its newest document in use; 0 without any.
	Rev uint64 `json:"rev"`
}

// HoldSignal is the data of the signal `hold`: a destination was put on hold, or with an empty kind serves again.
type HoldSignal struct {
	// Tenant is there with `tenant=*`.
	Tenant      string `json:"tenant,omitempty"`
	Destination string `json:"destination"`
	Kind        string `json:"kind"`
}

// SettingsSignal is the data of the signal `settings`: a document was written, or with version 0 deleted.
type SettingsSignal struct {
	// Tenant is there with `tenant=*`.
	Tenant  string `json:"tenant,omitempty"`
	Of      string `json:"of"`
	Version uint64 `json:"version"`
}
