package view

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Event is an event in a list.
type Event struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Source     string `json:"source"`
	SourceKind string `json:"sourcekind,omitempty"`
	Tenant     string `json:"tenant"`
	SurveyID   string `json:"survey_id,omitempty"`
	ResponseID string `json:"response_id,omitempty"`
	// OrigType and OrigID are the platform's own type and id.
	OrigType string `json:"origtype,omitempty"`
	OrigID   string `json:"origid,omitempty"`
	Time     Time   `json:"time"`
	Received Time   `json:"received"`
	Verified string `json:"verified,omitempty"`
	// Revision counts how often the raw body was normalised again.
	Revision int `json:"revision,omitempty"`
	Size     int `json:"size"`
	// State is pending (no decision yet), decided or dead.
	State string `json:"state"`
	// Dead is why the event is a dead letter.
	Dead string `json:"dead,omitempty"`
	// Erased is when the content was erased: only the id, the type, the source, the survey and the times are left.
	Erased Time `json:"erased,omitzero"`
	// Entry is the stream entry that no event could be made of, of a dead letter that is one.
	Entry *StreamEntry `json:"entry,omitempty"`
	// Deliveries counts the event's deliveries by state.
	Deliveries map[string]int `json:"deliveries"`
}

// StreamEntry is an entry of a source's Redis stream.
type StreamEntry struct {
	Stream string `json:"stream"`
	ID     string `json:"id"`
}

// Kind is the kind of a dead letter: event, or entry of a stream.
func (e *Event) Kind() string {
	if e.Entry != nil {
		return "entry"
	}
	return "event"
}

// NewEvent makes the view of an event in a list.
func NewEvent(r *state.Record) Event {
	ev := r.Event
	v := Event{
		ID: ev.ID, Type: ev.Type, Source: ev.Source, SourceKind: ev.SourceKind, Tenant: ev.Tenant,
		SurveyID: ev.SurveyID, ResponseID: ev.ResponseID, OrigType: ev.OrigType, OrigID: ev.OrigID,
		Time: Time{ev.Time}, Received: Time{ev.Received}, Verified: ev.Verified, Revision: ev.Revision, Size: r.Size,
		Erased: Time{ev.Erased}, State: "pending", Deliveries: map[string]int{},
	}
	if ev.Type == event.TypeEntry && !ev.IsErased() {
		v.Entry = &StreamEntry{Stream: ev.OrigType, ID: ev.OrigID}
	}
	if o := r.Outcome; o != nil {
		v.State = "decided"
		if o.Dead != "" && !ev.IsErased() { // erasing takes it out of the dead letters
			v.State, v.Dead = "dead", o.Dead
		}
		for i := range o.Deliveries {
			v.Deliveries[string(o.Deliveries[i].State)]++
		}
	}
	return v
}

// Record is one event in full: its envelope with the raw body, its decision and its deliveries.
type Record struct {
	Event
	// Envelope is the normalised event with its raw body.
	Envelope json.RawMessage `json:"event"`
	// Position orders the events that are kept.
	Position uint64 `json:"position"`
	Claims   int    `json:"claims,omitempty"`
	// Outcome is the decision; absent while there is none.
	Outcome *Outcome `json:"outcome,omitempty"`
	// SameEvent are this event as it came with other proofs.
	SameEvent []SameEvent `json:"same_event,omitempty"`
	// Former are the revisions before the newest, oldest first.
	Former []FormerRecord `json:"former,omitempty"`
	// Deliveries takes the place of Event's counts.
	Deliveries []Delivery `json:"deliveries"`
}

// FormerRecord is a revision that is no longer the newest, with its decision.
type FormerRecord struct {
	Revision int             `json:"revision"`
	Envelope json.RawMessage `json:"event"`
	Outcome  Outcome         `json:"outcome"`
	Dead     string          `json:"dead,omitempty"`
}

// Outcome is the decision on an event: by which configuration, when, and which rules matched or failed.
type Outcome struct {
	Generation string        `json:"generation"`
	At         Time          `json:"at"`
	Rules      []RuleOutcome `json:"rules"`
}

// RuleOutcome is a rule or webhook that matched, or whose condition failed.
type RuleOutcome struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Error string `json:"error,omitempty"`
}

// SameEvent is the same event as it came with another proof: one that its source proves is accepted although a weaker one of
// its dedupe key came before.
type SameEvent struct {
	ID       string    `json:"id"`
	Verified string    `json:"verified"`
	Received time.Time `json:"received"`
	// Proof is `better` or `weaker` than that of the event that was asked for.
	Proof string `json:"proof"`
}

// NewRecord makes the view of one event in full, without SameEvent. Plan is the running configuration.
func NewRecord(r *state.Record, plan *decide.Plan) Record {
	v := Record{
		Event: NewEvent(r), Envelope: r.Event.EnvelopeWithRaw(), Position: r.Position, Claims: r.Claims,
		Deliveries: []Delivery{},
	}
	for i := range r.Former {
		f := &r.Former[i]
		v.Former = append(v.Former, FormerRecord{
			Revision: f.Event.Revision, Envelope: f.Event.Envelope(), Dead: f.Dead,
			Outcome: Outcome{Generation: f.Generation, At: Time{f.At}, Rules: NewRuleOutcomes(f.Rules)},
		})
	}
	if o := r.Outcome; o != nil {
		v.Outcome = &Outcome{Generation: o.Generation, At: Time{o.At}, Rules: NewRuleOutcomes(o.Rules)}
		for i := range o.Deliveries {
			v.Deliveries = append(v.Deliveries, NewDelivery(&o.Deliveries[i], plan))
		}
	}
	return v
}

// NewRuleOutcomes makes the views of a decision's rules; never nil.
func NewRuleOutcomes(outcomes []state.RuleOutcome) []RuleOutcome {
	list := make([]RuleOutcome, len(outcomes))
	for i, r := range outcomes {
		list[i] = RuleOutcome{string(r.Origin.Kind), r.Origin.Name, r.Err}
	}
	return list
}

// Results is the answer to publishing: one result for each event, in their order.
type Results struct {
	Results []Result `json:"results"`
}

// Result is what became of one published event.
type Result struct {
	ID string `json:"id,omitempty"`
	// Status is accepted, duplicate or invalid.
	Status string `json:"status"`
	// Warnings are values that did not fit and were left out.
	Warnings []string `json:"warnings,omitempty"`
	// Error is why an event is invalid.
	Error *ResultError `json:"error,omitempty"`
}

// ResultError is why an event is invalid.
type ResultError struct {
	Msg  string      `json:"msg"`
	Type ProblemType `json:"type"`
	Loc  []string    `json:"loc,omitempty"`
	// Line is the event's line in a body with one event to a line, from 1; absent in any other.
	Line int `json:"line,omitempty"`
}

// NewResult makes the result of an event that was accepted, or was a duplicate.
func NewResult(ev *event.Event, a state.Appended) Result {
	v := Result{ID: a.ID(ev), Status: "accepted", Warnings: warnings(ev)}
	if a.Duplicate {
		v.Status = "duplicate"
	}
	return v
}

var warningsKey = []byte(`"warnings":[`)

// warnings returns an event's warnings. It decodes the event's data only where there are some.
func warnings(ev *event.Event) []string {
	if !bytes.Contains(ev.DataJSON(), warningsKey) {
		return nil
	}
	return ev.Data().Warnings
}
