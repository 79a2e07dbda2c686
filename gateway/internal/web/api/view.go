package api

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// eventView is an event in a list.
type eventView struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Source     string `json:"source"`
	SourceKind string `json:"sourcekind,omitempty"`
	Tenant     string `json:"tenant"`
	SurveyID   string `json:"survey_id,omitempty"`
	ResponseID string `json:"response_id,omitempty"`
	OrigType   string `json:"origtype,omitempty"`
	OrigID     string `json:"origid,omitempty"`
	Time       string `json:"time"`
	Received   string `json:"received"`
	Verified   string `json:"verified,omitempty"`
	// Revision counts how often its raw body was read again.
	Revision int `json:"revision,omitempty"`
	Size     int `json:"size"`
	// State is pending (no decision yet), decided or dead.
	State string `json:"state"`
	Dead  string `json:"dead,omitempty"`
	// Entry is where it stood, of an entry of a stream that no event could be made of.
	Entry *entryView `json:"entry,omitempty"`
	// Deliveries counts what it owes, by state.
	Deliveries map[state.DeliveryState]int `json:"deliveries"`
}

// entryView is an entry of a source's Redis stream.
type entryView struct {
	Stream string `json:"stream"`
	ID     string `json:"id"`
}

func viewEvent(r *state.Record) eventView {
	ev := r.Event
	v := eventView{
		ID: ev.ID, Type: ev.Type, Source: ev.Source, SourceKind: ev.SourceKind, Tenant: ev.Tenant,
		SurveyID: ev.SurveyID, ResponseID: ev.ResponseID, OrigType: ev.OrigType, OrigID: ev.OrigID,
		Time: stamp(ev.Time), Received: stamp(ev.Received), Verified: ev.Verified, Revision: ev.Revision, Size: r.Size,
		State: "pending", Deliveries: map[state.DeliveryState]int{},
	}
	if ev.Type == event.TypeEntry {
		v.Entry = &entryView{Stream: ev.OrigType, ID: ev.OrigID}
	}
	if o := r.Outcome; o != nil {
		v.State = "decided"
		if o.Dead != "" {
			v.State, v.Dead = "dead", o.Dead
		}
		for i := range o.Deliveries {
			v.Deliveries[o.Deliveries[i].State]++
		}
	}
	return v
}

// recordView is one event in full: its envelope with the raw body, and what became of it.
type recordView struct {
	eventView
	Event    json.RawMessage `json:"event"`
	Position uint64          `json:"position"`
	Claims   int             `json:"claims,omitempty"`
	Outcome  *outcomeView    `json:"outcome,omitempty"`
	// SameEvent are this event as it came with other proofs.
	SameEvent []explain.Same `json:"same_event,omitempty"`
	// Former are the revisions before the newest, oldest first.
	Former []formerView `json:"former,omitempty"`
	// Deliveries takes the place of the counts.
	Deliveries []deliveryView `json:"deliveries"`
}

// formerView is a revision that is no longer the newest, with its decision.
type formerView struct {
	Revision int             `json:"revision"`
	Event    json.RawMessage `json:"event"`
	Outcome  outcomeView     `json:"outcome"`
	Dead     string          `json:"dead,omitempty"`
}

type outcomeView struct {
	Generation string        `json:"generation"`
	At         string        `json:"at"`
	Rules      []ruleOutcome `json:"rules"`
}

type ruleOutcome struct {
	Kind  state.OriginKind `json:"kind"`
	Name  string           `json:"name"`
	Error string           `json:"error,omitempty"`
}

func viewRecord(r *state.Record, today *decide.Plan) recordView {
	v := recordView{
		eventView: viewEvent(r), Event: r.Event.EnvelopeWithRaw(), Position: r.Position, Claims: r.Claims,
		Deliveries: []deliveryView{},
	}
	for i := range r.Former {
		f := &r.Former[i]
		v.Former = append(v.Former, formerView{
			Revision: f.Event.Revision, Event: f.Event.Envelope(), Dead: f.Dead,
			Outcome: outcomeView{Generation: f.Generation, At: stamp(f.At), Rules: viewRules(f.Rules)},
		})
	}
	if o := r.Outcome; o != nil {
		v.Outcome = &outcomeView{Generation: o.Generation, At: stamp(o.At), Rules: viewRules(o.Rules)}
		for i := range o.Deliveries {
			v.Deliveries = append(v.Deliveries, viewDelivery(&o.Deliveries[i], today))
		}
	}
	return v
}

