package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/act"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// reason is why a delivery waits that was replayed.
const reason = "replay"

// Why something is left alone.
const (
	whyWaiting   = "it waits already"
	whyLeased    = "it is being delivered"
	whyChanged   = "it has changed since the replay was asked for"
	whyNoStep    = "the configuration no longer has its step"
	whyUndecided = "its event is still being worked on"
	whyEntry     = "no event could be made of it: replay it by its id"
	whyNothing   = "today's configuration owes nothing of it"
	whyErased    = "the content of its event was erased"
	whyThere     = "the rule has decided it before"
	whyOnce      = "once: another event of its response comes first"
	whyOther     = "it is of another type or source"
)

// batch are units that are scheduled together.
type batch struct {
	*work
	intent *intent                  // of a batch that was begun before; nil: there is none
	events map[string]*state.Record // read so far; nil: not kept
	idle   []owed                   // units of which nothing is to be scheduled
	owed   []owed                   // the others
}

// owed is what a unit owes.
type owed struct {
	unit       string
	deliveries []state.Delivery
	targets    []string         // by delivery: its destination today
	before     map[string]int64 // as in intent
	already    int              // deliveries that were scheduled when the batch was begun before
	done       int              // deliveries that are scheduled now
	notKept    bool
	why        string // it is left alone, where nothing is scheduled
	dead       string // the id of its event, if that is a dead letter
}

func newBatch(w *work, of *intent) *batch {
	return &batch{work: w, intent: of, events: map[string]*state.Record{}}
}

func isNotFound(err error) bool { return errors.Is(err, state.ErrNotFound) }

// add finds out what a unit owes.
func (b *batch) add(ctx context.Context, id string) error {
	o := owed{unit: id, before: map[string]int64{}}
	var err error
	if b.spec.As == Today {
		err = b.decide(ctx, &o)
	} else {
		err = b.repeat(ctx, &o)
	}
	if err != nil {
		return err
	}
	if len(o.deliveries) == 0 && b.intent == nil {
		b.idle = append(b.idle, o)
	} else {
		b.owed = append(b.owed, o)
	}
	return nil
}

// repeat finds the delivery that a unit names.
func (b *batch) repeat(ctx context.Context, o *owed) error {
	d, err := b.Store.Delivery(ctx, b.run.Tenant, o.unit)
	if isNotFound(err) {
		o.notKept = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("read a delivery: %w", err)
	}
	record, err := b.record(ctx, d.EventID)
	if err != nil {
		return err
	}
	if record == nil {
		o.notKept = true
		return nil
	}
	if record.Event.IsErased() {
		o.why = whyErased
		return nil
	}
	plan := b.Plan()
	today, ok := plan.Today(*d, record.Event)
	switch {
	case !ok && plan.IsBroken(b.run.Tenant, d.Origin):
		o.why = decide.BrokenRule
	case !ok:
		o.why = whyNoStep
	case b.spec.As == Fresh:
		fresh := *d
		fresh.ID, fresh.Attempts, fresh.Created = state.CopyDeliveryID(d.ID, b.run.ID), 0, b.Clock.Now()
		return b.owe(ctx, o, today.Delivery.Destination, fresh)
	default:
		b.consider(o, today.Delivery.Destination, *d, d)
	}
	return nil
}

