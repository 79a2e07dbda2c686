package act

import (
	"context"
	"errors"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stream"
	"github.com/surveygate/surveygate/rules/event"
)

// reasonReplay is why a delivery waits that was replayed by hand.
const reasonReplay = "replay"

// ReplayDelivery makes a delivery due now, whatever became of it, and returns it so. Fresh gives it an id of its own, so that
// a receiver that drops duplicates takes it.
func (a *Actor) ReplayDelivery(ctx context.Context, tenant, id string, fresh bool) (*state.Delivery, error) {
	d, err := a.Delivery(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if fresh {
		d.ID, d.Attempts, d.Created = state.FreshDeliveryID(d.EventID), 0, a.options.Clock.Now()
	}
	if err := a.checkStep(ctx, tenant, d); err != nil {
		return nil, err
	}
	due := a.due(d, reasonReplay)
	return due, a.scheduleOne(ctx, tenant, *due)
}

// ReplayOptions say what of an event is replayed.
type ReplayOptions struct {
	// Rule and Destination leave out all other deliveries; empty leaves out none.
	Rule, Destination string
	// Fresh gives every delivery an id of its own.
	Fresh bool
}

// Replayed is what a replay of an event did.
type Replayed struct {
	// Scheduled are the deliveries that are due now; LeftAlone are those that are being attempted just now.
	Scheduled, LeftAlone []state.Delivery
	// Rules are those that match today, or whose condition fails.
	Rules []state.RuleOutcome
	// Events are those that an entry of a stream was read as, and Appended what became of each.
	Events   []*event.Event
	Appended []state.Appended
}

// ReplayEvent decides an event again, by today's configuration, and makes what that owes due now, whatever `once` had
// reserved. An entry of a stream that no event could be made of is read again through its source as that is today. An event
// that was a dead letter is none any more.
func (a *Actor) ReplayEvent(ctx context.Context, record *state.Record, o ReplayOptions) (*Replayed, error) {
	if record.Outcome == nil {
		return nil, conflict("this event is still being worked on")
	}
	if record.Event.IsErased() {
		return nil, conflict("the content of this event was erased")
	}
	if record.Event.Type == event.TypeEntry {
		return a.replayEntry(ctx, record)
	}
	tenant := record.Event.Tenant
	deliveries, outcomes := Redecide(a.options.Plan(), record, a.options.Clock.Now(), o)
	replayed := &Replayed{Rules: outcomes}
	var done []bool
	if len(deliveries) > 0 {
		var err error
		if done, err = a.schedule(ctx, tenant, deliveries); err != nil {
			return nil, err
		}
	}
	for i, d := range deliveries {
		if done[i] {
			replayed.Scheduled = append(replayed.Scheduled, d)
		} else {
			replayed.LeftAlone = append(replayed.LeftAlone, d)
		}
	}
	return replayed, a.revive(ctx, record)
}

// Redecide decides an event again by a plan, and returns what that owes, due now, and the rules that match, or whose condition fails. A
// delivery that the event has already stays the same delivery. The event must be decided.
func Redecide(plan *decide.Plan, record *state.Record, now time.Time, o ReplayOptions) ([]state.Delivery, []state.RuleOutcome) {
	decision := plan.Decide(record.Event, now)
	var deliveries []state.Delivery
	for _, owed := range decision.Owed {
		d := owed.Delivery
		if o.Rule != "" && d.Origin.Name != o.Rule || o.Destination != "" && d.Destination != o.Destination {
			continue
		}
		d.Due, d.Reason = now, reasonReplay
		if earlier := earlierOf(record.Outcome.Deliveries, &d); earlier != nil { // it stays the same delivery
			d.ID, d.Revision, d.Attempts, d.Created = earlier.ID, earlier.Revision, earlier.Attempts, earlier.Created
		}
		if o.Fresh {
			d.ID, d.Revision, d.Attempts, d.Created = state.FreshDeliveryID(d.EventID), record.Event.Revision, 0, now
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, decision.Rules
}

// earlierOf finds the delivery of a step that is to be made again: the one with the same id, else the one of the newest
// revision that has any, because a revision that changed nothing for a step made none. nil: there is none.
func earlierOf(all []state.Delivery, d *state.Delivery) (found *state.Delivery) {
	for i := range all {
		earlier := &all[i]
		switch {
		case earlier.ID == d.ID:
			return earlier
		case d.Revision > 0 && earlier.Origin == d.Origin && earlier.Step == d.Step && (found == nil || earlier.Revision > found.Revision):
			found = earlier
		}
	}
	return found
}

// revive takes an event out of the dead letters if it is one.
func (a *Actor) revive(ctx context.Context, record *state.Record) error {
	if record.Outcome.Dead == "" {
		return nil
	}
	if err := a.options.Store.Drop(ctx, record.Event.Tenant, record.Event.ID); err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	return nil
}

// replayEntry reads an entry of a stream through its source as that is today. The events that it makes are accepted as if
// they had just come.
func (a *Actor) replayEntry(ctx context.Context, record *state.Record) (*Replayed, error) {
	started := a.options.Clock.Now()
	source := a.options.Plan().Source(record.Event.Tenant, record.Event.Source)
	if source == nil {
		return nil, conflict("the configuration no longer has the source `" + record.Event.Source + "`")
	}
	events, err := stream.Reread(source, record.Event, started)
	if err != nil {
		return nil, conflict("it still cannot be read: " + err.Error())
	}
	appended, err := a.options.Accept(events, len(record.Event.Raw.Body), started)
	if err != nil {
		return nil, err
	}
	return &Replayed{Events: events, Appended: appended}, a.revive(ctx, record)
}
