package state

import (
	"fmt"
	"slices"
	"time"
)

// Origin is the rule or webhook that a delivery is owed to, or the test it belongs to.
type Origin struct {
	Kind OriginKind
	Name string
}

// OriginKind is rule, webhook or test.
type OriginKind string

// The origins. Test is a test delivery that somebody asked for; its name is the destination's.
const (
	Rule    OriginKind = "rule"
	Webhook OriginKind = "webhook"
	Test    OriginKind = "test"
)

// DeliveryState is where a delivery stands.
type DeliveryState string

// The states. Waiting ones are in the due-queue; Dead ones will not be tried again by themselves.
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
	// Revision is that of the event which owes it: 0 is the event as it was taken in.
	Revision    int
	Origin      Origin
	Step        string // as written in send, or its `as`; the webhook's own name for a webhook
	Destination string // name of the connection or webhook
	Connector   string // product, with its action: slack, hubspot.note, webhook
	State       DeliveryState
	// Reason is why it waits, was skipped or is dead: retry, delay, circuit open, no e-mail, …
	Reason string
	// Attempts counts requests sent or that could not connect, over all its life.
	Attempts int
	// Forgiven is how many of Attempts use nothing up of the retry schedule: those made before somebody had it tried
	// again, those refused for the credentials or with their whole batch, and those that the product put off to a time
	// of its own. Commit keeps what it is given; Schedule sets it to Attempts, so that what is retried or replayed by
	// hand begins a fresh schedule.
	Forgiven int
	// Created is when it was decided; Updated when it last changed; Due when it is next tried, for Waiting.
	Created, Updated, Due time.Time
	// Alone keeps it out of batches.
	Alone bool
	// Leased says that somebody has it until Due. Given to Commit: a running attempt that is handed over; Schedule
	// and Drop leave it alone until then. Read back: of Waiting ones, whether a holder has it now.
	Leased bool
	// Log are attempts. Given to Commit: those made since the last commit. Read back: all that is kept, oldest first.
	Log []Attempt
}

// Attempt is one request, or one chain of them, that was sent or could not connect.
type Attempt struct {
	N       int // 1 is the first
	At      time.Time
	Took    time.Duration
	Verdict string // connectors.Kind as text
	Status  int    // 0 without an answer
	Reason  string
	// Sent and Received are sizes in bytes of the bodies.
	Sent, Received int
	// Request and Response are the transcript's texts without secrets: of failures, and of successes where captured.
	Request, Response []byte
	// Repeat: another holder's commit came first; this one was made nevertheless.
	Repeat bool
}

// Open reports whether deliveries of a state are not over: they wait, or are dead letters.
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

// EntersHistory reports whether a commit of the delivery becomes an entry of history: it was tried, or it is over.
func (d *Delivery) EntersHistory() bool { return len(d.Log) > 0 || d.State != Waiting }

// Validate checks what an engine is given of a delivery: its id leads to its event, and it has a state and a destination.
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

// Stamp completes the times of a delivery that changes now: one that waits is due at some time, any other never.
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

// Reschedule is the delivery that Schedule keeps instead of kept, nil where nothing is known of it, when it is given
// another time. False: it is left alone, as it is over and given does not say where it goes.
func Reschedule(kept, given *Delivery, now time.Time) (d Delivery, ok bool) {
	switch {
	case kept != nil && kept.State.Open():
		d = *kept
		d.Reason, d.Alone = given.Reason, given.Alone || kept.Alone
	case given.Destination == "":
		return d, false
	default:
		d = *given
		if kept != nil {
			d.Attempts = max(d.Attempts, kept.Attempts)
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

// CheckScheduled checks what Schedule is given: deliveries of the tenant, with ids that lead to their events.
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

// AppendSuffixes appends the suffixes of the outcome's deliveries, which it checks: each is valid, leads to the outcome's
// event, and is owed once.
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

// Validate checks that all deliveries of the revision are those of its event.
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
