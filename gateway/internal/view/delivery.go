package view

import (
	"bytes"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Delivery is one event owed to one destination by one step or webhook.
type Delivery struct {
	ID    string `json:"id"`
	Event string `json:"event"`
	// Revision is that of the event which owes it.
	Revision int    `json:"revision,omitempty"`
	Tenant   string `json:"tenant"`
	// Kind is rule, webhook or test; Rule the name of the rule or webhook.
	Kind        string `json:"kind"`
	Rule        string `json:"rule"`
	Step        string `json:"step"`
	Destination string `json:"destination"`
	Connector   string `json:"connector"`
	// State is waiting, delivered, skipped, dead or dropped.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Ref is the product's own id of what was written there.
	Ref      string `json:"ref,omitempty"`
	Attempts int    `json:"attempts"`
	Created  Time   `json:"created,omitzero"`
	Updated  Time   `json:"updated,omitzero"`
	// Due is when a waiting delivery is attempted next; DueAsked: the product asked for that time (Retry-After).
	Due      Time `json:"due,omitzero"`
	DueAsked bool `json:"due_asked,omitempty"`
	// Hint is what a person can do about a dead letter, or about the failed attempts of a waiting delivery.
	Hint string `json:"hint,omitempty"`
	// EventHead is its event as in a list of events, without its content; where `include=event` asks for it.
	EventHead *Event `json:"event_head,omitempty"`
	// Hold is why its destination is on hold, of a waiting delivery that was asked for alone; absent in lists.
	Hold *Hold `json:"hold,omitempty"`
	// Last is its last attempt; absent where none is kept.
	Last *LastAttempt `json:"last,omitempty"`
	// Log are the attempts that are kept, of a delivery that was asked for alone.
	Log []Attempt `json:"log,omitempty"`
}

// LastAttempt is an attempt without what was sent and answered.
type LastAttempt struct {
	At      Time    `json:"at"`
	TookMS  float64 `json:"took_ms"`
	Verdict string  `json:"verdict"`
	// Status is that of the HTTP answer; 0 where there was none.
	Status int    `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// Attempt is one try to send a delivery: a request that was sent or could not connect.
type Attempt struct {
	// N counts from 1.
	N       int     `json:"n"`
	At      Time    `json:"at"`
	TookMS  float64 `json:"took_ms"`
	Verdict string  `json:"verdict"`
	// Status is that of the HTTP answer; absent where there was none.
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Sent and Received are bytes of bodies.
	Sent     int `json:"sent"`
	Received int `json:"received"`
	// Repeat marks an attempt of a replica that had lost the delivery to another.
	Repeat bool `json:"repeat,omitempty"`
	// Request and Response are kept of failures and of tests, without secrets.
	Request  string `json:"request,omitempty"`
	Response string `json:"response,omitempty"`
}

// NewDelivery makes the view of a delivery, without its Hold. Plan is the running configuration.
func NewDelivery(d *state.Delivery, plan *decide.Plan) Delivery {
	v := Delivery{
		ID: d.ID, Event: d.EventID, Revision: d.Revision, Tenant: d.Tenant, Kind: string(d.Origin.Kind), Rule: d.Origin.Name, Step: d.Step,
		Destination: d.Destination, Connector: d.Connector, State: string(d.State), Reason: plan.ReasonOf(d), Ref: d.Ref, Attempts: d.Attempts,
		Created: Time{d.Created}, Updated: Time{d.Updated}, Hint: DeliveryHint(d),
	}
	if d.State == state.Waiting {
		v.Due = Time{d.Due}
	}
	if n := len(d.Log); n > 0 {
		a := &d.Log[n-1]
		v.Last = &LastAttempt{At: Time{a.At}, TookMS: Milliseconds(a.Took), Verdict: a.Verdict, Status: a.Status, Reason: a.Reason}
		v.DueAsked = d.State == state.Waiting && asksForTime(a.Response)
	}
	for i := range d.Log {
		a := &d.Log[i]
		v.Log = append(v.Log, Attempt{
			N: a.N, At: Time{a.At}, TookMS: Milliseconds(a.Took), Verdict: a.Verdict, Status: a.Status, Reason: a.Reason,
			Sent: a.Sent, Received: a.Received, Repeat: a.Repeat, Request: string(a.Request), Response: string(a.Response),
		})
	}
	return v
}

// NewListedDelivery makes the view of a delivery in a list: without its attempts, whose bodies make a page long, and are not for everybody
// who may list deliveries.
func NewListedDelivery(d *state.Delivery, plan *decide.Plan) Delivery {
	v := NewDelivery(d, plan)
	v.Log = nil
	return v
}

// asksForTime reports whether a response, as it is kept, says when to try again.
func asksForTime(response []byte) bool {
	head, _, _ := bytes.Cut(response, []byte("\n\n"))
	for line := range bytes.Lines(head) {
		if name, _, found := bytes.Cut(line, []byte(":")); found && bytes.EqualFold(bytes.TrimSpace(name), []byte("Retry-After")) {
			return true
		}
	}
	return false
}

// Milliseconds returns a duration in milliseconds, with microseconds behind the point.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Replay is what a replay of an event scheduled.
type Replay struct {
	// Scheduled are the ids of the deliveries that are due now.
	Scheduled []string `json:"scheduled"`
	// LeftAlone are the ids of deliveries that are being attempted at this moment.
	LeftAlone []string `json:"left_alone"`
	// Rules are those that match today, or whose condition fails.
	Rules []RuleOutcome `json:"rules"`
	// Held are the holds of the scheduled deliveries' destinations, by destination.
	Held map[string]*Hold `json:"held,omitempty"`
	// Events are those that a stream entry was read as.
	Events []Result `json:"events,omitempty"`
}

// Test is what a test delivery is to hold. Without EventID it is an event that says that it is a test.
type Test struct {
	// EventID is an event that was received and is kept.
	EventID string `json:"event_id,omitempty"`
	// Type is the type of the test's event; without it, `test`.
	Type string `json:"type,omitempty"`
	// Email is whose record products write.
	Email string `json:"email,omitempty"`
}

// Tested is a test delivery after its first attempt, or on its way to it.
type Tested struct {
	Delivery
	// Matches is whether the webhook's own filter accepts the event; absent where there is none, and for an event that was not received.
	Matches *bool `json:"matches,omitempty"`
}
