package view

import "github.com/surveygate/surveygate/gateway/internal/job"

// ErasureRequest is the body of POST /v1/erasures.
type ErasureRequest struct {
	// Respondent is the e-mail address, the phone number or the external id of a person, as events have it.
	Respondent string `json:"respondent"`
	// Products: products that can erase a person are asked to; the receipt names the others, for doing it by hand.
	Products bool `json:"products,omitempty"`
	// DryRun counts, and erases nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// Erasure is the erasing of a person, which is a job.
type Erasure struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	// Person is a keyed hash of the person: two erasures of the same person have the same one.
	Person string `json:"person"`
	// State is queued, running, done or failed.
	State string `json:"state"`
	// Waits is why it makes no progress at this moment; Fault why it failed.
	Waits   string         `json:"waits,omitempty"`
	Fault   string         `json:"fault,omitempty"`
	Created JobAt          `json:"created"`
	Started Time           `json:"started,omitzero"`
	Ended   Time           `json:"ended,omitzero"`
	Receipt ErasureReceipt `json:"receipt"`
}

// ErasureReceipt counts what was erased, or would be.
type ErasureReceipt struct {
	// Events are those whose content goes: the person's, and all others of the same responses. Responses are those responses.
	Events    int `json:"events"`
	Responses int `json:"responses"`
	// Deliveries are those of the events, and Dropped those of them that waited or were dead letters. Attempts are the attempts
	// whose requests, answers and reasons go.
	Deliveries int `json:"deliveries"`
	Dropped    int `json:"dropped"`
	Attempts   int `json:"attempts"`
	// Removed are events that retention had removed already, of which requests or answers were kept.
	Removed int `json:"removed_events"`
	// Mentioned are deliveries of events of others whose requests or answers name the person, as those of a batch do. Their texts go,
	// and the deliveries stay.
	Mentioned int `json:"mentioned"`
	// Rejected and Captured are requests that sources kept and that hold an e-mail address, phone number or external id of the person.
	Rejected int `json:"rejected_requests"`
	Captured int `json:"captured_requests"`
	// Products are what became of the person in each connection and webhook of the tenant, of an erasure with `products`.
	Products []ErasureProduct `json:"products,omitempty"`
	// Answers are answers of the API that were kept for an Idempotency-Key, and that name the person.
	Answers int `json:"kept_answers"`
	// NotFound says in words what was looked for and is not there.
	NotFound []string `json:"not_found,omitempty"`
	// Incomplete: a dry run ended before it had looked at everything.
	Incomplete bool `json:"incomplete,omitempty"`
	// Disk says when the bytes leave the disk, and OffDisk when they left it, where the gateway knows.
	Disk    string `json:"disk,omitempty"`
	OffDisk Time   `json:"off_disk,omitzero"`
}

// ErasureProduct is what becomes of a person in one destination.
type ErasureProduct struct {
	Destination string `json:"destination"`
	Product     string `json:"product"`
	// ByHand is why the product cannot be asked, so that somebody has to erase the person there; empty: it is asked.
	ByHand string `json:"by_hand,omitempty"`
	// Answers are how each erasure ended that it was asked for.
	Answers []ErasureAnswer `json:"answers,omitempty"`
}

// ErasureAnswer is how an erasure in a product ended.
type ErasureAnswer struct {
	// Delivery is the id of the delivery by which it was asked.
	Delivery string `json:"delivery"`
	Text     string `json:"text"`
}

// WouldErase is what an erasure would do.
type WouldErase struct {
	Would ErasureReceipt `json:"would"`
}

// NewErasure makes the view of an erasure from its job.
func NewErasure(j *job.Job, person string, receipt ErasureReceipt) Erasure {
	return Erasure{
		ID: j.ID, Tenant: j.Tenant, Person: person, State: string(j.State), Waits: j.Waits, Fault: j.Fault,
		Created: JobAt{At: Time{j.Created}, By: j.By.Name}, Started: Time{j.Started}, Ended: Time{j.Ended}, Receipt: receipt,
	}
}