func viewRules(outcomes []state.RuleOutcome) []ruleOutcome {
	list := make([]ruleOutcome, len(outcomes))
	for i, r := range outcomes {
		list[i] = ruleOutcome{r.Origin.Kind, r.Origin.Name, r.Err}
	}
	return list
}

// deliveryView is a delivery; attempts are those kept, where it was asked for alone.
type deliveryView struct {
	ID          string              `json:"id"`
	Event       string              `json:"event"`
	Revision    int                 `json:"revision,omitempty"`
	Tenant      string              `json:"tenant"`
	Kind        state.OriginKind    `json:"kind"`
	Rule        string              `json:"rule"`
	Step        string              `json:"step"`
	Destination string              `json:"destination"`
	Connector   string              `json:"connector"`
	State       state.DeliveryState `json:"state"`
	Reason      string              `json:"reason,omitempty"`
	Ref         string              `json:"ref,omitempty"`
	Attempts    int                 `json:"attempts"`
	Created     string              `json:"created,omitempty"`
	Updated     string              `json:"updated,omitempty"`
	Due         string              `json:"due,omitempty"`
	// Hint is what a person can do about a dead letter.
	Hint string `json:"hint,omitempty"`
	// Hold is why its destination is sent nothing now; of one that waits, where it was asked for alone.
	Hold *heldView     `json:"hold,omitempty"`
	Log  []attemptView `json:"log,omitempty"`
}

type attemptView struct {
	N        int     `json:"n"`
	At       string  `json:"at"`
	TookMS   float64 `json:"took_ms"`
	Verdict  string  `json:"verdict"`
	Status   int     `json:"status,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	Sent     int     `json:"sent"`
	Received int     `json:"received"`
	Repeat   bool    `json:"repeat,omitempty"`
	Request  string  `json:"request,omitempty"`
	Response string  `json:"response,omitempty"`
}

func viewDelivery(d *state.Delivery, today *decide.Plan) deliveryView {
	v := deliveryView{
		ID: d.ID, Event: d.EventID, Revision: d.Revision, Tenant: d.Tenant, Kind: d.Origin.Kind, Rule: d.Origin.Name, Step: d.Step,
		Destination: d.Destination, Connector: d.Connector, State: d.State, Reason: today.ReasonOf(d), Ref: d.Ref,
		Attempts: d.Attempts,
		Created:  stamp(d.Created), Updated: stamp(d.Updated), Hint: explain.DeliveryHint(d),
	}
	if d.State == state.Waiting {
		v.Due = stamp(d.Due)
	}
	for i := range d.Log {
		a := &d.Log[i]
		v.Log = append(v.Log, attemptView{
			N: a.N, At: stamp(a.At), TookMS: milliseconds(a.Took), Verdict: a.Verdict, Status: a.Status, Reason: a.Reason,
			Sent: a.Sent, Received: a.Received, Repeat: a.Repeat, Request: string(a.Request), Response: string(a.Response),
		})
	}
	return v
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// viewPage answers with a page of the store.
func viewPage[T, V any](p *state.Page[T], view func(T) V) page[V] {
	out := page[V]{Data: make([]V, len(p.Items)), SearchedBackTo: stamp(p.SearchedBackTo), RespondentsSince: stamp(p.RespondentsSince)}
	for i, item := range p.Items {
		out.Data[i] = view(item)
	}
	if p.Next != "" {
		out.Next = &p.Next
	}
	return out
}

// resultView is what became of one published event.
type resultView struct {
	ID     string `json:"id,omitempty"`
	Status string `json:"status"`
	// Warnings are what did not fit and was left out.
	Warnings []string `json:"warnings,omitempty"`
	// Error is there for invalid ones.
	Error *errorView `json:"error,omitempty"`
}

type errorView struct {
	Msg  string   `json:"msg"`
	Type string   `json:"type"`
	Loc  []string `json:"loc,omitempty"`
	// Line is where it stands in NDJSON, from 1.
	Line int `json:"line,omitempty"`
}

func viewResult(ev *event.Event, a state.Appended) resultView {
	v := resultView{ID: a.ID(ev), Status: "accepted", Warnings: warningsOf(ev)}
	if a.Duplicate {
		v.Status = "duplicate"
	}
	return v
}

var warningsKey = []byte(`"warnings":[`)

// warningsOf are an event's, which decodes its data only where it has some.
func warningsOf(ev *event.Event) []string {
	if !bytes.Contains(ev.DataJSON(), warningsKey) {
		return nil
	}
	return ev.Data().Warnings
}
