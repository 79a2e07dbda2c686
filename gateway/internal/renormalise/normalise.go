// Package renormalise reads the kept raw bodies of events again, through the profile and the roles that their sources have
// today, and corrects what followed from the earlier reading: the event gets another revision, is decided by today's rules, and
// its corrected deliveries are sent.
package renormalise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// Normaliser reads events again. All fields but Ended are required; it is safe for concurrent use.
type Normaliser struct {
	Store state.Store
	// Plan is the running configuration.
	Plan  func() *decide.Plan
	Clock clock.Clock
	// Ended counts a waiting delivery that a revision replaced, whose event was received then; nil: nobody counts.
	Ended func(d *state.Delivery, received time.Time)
}

// How are the options of a reading.
type How struct {
	// DryRun counts, and changes nothing.
	DryRun bool
	// Again sends also requests that a destination was sent already.
	Again bool
}

// Today is the event as it would be read today, as its next revision; the error says why it cannot be read, in words for a
// person.
func Today(plan *decide.Plan, ev *event.Event) (*event.Event, error) {
	if ev.Type == event.TypeEntry {
		return nil, errors.New("no event was made of this entry of a stream yet: `surveygate dead replay` reads it")
	}
	if ev.Source == event.DefaultSource {
		return nil, source.ErrOwnForm
	}
	s := plan.Source(ev.Tenant, ev.Source)
	if s == nil {
		return nil, fmt.Errorf("the configuration no longer has the source `%s`", ev.Source)
	}
	return s.Receiver.Renormalise(ev)
}

// One reads one event again.
func (n *Normaliser) One(ctx context.Context, record *state.Record, how How) (*view.Normalised, error) {
	return n.one(ctx, record, how, supposed{})
}

func (n *Normaliser) one(ctx context.Context, record *state.Record, how How, told supposed) (*view.Normalised, error) {
	ev := record.Event
	res := &view.Normalised{
		Event: ev.ID, Revision: ev.Revision, Deliveries: []view.NormalisedDelivery{}, Superseded: []view.NormalisedDelivery{}, Kept: []view.NormalisedDelivery{},
	}
	left := func(reason string) (*view.Normalised, error) {
		return &view.Normalised{
			Event: ev.ID, Status: view.Left, Reason: reason, Revision: ev.Revision,
			Deliveries: []view.NormalisedDelivery{}, Superseded: []view.NormalisedDelivery{}, Kept: []view.NormalisedDelivery{},
		}, nil
	}
	if ev.IsErased() {
		return left("its content was erased")
	}
	plan := n.Plan()
	next, err := Today(plan, ev)
	if err != nil {
		return left(err.Error())
	}
	if record.Outcome == nil {
		return left("it is still being worked on")
	}
	if res.Differences = event.Differences(ev, next); len(res.Differences) == 0 {
		res.Status = view.Unchanged
		return res, nil
	}
	res.Status, res.Revision = view.Revised, next.Revision
	r, err := n.plan(ctx, plan, record, next, how, told, res)
	if broken, ok := errors.AsType[*brokenError](err); ok {
		return left(broken.Error())
	}
	if err != nil {
		return nil, err
	}
	if how.DryRun {
		return res, nil
	}
	switch err := n.Store.Revise(ctx, ev.Tenant, r); {
	case errors.Is(err, state.ErrConflict):
		newer, err := n.Store.Event(ctx, ev.Tenant, ev.ID)
		if errors.Is(err, state.ErrNotFound) {
			return left("it is no longer kept")
		}
		if err != nil {
			return nil, fmt.Errorf("read again: %w", err)
		}
		if newer.Event.Revision > ev.Revision { // somebody else came first
			return n.one(ctx, newer, how, told)
		}
		return left("one of its deliveries is being made just now: ask once more")
	case errors.Is(err, state.ErrNotFound):
		return left("it is no longer kept")
	case err != nil:
		return nil, err
	}
	n.countEnded(record, r)
	return res, nil
}

// brokenError reports a destination whose requests cannot be compared with those that it was sent.
type brokenError struct{ destination string }

func (e *brokenError) Error() string {
	return "the settings of " + e.destination + ", which it goes to, have a fault: correct them first"
}

// countEnded reports the deliveries that a revision ended. Dead letters ended before.
func (n *Normaliser) countEnded(record *state.Record, r *state.Revision) {
	if n.Ended == nil {
		return
	}
	for i := range record.Outcome.Deliveries {
		if d := record.Outcome.Deliveries[i]; d.State == state.Waiting && slices.Contains(r.Ended, d.ID) {
			d.State, d.Updated = state.Dropped, r.At
			n.Ended(&d, record.Event.Received)
		}
	}
}

// plan decides a revision by today's rules and compares what it owes with the deliveries that exist.
func (n *Normaliser) plan(ctx context.Context, plan *decide.Plan, record *state.Record, next *event.Event, how How, told supposed, res *view.Normalised) (*state.Revision, error) {
	now := n.Clock.Now()
	decision := plan.Decide(next, now)
	r := &state.Revision{Event: next, Generation: plan.Generation(next.Tenant), At: now, Rules: decision.Rules}
	for i := range decision.Owed {
		if d := decision.Owed[i].Destination; d.Broken {
			return nil, &brokenError{d.Name}
		}
	}
	taken, err := n.taken(ctx, next, decision.Owed, how, told)
	if err != nil {
		return nil, err
	}
	end := func(d *state.Delivery, why string) {
		r.Ended = append(r.Ended, d.ID)
		res.Superseded = append(res.Superseded, normalised(d, why))
	}
	owed := map[stepOf]bool{}
	for i := range decision.Owed {
		o := &decision.Owed[i]
		d := o.Delivery
		at := stepOf{d.Origin, d.Step}
		owed[at] = true
		before := earlier(record, at)
		if len(before) > 0 && !how.Again {
			newest := before[len(before)-1]
			if alike, why := same(o, record, newest, next); alike {
				d.ID = newest.ID
				res.Kept = append(res.Kept, normalised(&d, why))
				continue
			}
		}
		if by := taken[o.Once]; by != "" {
			d.ID = ""
			res.Kept = append(res.Kept, normalised(&d, "once: event "+by+" of the same response told it"))
			continue
		}
		for _, old := range before {
			if open(old) {
				end(old, "its request is another one today")
			}
		}
		d.Reason = fmt.Sprintf("revision %d", next.Revision)
		if d.Due = next.Received.Add(d.Due.Sub(now)); d.Due.Before(now) { // a delay counts from when the event came in
			d.Due = now
		}
		r.Deliveries = append(r.Deliveries, d)
		res.Deliveries = append(res.Deliveries, normalised(&d, ""))
	}
	// What its rule no longer asks for must not go out later. What lost its step is the configuration's business.
	for i := range record.Outcome.Deliveries {
		d := &record.Outcome.Deliveries[i]
		if _, there := plan.Today(*d, next); there && open(d) && !owed[stepOf{d.Origin, d.Step}] {
			end(d, "its "+string(d.Origin.Kind)+" does not match today")
		}
	}
	return r, nil
}
