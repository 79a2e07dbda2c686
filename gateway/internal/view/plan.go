package view

// PlanRequest asks what a new configuration would change. Nothing is sent, stored or changed.
type PlanRequest struct {
	// Files are the YAML files of the configuration, each with its name without a folder, and Profiles the files of profiles that they
	// refer to, each with its path as they write it. Files with secrets are never read: ${NAME} and ${file:…} stand for themselves.
	Files    []PlanFile `json:"files"`
	Profiles []PlanFile `json:"profiles,omitempty"`
	// Since is how far back events are compared: a duration such as 7d, or a time; absent: 7d.
	Since string `json:"since,omitempty"`
	// Limit is how many events are compared at most, newest first: up to 1000000; absent: 100000. Tenants share them.
	Limit int `json:"limit,omitempty"`
}

// PlanFile is one file of a configuration.
type PlanFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// PlanProgress is how far a plan has come.
type PlanProgress struct {
	// Events is how many were compared, Back when the oldest of them was received, Tenant whose they are.
	Events int    `json:"events"`
	Back   Time   `json:"back,omitzero"`
	Tenant string `json:"tenant,omitempty"`
}

// Plan is what a new configuration would change.
type Plan struct {
	// Changes is whether anything differs: in the configuration, in what would be sent, or in what becomes of waiting deliveries.
	Changes bool `json:"changes"`
	// Since is from when on events were compared, Events how many, SearchedBackTo when the oldest was received or, where Stopped says that
	// not all were, since when all were. Only events of tenants that something changes for are compared.
	Since          Time `json:"since"`
	Events         int  `json:"events"`
	SearchedBackTo Time `json:"searched_back_to,omitzero"`
	// Stopped is why older events were not compared: events (Limit) or time; absent where all were.
	Stopped string `json:"stopped,omitempty"`
	// Deliveries counts those that would be sent: more, fewer, and with another request or elsewhere.
	Deliveries PlanCounts `json:"deliveries"`
	// Configuration are the differences by name.
	Configuration []PlanItem `json:"configuration"`
	// Sources are those whose events would be read differently, or no longer.
	Sources []PlanSource `json:"sources"`
	// Rules are the rules and webhooks that would send something else, Destinations where.
	Rules        []PlanRule        `json:"rules"`
	Destinations []PlanDestination `json:"destinations"`
	// Waiting are deliveries that wait now and of which something else would become. WaitingMore: there are more than were looked at.
	Waiting     []PlanWaiting `json:"waiting"`
	WaitingMore bool          `json:"waiting_more,omitempty"`
	// Notes say what was not compared.
	Notes []string `json:"notes,omitempty"`
}

// PlanCounts counts deliveries. A delivery is one step of one rule, or one webhook, for one event. `once` and guardrails are not looked at.
type PlanCounts struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
}

// PlanItem is something that the two configurations define differently.
type PlanItem struct {
	// Kind is source, connection, webhook, rule or token, or setting for what is of no tenant.
	Kind   string `json:"kind"`
	Tenant string `json:"tenant,omitempty"`
	Name   string `json:"name"`
	// Change is added, removed, changed, or recredentialed where the secrets alone differ. For a stored document it is its state with the
	// new files: active, disabled, broken or shadowed.
	Change string `json:"change"`
	// Settings are the paths of those that differ, Secrets of those with another secret. More: there are more.
	Settings []string `json:"settings,omitempty"`
	Secrets  []string `json:"secrets,omitempty"`
	More     int      `json:"more,omitempty"`
	// Stored: it is a stored document of the tenant, which the new files change. Why is the reason.
	Stored bool   `json:"stored,omitempty"`
	Why    string `json:"why,omitempty"`
}

// PlanSource counts the events of a source that would be read differently.
type PlanSource struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	// Lost are events that nothing would take in, because the source is gone or disabled; Unreadable those that could not be read.
	Lost       int           `json:"lost"`
	Unreadable []ReasonCount `json:"unreadable,omitempty"`
	// Reread are events with other contents, Fields which.
	Reread int           `json:"reread"`
	Fields []ReasonCount `json:"fields,omitempty"`
}

// PlanRule counts the deliveries of a rule or webhook.
type PlanRule struct {
	Kind string `json:"kind"`
	// Tenant is * for a rule of every tenant.
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	PlanCounts
	// Fields are what differs in requests: the most frequent.
	Fields []PlanField `json:"fields,omitempty"`
	// Outcomes are deliveries that would be skipped, rejected, wait or fail, and are not now, or the other way round.
	Outcomes []PlanOutcome `json:"outcomes,omitempty"`
	// Samples are up to three of each kind.
	Samples []PlanSample `json:"samples,omitempty"`
}

// PlanField is one value of requests that differs.
type PlanField struct {
	Step string `json:"step,omitempty"`
	// Path is method, url, header.NAME, body or body.PATH, destination or due.
	Path string `json:"path"`
	// Count is in how many requests it differs; Old and New are an example, which are absent where there is no such value.
	Count int     `json:"count,omitempty"`
	Old   *string `json:"old,omitempty"`
	New   *string `json:"new,omitempty"`
}

// PlanOutcome counts deliveries that end differently.
type PlanOutcome struct {
	// From and To are sent, skipped, rejected, waits, failed, or nothing where the delivery is not owed.
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// PlanSample is one delivery that changes.
type PlanSample struct {
	// Change is added, removed or changed.
	Change string `json:"change"`
	Event  string `json:"event"`
	Tenant string `json:"tenant"`
	Step   string `json:"step"`
	// Why is why the rule matches with the new configuration or does not, Parts the parts of its condition.
	Why   string          `json:"why,omitempty"`
	Parts []ConditionPart `json:"parts,omitempty"`
	// Fields are what differs in the request.
	Fields []PlanField `json:"fields,omitempty"`
}

// PlanDestination counts the deliveries to a destination.
type PlanDestination struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	PlanCounts
}

// PlanWaiting counts waiting deliveries of one step.
type PlanWaiting struct {
	Tenant      string `json:"tenant"`
	Destination string `json:"destination"`
	Kind        string `json:"kind"`
	Rule        string `json:"rule"`
	Step        string `json:"step"`
	// Becomes is what would become of them, such as `no longer configured`.
	Becomes string `json:"becomes"`
	Count   int    `json:"count"`
}
