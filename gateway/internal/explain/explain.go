// Package explain answers why an event arrived somewhere, or why it did not.
//
// The outcome of the event says what was decided; why a rule did not match is evaluated once more with the configuration that
// decided. An explanation is a value: JSON for the API, and a text for people.
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
	"github.com/surveygate/surveygate/gateway/internal/responses"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// Explanation is a view.Explanation that can print itself.
type Explanation struct{ view.Explanation }

// Asker explains events of a running gateway. All fields are required; it is safe for concurrent use.
type Asker struct {
	Store state.Store
	// Plan returns the running configuration; PlanOf a tenant's part of an earlier one.
	Plan   func() *decide.Plan
	PlanOf func(ctx context.Context, tenant, generation string) (*decide.Plan, error)
	Clock  clock.Clock
}

// Event explains a stored event. It returns state.ErrNotFound if the tenant has no event with the id.
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
		if o.Dead != "" && !record.Event.IsErased() {
			x.State = "dead"
		}
		if record.Event.IsErased() {
			then, x.Dead = nil, "" // what was asked is gone, and erasing took it out of the dead letters
		} else if o.Generation != today.Generation(tenant) && o.Generation != "" {
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
	if _, err := x.askWhole(ctx, a.Store, then, record.Event, deliveries); err != nil {
		return nil, err
	}
	x.former(record)
	if record.Event.IsErased() {
		x.Summary = "its content was erased on " + record.Event.Erased.Format("2006-01-02 15:04:05 UTC") + "; " + x.summarise()
		return x, nil
	}
	if asked := record.Event.Type != event.TypeEntry && !event.IsAlone(record.Event.Source); then != today && asked {
		x.compare(today, record.Event)
	}
	x.read(today, record.Event)
	x.Summary = x.summarise()
	return x, nil
}

// maxDetails bounds the deliveries whose attempts are read for one explanation.
const maxDetails = 200

// deliveries returns the deliveries of an outcome with their attempts.
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

// Dry explains what a configuration would do with an event. Rules that are asked of the response as a whole are asked of what is kept
// of it together with the event; without a store, of the event alone.
func Dry(ctx context.Context, store responses.Reader, plan *decide.Plan, ev *event.Event, now time.Time) (*Explanation, error) {
	x := begin(ev, now)
	x.State = "dry"
	x.Generation = plan.Generation(ev.Tenant)
	x.ask(plan, ev)
	whole, err := x.askWhole(ctx, store, plan, ev, nil)
	if err != nil {
		return nil, err
	}
	for _, owed := range plan.Decide(ev, now).Owed {
		step := x.step(owed.Delivery.Origin, owed.Delivery.Step)
		if step == nil {
			continue
		}
		if r := owed.AtDue; r != nil && r.Match.Defers(ev.Type) && !decide.Whole(r.Match, whole).Matched {
			step.Note = "would be skipped, if its response is like this when it has come to rest"
			continue
		}
		of := ev
		if owed.AtDue != nil && whole != nil {
			of = whole
		}
		built := Build(owed, of, now)
		step.Note, step.Request = built.Note, built.Text()
	}
	x.Summary = x.summarise()
	return x, nil
}

// Built is what building the request of a delivery comes to.
type Built struct {
	// Note is what would become of the delivery, in words.
	Note string
	// Skipped and Rejected are why nothing would be sent; both are empty for a request, and for a delivery that would wait.
	Skipped, Rejected string
	// Request is nil where there is none.
	Request *connectors.Request
	// Shortened are the texts of Request that were shortened to a limit of the product.
	Shortened []Shortened
}

// Text returns the request without its secrets; empty if there is none.
func (b *Built) Text() string {
	if b.Request == nil {
		return ""
	}
	return strings.TrimRight(string(outbound.Transcript(b.Request)), "\n")
}

// Build builds the request of a delivery without sending it.
func Build(owed decide.Owed, ev *event.Event, now time.Time) (b Built) {
	defer func() {
		if r := recover(); r != nil {
			b = Built{Note: "would be rejected: building its request panics", Rejected: "building its request panics"}
		}
	}()
	if owed.Destination.Broken {
		return Built{Note: "would wait: the settings of " + owed.Destination.Name + " have a fault"}
	}
	if !owed.Destination.Enabled {
		return Built{Note: "would wait: " + owed.Destination.Name + " is switched off"}
	}
	before := connectors.Shortened()
	req, err := owed.Build.Build(ev.WithBudget(nil))
	clipped := connectors.Shortened() != before
	var skipped *connectors.Skipped
	switch {
	case errors.As(err, &skipped):
		return Built{Note: "would be skipped: " + skipped.Reason, Skipped: skipped.Reason}
	case err != nil:
		return Built{Note: "would be rejected: " + err.Error(), Rejected: err.Error()}
	}
	b = Built{Note: "would be sent", Request: req}
	if clipped {
		b.Shortened = shortenedIn(req.Body)
	}
	if r := owed.AtDue; r != nil && (r.Settle.For > 0 || r.IsUnfinished(ev.Type)) {
		b.Note = "would be sent, if its response is like this when it has come to rest"
		return b
	}
	if wait := owed.Delivery.Due.Sub(now); wait > 0 {
		b.Note += " after " + wait.String()
	}
	return b
}

func begin(ev *event.Event, now time.Time) *Explanation {
	x := &Explanation{view.Explanation{At: now.UTC(), Rules: []view.ExplainedRule{}, Event: view.ExplainedEvent{
		ID: ev.ID, Type: ev.Type, Tenant: ev.Tenant, Source: ev.Source, SourceKind: ev.SourceKind, OrigType: ev.OrigType,
		SurveyID: ev.SurveyID, ResponseID: ev.ResponseID, Time: ev.Time, Received: ev.Received, Verified: ev.Verified, Revision: ev.Revision,
		Erased: ev.Erased,
	}}}
	if ev.Type == event.TypeEntry && !ev.IsErased() {
		x.Event.Stream, x.Event.Entry, x.Event.OrigType = ev.OrigType, ev.OrigID, ""
	}
	if d := ev.Data(); d != nil {
		x.Event.Survey, x.Event.Warnings, x.Event.Unread = d.Survey.Title, d.Warnings, d.Unread
	}
	return x
}