// decide decides the event of a unit by today's configuration.
func (b *batch) decide(ctx context.Context, o *owed) error {
	record, err := b.record(ctx, o.unit)
	switch {
	case err != nil:
		return err
	case record == nil:
		o.notKept = true
	case record.Outcome == nil:
		o.why = whyUndecided
	case record.Event.IsErased():
		o.why = whyErased
	case record.Event.Type == event.TypeEntry:
		o.why = whyEntry
	case b.spec.Of.Type != "" && record.Event.Type != b.spec.Of.Type, b.spec.Of.Source != "" && record.Event.Source != b.spec.Of.Source:
		o.why = whyOther
	case b.spec.Of.Missing:
		return b.missing(ctx, o, record)
	default:
		deliveries, _ := act.Redecide(b.Plan(), record, b.Clock.Now(), act.ReplayOptions{Rule: b.spec.Of.Rule, Destination: b.spec.Of.Destination})
		if o.why = whyNothing; record.Outcome.Dead != "" {
			o.dead = record.Event.ID
		}
		for i := range deliveries {
			if err := b.owe(ctx, o, deliveries[i].Destination, deliveries[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// owe adds a delivery that may not exist yet.
func (b *batch) owe(ctx context.Context, o *owed, target string, d state.Delivery) error {
	kept, err := b.Store.Delivery(ctx, b.run.Tenant, d.ID)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("read a delivery: %w", err)
	}
	if err != nil {
		kept = nil
	}
	b.consider(o, target, d, kept)
	return nil
}

// consider adds a delivery, unless the one that is kept says that it must not be scheduled; nil: none is.
func (b *batch) consider(o *owed, target string, d state.Delivery, kept *state.Delivery) {
	if kept != nil {
		at, existed := int64(0), false
		if b.intent != nil {
			if at, existed = b.intent.Before[d.ID]; !existed || at != kept.Updated.UnixNano() {
				o.already++
				return
			}
		}
		switch {
		case kept.Leased:
			o.why = whyLeased
			return
		case b.intent == nil && kept.Updated.After(b.run.Created):
			o.why = whyChanged
			return
		case kept.State == state.Waiting && b.spec.Of.State != string(state.Waiting):
			o.why = whyWaiting
			return
		}
		o.before[d.ID] = kept.Updated.UnixNano()
		d.State, d.Due = kept.State, kept.Due
	} else {
		d.State = ""
	}
	o.deliveries, o.targets = append(o.deliveries, d), append(o.targets, target)
}

// record returns an event; nil: it is not kept.
func (b *batch) record(ctx context.Context, id string) (*state.Record, error) {
	if record, known := b.events[id]; known {
		return record, nil
	}
	record, err := b.Store.Event(ctx, b.run.Tenant, id)
	if isNotFound(err) {
		record, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read an event: %w", err)
	}
	b.events[id] = record
	return record, nil
}

// away takes out of the batch what is owed to destinations on hold, and returns those units.
func (b *batch) away(ctx context.Context) (units []string, err error) {
	var names []string
	for i := range b.owed {
		names = append(names, b.owed[i].targets...)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return nil, nil
	}
	standings, err := b.Store.Standing(ctx, b.run.Tenant, names)
	if err != nil {
		return nil, fmt.Errorf("look at the destinations: %w", err)
	}
	for i := range standings {
		// A hold that ended since others were put off for it stays one, so that the order of what is owed stays.
		if hold := standings[i].Hold; isHeld(hold) {
			b.held[names[i]] = hold.Reason
		}
	}
	b.owed = slices.DeleteFunc(b.owed, func(o owed) bool {
		isHeld := slices.ContainsFunc(o.targets, func(name string) bool { _, held := b.held[name]; return held })
		if isHeld {
			units = append(units, o.unit)
		}
		return isHeld
	})
	return units, nil
}

// settleIdle counts the units of which nothing is scheduled.
func (b *batch) settleIdle() {
	for i := range b.idle {
		b.count(&b.idle[i])
	}
	b.idle = nil
}

// count counts a unit.
func (b *batch) count(o *owed) {
	if b.spec.As == Today {
		b.run.Deliveries += o.done + o.already
	}
	switch {
	case o.done+o.already > 0:
		b.run.Done++
	case o.notKept:
		b.run.NotKept++
	default:
		b.run.Leave(o.why, 1)
	}
}

func (b *batch) newIntent() *intent {
	in := &intent{Before: map[string]int64{}}
	for i := range b.owed {
		in.Units = append(in.Units, b.owed[i].unit)
		maps.Copy(in.Before, b.owed[i].before)
	}
	return in
}

// schedule schedules the batch over the time that it takes at the pace of the replay, counts it, and returns that time.
func (b *batch) schedule(ctx context.Context) (over time.Duration, err error) {
	var targets []string
	for i := range b.owed {
		targets = append(targets, b.owed[i].targets...)
	}
	n := len(targets)
	over = b.pace.overTargets(targets)
	now, each := b.Clock.Now(), over/time.Duration(max(n, 1))
	all := make([]state.Delivery, 0, n)
	for i := range b.owed {
		for _, d := range b.owed[i].deliveries {
			all = append(all, scheduled(d, now.Add(time.Duration(len(all))*each), now))
		}
	}
	done := []bool{}
	if n > 0 {
		if done, err = b.Store.Schedule(ctx, b.run.Tenant, all); err != nil {
			return 0, fmt.Errorf("schedule: %w", err)
		}
		b.Due()
	}
	for i := range b.owed {
		o := &b.owed[i]
		for range o.deliveries {
			if done[0] {
				o.done++
			}
			done = done[1:]
		}
		if last := len(o.deliveries) - 1; o.done > 0 {
			b.last[o.targets[last]] = o.deliveries[last].ID
		} else if last >= 0 {
			o.why = whyLeased
		}
		if o.dead != "" && o.done+o.already > 0 {
			if err := b.Store.Drop(ctx, b.run.Tenant, o.dead); err != nil && !isNotFound(err) {
				return 0, fmt.Errorf("take an event out of the dead letters: %w", err)
			}
		}
	}
	for i := range b.owed { // last: after an error above, the batch is resumed, and counted then
		b.count(&b.owed[i])
	}
	return max(over, b.pace.over(1)), nil
}

// scheduled returns the delivery that is given to Schedule. One that waits or is a dead letter is given by its id alone, so that it is
// left alone if it ended meanwhile.
func scheduled(d state.Delivery, due, now time.Time) state.Delivery {
	if d.State == state.Waiting && d.Due.Before(due) {
		due = d.Due // it is not put off
	}
	if d.State.Open() {
		return state.Delivery{ID: d.ID, EventID: d.EventID, Reason: reason, Due: due}
	}
	d.State, d.Reason, d.Due, d.Updated, d.Log = state.Waiting, reason, due, now, nil
	return d
}
