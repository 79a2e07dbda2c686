// Package job runs work that outlives a request, a process and a replica: replays of many deliveries, the deletion of a tenant.
//
// A job is a setting of its tenant, so that every replica sees it. One replica runs it under a lease and writes down how far it
// came; where that replica dies, another one goes on from there. What a job does is its kind's: see Kind.
package job

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
)

// State is the state of a job.
type State string

// The states. Queued jobs wait for a replica, and Running ones have had one; the others have ended.
const (
	Queued    State = "queued"
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Ended reports whether the job does nothing any more.
func (s State) Ended() bool { return s == Done || s == Failed || s == Cancelled }

// Job is one job as it is stored, in JSON. New fields are optional: replicas of different versions share a store.
type Job struct {
	ID     string `json:"id"` // job_ and 26 characters of base32
	Kind   string `json:"kind"`
	Tenant string `json:"tenant"`
	State  State  `json:"state"`
	// Spec is what was asked for, in the form of its kind.
	Spec json.RawMessage `json:"spec,omitempty"`
	// Progress is how far it came, in the form of its kind; absent before the first step and after the end.
	Progress json.RawMessage `json:"progress,omitempty"`
	Counts
	By      audit.By  `json:"by"`
	Created time.Time `json:"created"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Fault is why it failed; Waits why it does nothing at this moment.
	Fault string `json:"fault,omitempty"`
	Waits string `json:"waits,omitempty"`
	// Cancel: somebody wants it to end. The replica that runs it ends it.
	Cancel bool `json:"cancel,omitempty"`
	// Slot is the lease of its tenant that it runs under.
	Slot int `json:"slot,omitempty"`
	// Starts counts how often it was begun or resumed since it last made progress.
	Starts int `json:"starts,omitempty"`

	version uint64 // of its setting
}

// Counts are how far a job came, in units of its kind.
type Counts struct {
	// Total is how many units there are. Until Counted is set, it is how many were found so far.
	Total   int  `json:"total"`
	Counted bool `json:"counted,omitempty"`
	// Done, LeftAlone and NotKept are how many were worked on, were left as they are, and do not exist any more.
	Done      int `json:"done"`
	LeftAlone int `json:"left_alone"`
	NotKept   int `json:"not_kept"`
	// Deliveries is how many deliveries were scheduled, where they are not the units.
	Deliveries int `json:"deliveries,omitempty"`
	// Why counts LeftAlone by reason.
	Why map[string]int `json:"why,omitempty"`
}

// maxReasons bounds the reasons of Why; further ones are counted as otherReasons.
const (
	maxReasons   = 20
	otherReasons = "other reasons"
)

// Leave counts units that are left alone for a reason.
func (c *Counts) Leave(reason string, n int) {
	c.LeftAlone += n
	if c.Why == nil {
		c.Why = map[string]int{}
	}
	if _, known := c.Why[reason]; !known && len(c.Why) >= maxReasons {
		reason = otherReasons
	}
	c.Why[reason] += n
}

// Left is how many units are still to be worked on.
func (c *Counts) Left() int { return max(c.Total-c.Done-c.LeftAlone-c.NotKept, 0) }

// Errors of Jobs, beside those of the store.
var (
	// ErrNoJob: the tenant has no job with the id.
	ErrNoJob = errors.New("no such job")
	// ErrEnded: the job has ended, so that it cannot be cancelled.
	ErrEnded = errors.New("the job has ended")
	// ErrTooMany: too many jobs of the tenant wait or run.
	ErrTooMany = errors.New("too many jobs wait already")
	// ErrRuns: a job still runs, so that it cannot be removed.
	ErrRuns = errors.New("a job still runs")
)

// The bounds of a tenant's jobs.
const (
	// MaxActive bounds those that wait or run.
	MaxActive = 20
	// MaxKept, MaxKeptBytes and KeptFor bound those that have ended.
	MaxKept      = 1000
	MaxKeptBytes = 4 << 20
	KeptFor      = 30 * 24 * time.Hour
)
