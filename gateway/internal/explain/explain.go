// Package explain answers why an event arrived somewhere, or why it did not.
//
// What was decided is in the event's outcome; every single "no" is asked again of the configuration that decided.
// An explanation is a value: JSON for the API, and a text for people.
package explain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Explanation is everything that is known of one event's way.
type Explanation struct {
	Event Event `json:"event"`
	// State is pending (no decision yet), decided, dead (the event itself is a dead letter) or dry (never stored:
	// it says what would happen).
	State string `json:"state"`
	// Summary is the answer in one sentence.
	Summary string `json:"summary"`
	// Same are this event as it came with other proofs.
	Same []Same `json:"same_event,omitempty"`
	// Position orders the events that are kept.
	Position uint64 `json:"position,omitempty"`
	// Dead is why the event is a dead letter.
	Dead      string    `json:"dead,omitempty"`
	Claims    int       `json:"claims,omitempty"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	// Generation is the configuration that decided. Unknown: it is no longer kept, so only what matched is here.
	Generation string `json:"generation,omitempty"`
	Unknown    bool   `json:"generation_unknown,omitempty"`
	Rules      []Rule `json:"rules"`
	// Changed are rules that today's configuration would answer differently.
	Changed []Change `json:"changed,omitempty"`
	// Former are the revisions before the newest, oldest first.
	Former []Former `json:"former,omitempty"`
	// Today is how the raw body would be read today, where that is otherwise.
	Today *Reading `json:"today,omitempty"`
	// At is when it was explained; waits count from it.
	At time.Time `json:"at"`
}

// Event is who it is about.
type Event struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Tenant     string    `json:"tenant"`
	Source     string    `json:"source"`
	SourceKind string    `json:"sourcekind,omitempty"`
	OrigType   string    `json:"origtype,omitempty"`
	SurveyID   string    `json:"survey_id,omitempty"`
	Survey     string    `json:"survey,omitempty"`
	ResponseID string    `json:"response_id,omitempty"`
	Time       time.Time `json:"time"`
	Received   time.Time `json:"received"`
	Verified   string    `json:"verified,omitempty"`
	// Revision counts how often its raw body was read again.
	Revision int      `json:"revision,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Unread are places of the body whose values the event does not hold.
	Unread []string `json:"unread,omitempty"`
	// Stream and Entry are where it stood, of an entry of a Redis stream that no event could be made of.
	Stream string `json:"redis_stream,omitempty"`
	Entry  string `json:"entry,omitempty"`
}

// Rule is one rule or webhook of the event's tenant.
type Rule struct {
	Kind    state.OriginKind `json:"kind"`
	Name    string           `json:"name"`
	Matched bool             `json:"matched"`
	// Why is a sentence without a full stop.
	Why string `json:"why"`
	// When is its condition as written.
	When string `json:"when,omitempty"`
	// Missing are absent fields that left the condition unknown; Faults values whose type did not fit.
	Missing []string `json:"missing,omitempty"`
	Faults  []string `json:"faults,omitempty"`
	Error   string   `json:"error,omitempty"`
	// Parts are the condition's parts with their values.
	Parts []Part `json:"parts,omitempty"`
	// Steps are what it owes.
	Steps []Step `json:"steps,omitempty"`
}

// Part is a part of a condition and what it came to; Depth 0 is the whole.
type Part struct {
	Text  string `json:"text"`
	Value string `json:"value"`
	Depth int    `json:"depth"`
}

// Step is one thing that a rule sends.
type Step struct {
	Name        string `json:"step"`
	Destination string `json:"destination"`
	Connector   string `json:"connector"`
	// Note says why there is no delivery, or what would become of it.
	Note string `json:"note,omitempty"`
	// Request is what would be sent now, without secrets; of explanations that are dry.
	Request  string    `json:"request,omitempty"`
	Delivery *Delivery `json:"delivery,omitempty"`
	// Hold is why its destination is not served now.
	Hold *Hold `json:"hold,omitempty"`
}

// Delivery is where one stands.
type Delivery struct {
	ID       string              `json:"id"`
	State    state.DeliveryState `json:"state"`
	Reason   string              `json:"reason,omitempty"`
	Attempts int                 `json:"attempts"`
	Updated  time.Time           `json:"updated"`
	Due      time.Time           `json:"due,omitzero"`
	// Hint is what a person can do about a dead letter.
	Hint string `json:"hint,omitempty"`
	// Revision is that of the event which owes it.
	Revision int `json:"revision,omitempty"`
	// Now says that it is being delivered at this moment.
	Now bool      `json:"now,omitempty"`
	Log []Attempt `json:"log,omitempty"`
}

