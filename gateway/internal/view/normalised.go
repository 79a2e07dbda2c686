package view

import "time"

// NormalisedStatus is the outcome of normalising one event again.
type NormalisedStatus string

// The outcomes of normalising an event again.
const (
	// Revised: it reads differently today; it has another revision, or would have one.
	Revised NormalisedStatus = "revised"
	// Unchanged: it reads as it did, so nothing is done.
	Unchanged NormalisedStatus = "unchanged"
	// Left: it cannot be normalised again, or not now; it stays as it is.
	Left NormalisedStatus = "left"
)

// Normalised is the outcome of normalising one event again, or what it would be.
type Normalised struct {
	Event  string           `json:"event"`
	Status NormalisedStatus `json:"status"`
	// Reason is why it was left.
	Reason string `json:"reason,omitempty"`
	// Revision is the newest one, this one included.
	Revision int `json:"revision"`
	// Differences are the fields that read differently.
	Differences []string `json:"differences,omitempty"`
	// Deliveries are made; Superseded ones, of earlier revisions, end by this one; Kept ones stay as they are.
	Deliveries []NormalisedDelivery `json:"deliveries"`
	Superseded []NormalisedDelivery `json:"superseded"`
	Kept       []NormalisedDelivery `json:"kept"`
}

// NormalisedDelivery is a delivery that normalising an event again makes, ends or keeps.
type NormalisedDelivery struct {
	ID          string `json:"id,omitempty"`
	Kind        string `json:"kind"`
	Rule        string `json:"rule"`
	Step        string `json:"step"`
	Destination string `json:"destination"`
	// Why is the reason, as a sentence without a full stop.
	Why string `json:"why,omitempty"`
}

// NormalisedPage counts what became of some events, oldest first, so that a product keeps what the newest says.
type NormalisedPage struct {
	// Events were selected: Revised, Unchanged and Left together.
	Events    int `json:"events"`
	Revised   int `json:"revised"`
	Unchanged int `json:"unchanged"`
	Left      int `json:"left"`
	// OwnForm are those of Left that were published in the gateway's own form, which is never read differently.
	OwnForm int `json:"own_form"`
	// Deliveries are made, Superseded ones end, Kept ones stay as they are.
	Deliveries int `json:"deliveries"`
	Superseded int `json:"superseded"`
	Kept       int `json:"kept"`
	// Results are those of events that are revised or left, without their deliveries and without those of OwnForm.
	Results []NormalisedBrief `json:"results"`
	// Reached is when the last event of the page was received.
	Reached time.Time `json:"reached,omitzero"`
	// Next is the cursor of the next page; empty at the end.
	Next string `json:"next,omitempty"`
}

// NormalisedBrief is a Normalised with its deliveries counted.
type NormalisedBrief struct {
	Event       string           `json:"event"`
	Status      NormalisedStatus `json:"status"`
	Reason      string           `json:"reason,omitempty"`
	Revision    int              `json:"revision,omitempty"`
	Differences []string         `json:"differences,omitempty"`
	Deliveries  int              `json:"deliveries,omitempty"`
}
