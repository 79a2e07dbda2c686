package state

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Origin is the rule or webhook that a delivery is made for, or the test that it belongs to.
type Origin struct {
	Kind OriginKind
	Name string
}

// IsAlone reports whether a delivery belongs to no rule or webhook; its name is the destination's.
func (o Origin) IsAlone() bool { return o.Kind == Test || o.Kind == Erasure }

// OriginKind is rule, webhook, test or erasure.
type OriginKind string

// The origins. Test is a test delivery that a person asked for, and Erasure asks a product to erase a person; their name is the
// destination's.
const (
	Rule    OriginKind = "rule"
	Webhook OriginKind = "webhook"
	Test    OriginKind = "test"
	Erasure OriginKind = "erasure"
)

// DeliveryState is the state of a delivery.
type DeliveryState string

// The states. Waiting deliveries are in the due-queue; Dead ones are dead letters, which are not tried again by themselves.
// A new state is also added to StateCodes.
const (
	Waiting   DeliveryState = "waiting"
	Delivered DeliveryState = "delivered"
	Skipped   DeliveryState = "skipped"
	Dead      DeliveryState = "dead"
	Dropped   DeliveryState = "dropped"
)

// Delivery is one event owed to one step or webhook.
type Delivery struct {
	ID      string // dl_<event id>_<13 base32 characters>
	Tenant  string
	EventID string
	// Revision is the revision of the event that owes it: 0 is the event as it was received.
	Revision    int
	Origin      Origin
	Step        string // as written in send, or its `as`; the webhook's own name for a webhook
	Destination string // name of the connection or webhook
	Connector   string // product, with its action: slack, hubspot.note, webhook
	State       DeliveryState
	// Reason is why it waits, was skipped or is dead: retry, delay, circuit open, no e-mail, …
	Reason string
	// Ref is the product's own id of what the latest attempt that named one wrote there (connectors.Verdict.Ref).
	Ref string
	// Attempts counts all requests ever made for it: sent, or unable to connect.
	Attempts int
	// Forgiven is how many of Attempts do not count against the retry schedule: those before a retry or replay by hand,
	// those refused because of the credentials or because of another event of their batch, and those that the product
	// postponed to a time it named. Commit keeps the value it is given; Schedule sets it to Attempts, so that a retry or replay by hand
	// begins a fresh schedule.
	Forgiven int
	// Created is when it was decided; Updated when it last changed; Due when a Waiting one is tried next.
	Created, Updated, Due time.Time
	// MaxBatch is the largest batch that it may be in, because a larger one with it was refused; 0: any, 1: it is sent alone.
	MaxBatch int
	// Leased: a holder has it until Due. Given to Commit: a running attempt is handed over, and Schedule and Drop leave the
	// delivery alone until then. Read back: a holder has this Waiting delivery now.
	Leased bool
	// Log is its attempts. Given to Commit: those since the last commit. Read back: all that are kept, oldest first.
	Log []Attempt
}

// Attempt is one request, or one chain of requests, that was sent or could not connect.
type Attempt struct {
	N       int // 1 is the first
	At      time.Time
	Took    time.Duration
	Verdict string // connectors.Kind as text
	Status  int    // 0 without an answer
	Reason  string
	// Sent and Received are the sizes of the bodies in bytes.
	Sent, Received int
	// Request and Response are the texts of the transcript, without secrets: of failures, and of captured successes.
	Request, Response []byte
	// Repeat: another holder's commit came first, although this attempt was made too.
	Repeat bool
}

// Reached is how far an attempt came.
type Reached uint8

// An attempt that was not sent, because its request cannot be built or its credentials cannot be had, is no attempt of the
// delivery. One without an answer was sent, or could not connect.
const (
	NotSent Reached = iota
	NoAnswer
	Answered
)

// Open reports whether a delivery in this state can still be tried: it waits, or is a dead letter.
func (s DeliveryState) Open() bool { return s == Waiting || s == Dead }

// Failed reports whether an attempt of the log was neither delivered nor skipped.
func (d *Delivery) Failed() bool {
	for i := range d.Log {
		if v := d.Log[i].Verdict; v != string(Delivered) && v != string(Skipped) {
			return true
		}
	}
	return false
}

