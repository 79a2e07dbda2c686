package view

import (
	"time"

	"github.com/surveygate/surveygate/gateway/internal/job"
)

// Job is work that takes longer than a request: a replay or a drop of many deliveries, the deletion of a tenant.
type Job struct {
	ID string `json:"id"`
	// Kind is replay, drop or tenant_deletion.
	Kind   string `json:"kind"`
	Tenant string `json:"tenant"`
	// State is queued, running, done, failed or cancelled.
	State string `json:"state"`
	// Of, As and Rate are what a replay was asked for. A drop has Of alone.
	Of   *ReplayOf `json:"of,omitempty"`
	As   string    `json:"as,omitempty"`
	Rate string    `json:"rate,omitempty"`
	// Reason is what the caller gave as the reason.
	Reason string `json:"reason,omitempty"`
	// Total is how many there are. While Counting, it is how many were found so far.
	Total    int  `json:"total"`
	Counting bool `json:"counting,omitempty"`
	// Done are those that were worked on, LeftAlone those that stay as they are, NotKept those that the store does not have any more.
	Done      int `json:"done"`
	LeftAlone int `json:"left_alone"`
	NotKept   int `json:"not_kept"`
	// Deliveries is how many deliveries a replay of events scheduled.
	Deliveries int `json:"deliveries,omitempty"`
	// Why counts LeftAlone by reason.
	Why map[string]int `json:"why,omitempty"`
	// ETA is how long the rest takes at the job's rate, such as 21s; absent where that is not known.
	ETA string `json:"eta,omitempty"`
	// Waits is why it makes no progress at this moment; Fault why it failed.
	Waits   string `json:"waits,omitempty"`
	Fault   string `json:"fault,omitempty"`
	Created JobAt  `json:"created"`
	Started Time   `json:"started,omitzero"`
	Ended   Time   `json:"ended,omitzero"`
	// Cancel is the path that ends it; absent once it has ended.
	Cancel string `json:"cancel,omitempty"`
}

// JobAt is when something was done, and by whom.
type JobAt struct {
	At Time   `json:"at"`
	By string `json:"by,omitempty"`
}

// ReplayOf selects what is replayed or dropped. Empty fields select everything; at least one is needed.
type ReplayOf struct {
	Destination string `json:"destination,omitempty"`
	// State is waiting, delivered, skipped, dead or dropped.
	State string `json:"state,omitempty"`
	// Verdict and Status are those of the last attempt. Status is a number, 0 where there was no answer, or a class such as 5xx.
	Verdict string `json:"verdict,omitempty"`
	Status  string `json:"status,omitempty"`
	// Failed selects deliveries with an attempt that failed.
	Failed bool `json:"failed,omitempty"`
	// Rule is the name of a rule or webhook.
	Rule string `json:"rule,omitempty"`
	// Missing selects events, of a replay as today with a rule: of what the rule owes for each, only deliveries are made that the event
	// does not have yet, whatever became of those that it has. `once` counts as it does for new events.
	Missing bool `json:"missing,omitempty"`
	// Type and Source are those of the event.
	Type   string `json:"type,omitempty"`
	Source string `json:"source,omitempty"`
	// Since and Until are times, or how long ago, as in 24h or 7d: of the last change of a delivery, or of the receipt of an event.
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
	// Events are ids of events.
	Events []string `json:"events,omitempty"`
}

// ReplayRequest is the body of POST /v1/replays.
type ReplayRequest struct {
	Of ReplayOf `json:"of"`
	// As is same (default): the deliveries again, with their ids; today: their events are decided by today's configuration; fresh: the
	// deliveries again, with new ids.
	As string `json:"as,omitempty"`
	// Rate is how many are scheduled, such as 20/s.
	Rate string `json:"rate,omitempty"`
	// Reason is kept with the job.
	Reason string `json:"reason,omitempty"`
	// DryRun counts, and replays nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// DropRequest is the body of POST /v1/drops.
type DropRequest struct {
	// Of selects them; its state, waiting or dead, is required.
	Of ReplayOf `json:"of"`
	// Reason is kept with the job.
	Reason string `json:"reason,omitempty"`
	// DryRun counts, and drops nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// RecoverRequest is the body of POST /v1/webhooks/NAME/recover.
type RecoverRequest struct {
	// Since is a time, how long ago, or the id of a delivery: then it is when that was last changed.
	Since string `json:"since"`
	Until string `json:"until,omitempty"`
	// Only is failed (default): what is a dead letter; or all.
	Only   string `json:"only,omitempty"`
	Rate   string `json:"rate,omitempty"`
	Reason string `json:"reason,omitempty"`
	DryRun bool   `json:"dry_run,omitempty"`
}

// WouldReplay is what a replay or a drop would do.
type WouldReplay struct {
	Would ReplayCount `json:"would"`
}

// ReplayCount counts what a replay or a drop selects.
type ReplayCount struct {
	Deliveries int `json:"deliveries"`
	Events     int `json:"events"`
	// Oldest is when the oldest of them was last changed.
	Oldest Time `json:"oldest,omitzero"`
	// NoLongerKept are those whose events are not kept any more, AlreadyWaiting those that wait: they are left alone.
	NoLongerKept   int `json:"no_longer_kept"`
	AlreadyWaiting int `json:"already_waiting"`
	// SearchedBackTo is how far back the count got within its budget; absent where it is complete.
	SearchedBackTo Time `json:"searched_back_to,omitzero"`
}

// NewJob makes the view of a job. Rate is how many of its units are done in a second; 0: unknown.
func NewJob(j *job.Job, rate float64) Job {
	v := Job{
		ID: j.ID, Kind: j.Kind, Tenant: j.Tenant, State: string(j.State), Total: j.Total, Counting: !j.Counted && !j.State.Ended(),
		Done: j.Done, LeftAlone: j.LeftAlone, NotKept: j.NotKept, Deliveries: j.Deliveries, Why: j.Why, Waits: j.Waits, Fault: j.Fault,
		Created: JobAt{At: Time{j.Created}, By: j.By.Name}, Started: Time{j.Started}, Ended: Time{j.Ended},
	}
	if left := j.Left(); rate > 0 && j.Counted && !j.State.Ended() {
		v.ETA = (time.Duration(float64(left)/rate*float64(time.Second)) + time.Second/2).Round(time.Second).String()
	}
	return v
}