// Attempt is one request that was sent or could not connect.
type Attempt struct {
	N       int       `json:"n"`
	At      time.Time `json:"at"`
	TookMS  float64   `json:"took_ms"`
	Verdict string    `json:"verdict"`
	Status  int       `json:"status,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Repeat  bool      `json:"repeat,omitempty"`
}

// Hold is why a destination is not served.
type Hold struct {
	Kind   state.HoldKind `json:"kind"`
	Reason string         `json:"reason,omitempty"`
	Since  time.Time      `json:"since,omitzero"`
	Until  time.Time      `json:"until,omitzero"`
	// Hint is what lifts it.
	Hint string `json:"hint,omitempty"`
}

// Change is a rule that today's configuration would answer differently.
type Change struct {
	Kind state.OriginKind `json:"kind"`
	Name string           `json:"name"`
	Why  string           `json:"why"`
}

// Asker explains events of a running gateway. All fields are required; it is safe for concurrent use.
type Asker struct {
	Store state.Store
	// Plan is the running configuration; PlanOf one that ran before, as a tenant sees it.
	Plan   func() *decide.Plan
	PlanOf func(ctx context.Context, tenant, generation string) (*decide.Plan, error)
	Clock  clock.Clock
}

// Event explains one that is kept; state.ErrNotFound where the tenant has none of that id.
func (a *Asker) Event(ctx context.Context, tenant, id string) (*Explanation, error) {
	record, err := a.Store.Event(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	holds, err := a.Store.Holds(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	today := a.Plan()
	x := begin(record.Event, a.Clock.Now())
	x.Position, x.Claims, x.State = record.Position, record.Claims, "pending"
	if x.Same, err = SameEvent(ctx, a.Store, record.Event); err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}

	then := today
	var deliveries []state.Delivery
	if o := record.Outcome; o != nil {
		x.State, x.Dead, x.DecidedAt, x.Generation = "decided", o.Dead, o.At, o.Generation
		if o.Dead != "" {
			x.State = "dead"
		}
		if o.Generation != today.Config.Generation && o.Generation != "" {
			then, err = a.PlanOf(ctx, tenant, o.Generation)
			switch {
			case errors.Is(err, state.ErrNotFound), errors.Is(err, config.ErrUnreadable):
				then, x.Unknown = nil, true
			case err != nil:
				return nil, fmt.Errorf("explain: %w", err) // it may be there the next time
			}
		}
		if deliveries, err = a.deliveries(ctx, tenant, o.Deliveries); err != nil {
			return nil, err
		}
	}
	x.ask(then, record.Event)
	if record.Outcome != nil {
		x.record(record.Outcome)
	}
	x.attach(newestFirst(deliveries), holds, today)
	x.former(record)
	if asked := record.Event.Type != event.TypeEntry && record.Event.Source != event.TestSource; then != today && asked {
		x.compare(today, record.Event)
	}
	x.read(today, record.Event)
	x.Summary = x.summarise()
	return x, nil
}

// maxDetails bounds the deliveries whose attempts are read for one explanation.
const maxDetails = 200

// deliveries are those of an outcome, with their attempts.
func (a *Asker) deliveries(ctx context.Context, tenant string, brief []state.Delivery) ([]state.Delivery, error) {
	full := make([]state.Delivery, len(brief))
	copy(full, brief)
	for i := range full {
		if i == maxDetails {
			break
		}
		switch d, err := a.Store.Delivery(ctx, tenant, full[i].ID); {
		case errors.Is(err, state.ErrNotFound): // its history has left; the outcome still knows how it ended
		case err != nil:
			return nil, fmt.Errorf("explain: %w", err)
		default:
			full[i] = *d
		}
	}
	return full, nil
}

// Dry says what a configuration would do with an event that is stored nowhere.
func Dry(plan *decide.Plan, ev *event.Event, now time.Time) *Explanation {
	x := begin(ev, now)
	x.State = "dry"
	x.Generation = plan.Config.Generation
	x.ask(plan, ev)
	for _, owed := range plan.Decide(ev, now).Owed {
		step := x.step(owed.Delivery.Origin, owed.Delivery.Step)
		if step == nil {
			continue
		}
		step.Note, step.Request = would(owed, ev, now)
	}
	x.Summary = x.summarise()
	return x
}

// would builds the request of a delivery that nobody sends.
func would(owed decide.Owed, ev *event.Event, now time.Time) (note, request string) {
	defer func() {
		if r := recover(); r != nil {
			note = "would be rejected: building its request panics"
		}
	}()
	if !owed.Destination.Enabled {
		return "would wait: " + owed.Destination.Name + " is switched off", ""
	}
	req, err := owed.Build.Build(ev.WithBudget(nil))
	var skipped *connectors.Skipped
	switch {
	case errors.As(err, &skipped):
		return "would be skipped: " + skipped.Reason, ""
	case err != nil:
		return "would be rejected: " + err.Error(), ""
	}
	note = "would be sent"
	if wait := owed.Delivery.Due.Sub(now); wait > 0 {
		note += " after " + wait.String()
	}
	return note, strings.TrimRight(string(outbound.Transcript(req)), "\n")
}

func begin(ev *event.Event, now time.Time) *Explanation {
	x := &Explanation{At: now.UTC(), Rules: []Rule{}, Event: Event{
		ID: ev.ID, Type: ev.Type, Tenant: ev.Tenant, Source: ev.Source, SourceKind: ev.SourceKind, OrigType: ev.OrigType,
		SurveyID: ev.SurveyID, ResponseID: ev.ResponseID, Time: ev.Time, Received: ev.Received, Verified: ev.Verified, Revision: ev.Revision,
	}}
	if ev.Type == event.TypeEntry {
		x.Event.Stream, x.Event.Entry, x.Event.OrigType = ev.OrigType, ev.OrigID, ""
	}
	if d := ev.Data(); d != nil {
		x.Event.Survey, x.Event.Warnings, x.Event.Unread = d.Survey.Title, d.Warnings, d.Unread
	}
	return x
}