// EntersHistory reports whether a commit of the delivery becomes an entry of history: it was tried, or it waits no more.
func (d *Delivery) EntersHistory() bool { return len(d.Log) > 0 || d.State != Waiting }

// Validate checks that the delivery's id leads to its event, and that it has a state and a destination.
func (d *Delivery) Validate() error {
	if _, err := DeliverySuffix(d.ID, d.EventID); err != nil {
		return err
	}
	if d.State.Letter() == 0 {
		return fmt.Errorf("%w: delivery %s has no state: %q", ErrInvalid, d.ID, d.State)
	}
	if d.Destination == "" {
		return fmt.Errorf("%w: delivery %s has no destination", ErrInvalid, d.ID)
	}
	return nil
}

// Stamp completes the times of a delivery that changes now. Only a waiting delivery has a due time and can be leased.
func (d *Delivery) Stamp(now time.Time) {
	d.Updated = now
	if d.Created.IsZero() {
		d.Created = now
	}
	if d.State != Waiting {
		d.Due, d.Leased = time.Time{}, false
	} else if d.Due.IsZero() {
		d.Due = now
	}
}

// Reschedule returns the delivery that Schedule stores, from the delivery as it is kept (nil: it is unknown) and as it was
// given to Schedule. False: it ended or is unknown, and without a destination it cannot be made again.
func Reschedule(kept, given *Delivery, now time.Time) (d Delivery, ok bool) {
	switch {
	case kept != nil && kept.State.Open():
		d = *kept
		d.Reason, d.MaxBatch = given.Reason, TighterBatch(given.MaxBatch, kept.MaxBatch)
	case given.Destination == "":
		return d, false
	default:
		d = *given
		if kept != nil {
			d.Attempts, d.Ref = max(d.Attempts, kept.Attempts), cmp.Or(d.Ref, kept.Ref)
			if d.Created.IsZero() {
				d.Created = kept.Created
			}
		}
	}
	d.Forgiven = d.Attempts
	d.State, d.Due, d.Leased, d.Log = Waiting, given.Due, false, nil
	d.Stamp(now)
	return d, true
}

// TighterBatch returns the smaller of two values of MaxBatch, of which 0 is no limit.
func TighterBatch(a, b int) int {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// CheckScheduled checks the arguments of Schedule: deliveries of the tenant, whose ids lead to their events.
func CheckScheduled(tenant string, deliveries []Delivery) error {
	for i := range deliveries {
		d := &deliveries[i]
		if _, err := DeliverySuffix(d.ID, d.EventID); err != nil {
			return err
		}
		if d.Tenant != "" && d.Tenant != tenant {
			return fmt.Errorf("delivery %s of tenant %q: %w", d.ID, tenant, ErrNotFound)
		}
	}
	return nil
}

// AppendSuffixes appends the suffixes of the outcome's deliveries. It checks that each delivery is valid, leads to the event
// of the outcome, and is listed once.
func (o *Outcome) AppendSuffixes(to []string) ([]string, error) {
	own := len(to)
	for i := range o.Deliveries {
		d := &o.Deliveries[i]
		if err := d.Validate(); err != nil {
			return to, err
		}
		suffix, err := DeliverySuffix(d.ID, o.EventID)
		if err != nil {
			return to, err
		}
		if slices.Contains(to[own:], suffix) {
			return to, fmt.Errorf("%w: delivery %s is owed twice by event %s", ErrInvalid, d.ID, o.EventID)
		}
		to = append(to, suffix)
	}
	return to, nil
}

// Validate checks that all deliveries of the revision, new and ended ones, belong to its event.
func (r *Revision) Validate() error {
	for i := range r.Deliveries {
		d := &r.Deliveries[i]
		if err := d.Validate(); err != nil {
			return err
		}
		if _, err := DeliverySuffix(d.ID, r.Event.ID); err != nil {
			return err
		}
	}
	for _, id := range r.Ended {
		if _, err := DeliverySuffix(id, r.Event.ID); err != nil {
			return err
		}
	}
	return nil
}
