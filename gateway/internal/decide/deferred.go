package decide

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
	"github.com/surveygate/surveygate/rules/response"
)

// Reasons of a delivery of a rule that is asked of the response as a whole.
const (
	// Settling: its response has not come to rest.
	Settling = "waits until its response has come to rest"
	// Unfinished: `incomplete_delay` has not passed.
	Unfinished = "waits for the rest of its response"
	// Newer events of the response, followed by the id of one.
	SupersededBy = "superseded by a newer event of its response: "
	// Finished: `incomplete_delay` passed after the response was completed.
	Finished = "the response is not incomplete: its status is "
	// Deleted: the response was deleted before it was told.
	Deleted = "its response was deleted"
	// NotMatched is followed by why the response as it stands does not match.
	NotMatched = "the response as it stands does not match: "
	// Amended, Retracted and Anew are notes of delivered ones. The first two are followed by the id of the event for which it was told.
	Amended   = "changed what was told for event "
	Retracted = "marked as no longer so what was told for event "
	Anew      = "told anew: of what was told before there is no receipt"
	// Digested is followed by how many events one message tells of.
	Digested = "a digest of "
	// BehindEarlier: a delivery of an earlier event of its response is being made.
	BehindEarlier = "behind an earlier message of its response"
	// ToldAlready is followed by the id of the event for which an incomplete response was told.
	ToldAlready = "told as incomplete for event "
)

// delayed is the reason of a delivery that `delay` holds back, and asked that of one that is due now.
const (
	delayed = "delay"
	asked   = "queue"
)

// firstLook returns when a delivery is due first of which something is asked then, and why it waits.
func firstLook(r *config.Rule, d *config.Destination, ev *event.Event, now time.Time) (due time.Time, reason string) {
	if r.Match.Defers(ev.Type) {
		switch {
		case r.IsUnfinished(ev.Type):
			return now, Unfinished
		case r.Settle.For == 0:
			return now, asked
		case r.Settle.Until != nil || ev.ResponseKey() == "":
			return now, Settling
		}
		return now.Add(r.Settle.For + d.Delay), Settling
	}
	due, reason = now, asked
	if wait := r.Delay + d.Delay; wait > 0 {
		due, reason = now.Add(wait), delayed
	}
	if end := r.Guard.Quiet.End(due); !end.IsZero() {
		return end, quietReason(r)
	}
	return due, reason
}

// quietReason says until when nothing is sent.
func quietReason(r *config.Rule) string {
	return "quiet hours (" + r.Guard.Quiet.String() + ")"
}

// Look is what a deferred rule finds in the response of one of its deliveries. One of Wait, Skip, Dead and Event is set.
type Look struct {
	// Wait is until when the delivery waits; zero: it does not. Reason is why.
	Wait   time.Time
	Reason string
	// Skip is why nothing is sent. Told: it is told by another message, so that what is reserved for it stays so.
	Skip string
	Told bool
	// Dead is why it is not known whether anything is to be sent.
	Dead string
	// Event is what is sent: the response as it stands, as the event of the delivery. For a retraction it is the response as it stood
	// when it was told.
	Event *event.Event
	// Receipt names what was told of the response before, which is changed, or with Retract marked as no longer so; empty: a message of
	// its own is sent.
	Receipt string
	Retract bool
	// Note is kept as the reason of the delivery once it is delivered.
	Note string
	// Asked is the response as it stands, of which the condition was asked; nil: it was not asked, or of the event by itself.
	Asked *event.Event
}

// Known is one event of a response as a deferred rule sees it.
type Known struct {
	Event *event.Event
	// Outcome is its decision; nil: it is not decided yet.
	Outcome *state.Outcome
}

const (
	// notDecidedYet is how long a delivery waits for the decision on a newer event of its response.
	notDecidedYet = time.Second
	// BehindFor is how long it waits for the attempt of an earlier one, whose message it may have to change.
	BehindFor = 500 * time.Millisecond
)

// Look looks at the response of a delivery: all its events, oldest first, of which ev is the delivery's own. kept reports that the
// delivery is not superseded, because Owed.Once is reserved for it. If an event is to be sent, Owed.Once has to be reserved before.
func (o *Owed) Look(ev *event.Event, all []Known, kept bool, now time.Time) (look Look, err error) {
	r := o.AtDue
	if !r.Match.Defers(ev.Type) {
		return o.Guarded(Look{Event: ev}, now), nil
	}
	if !slices.ContainsFunc(all, func(k Known) bool { return k.Event.ID == ev.ID }) {
		// It has no response id, or it is older than all that are listed: retention has reached it, or there are too many.
		all = slices.Insert(all, 0, Known{Event: ev, Outcome: &state.Outcome{}})
	}
	events := make([]*event.Event, len(all))
	for i := range all {
		events[i] = all[i].Event
	}
	if newer, pending := o.newer(ev, all); newer != nil && !kept {
		if pending {
			return Look{Wait: now.Add(notDecidedYet), Reason: Settling}, nil
		}
		return Look{Skip: SupersededBy + newer.ID}, nil
	}
	fold := response.Fold(events)
	if fold == nil {
		fold = response.Of(ev)
	}
	unfinished := r.IsUnfinished(ev.Type)
	if unfinished {
		look.Event, err = fold.EventAs(ev, event.TypeResponsePartial) // as which the webhook subscribes to it
	} else {
		look.Event, err = fold.Event(ev)
	}
	if err != nil {
		return look, err
	}
	var before told
	if o.Step != nil && o.Step.Amend {
		var busy bool
		if before, busy = o.before(ev, all); busy {
			return Look{Wait: now.Add(BehindFor), Reason: BehindEarlier}, nil
		}
	}
	switch {
	case fold.Status == event.Deleted && (ev.Type != event.TypeResponseDeleted || o.Step != nil && o.Step.Retract):
		return o.retract(Look{Skip: Deleted}, ev, all, before)
	case unfinished && fold.Status != event.Started && fold.Status != event.Partial:
		return Look{Skip: Finished + fold.Status}, nil
	case unfinished:
		if due := fold.Start().Add(r.IncompleteDelay); due.After(now) && ev.ResponseKey() != "" {
			return Look{Wait: earlier(due, now.Add(r.IncompleteDelay)), Reason: Unfinished}, nil
		}
	case r.Settle.Until != nil && ev.ResponseKey() != "":
		due := fold.First.Add(r.Settle.For)
		if due.After(now) && r.Settle.Until.Match(look.Event).Truth != expression.True {
			return Look{Wait: earlier(due, now.Add(r.Settle.For)), Reason: Settling}, nil
		}
	}
	look.Asked = look.Event
	why, failed := whyNot(r.Match.When, look.Event)
	if failed {
		return Look{Dead: why, Asked: look.Asked}, nil
	}
	if why != "" {
		return o.retract(Look{Skip: NotMatched + why, Asked: look.Asked}, ev, all, before)
	}
	if before.receipt != "" {
		look.Receipt, look.Note = before.receipt, Amended+before.ev.ID
	} else if before.ev != nil {
		look.Note = Anew
	}
	return o.Guarded(look, now), nil
}

// told is what a step told of a response.
type told struct {
	ev        *event.Event // for which it was told; nil: nothing was
	receipt   string       // of the newest that left one
	at        time.Time
	retracted bool
}

// before returns what the step told of the response for other events than ev. busy: one of them is being told at this moment.
func (o *Owed) before(ev *event.Event, all []Known) (before told, busy bool) {
	for i := range all {
		k := &all[i]
		if k.Outcome == nil || k.Event.ID == ev.ID {
			continue
		}
		for j := range k.Outcome.Deliveries {
			d := &k.Outcome.Deliveries[j]
			switch {
			case d.Origin != o.Delivery.Origin || d.Step != o.Delivery.Step:
			case d.State == state.Waiting && d.Leased:
				return told{}, true
			case d.State == state.Delivered && strings.HasPrefix(d.Reason, Digested): // it tells of many
			case d.State == state.Delivered && !d.Updated.Before(before.at):
				before = told{ev: k.Event, receipt: cmp.Or(d.Ref, before.receipt), at: d.Updated, retracted: strings.HasPrefix(d.Reason, Retracted)}
			}
		}
	}
	return before, false
}

// Unused returns the ids of the deliveries of the step for earlier events of the response that told nothing and will not, since it was
// told last. busy: one of them is being made at this moment.
func (o *Owed) Unused(ev *event.Event, all []Known) (ids []string, busy bool) {
	for i := range all {
		k := &all[i]
		if k.Event.ID == ev.ID {
			break
		}
		if k.Outcome == nil {
			continue
		}
		for j := range k.Outcome.Deliveries {
			d := &k.Outcome.Deliveries[j]
			switch {
			case d.Origin != o.Delivery.Origin || d.Step != o.Delivery.Step:
			case d.State == state.Delivered:
				ids = nil // it has used what those before it reserved
			case d.State == state.Waiting && d.Leased:
				busy = true
			default:
				ids = append(ids, d.ID)
			}
		}
	}
	return ids, busy
}

// retract turns a delivery that is skipped into the retraction of what was told before, if the step retracts and something was.
func (o *Owed) retract(skip Look, ev *event.Event, all []Known, before told) (Look, error) {
	if o.Step == nil || !o.Step.Retract || before.receipt == "" || before.retracted {
		return skip, nil
	}
	var then []*event.Event
	for i := range all {
		if e := all[i].Event; !e.Received.After(before.at) || e.ID == before.ev.ID {
			then = append(then, e)
		}
	}
	fold := response.Fold(then)
	if fold == nil {
		return skip, nil
	}
	whole, err := fold.Event(ev)
	if err != nil {
		return Look{}, err
	}
	return Look{Event: whole, Receipt: before.receipt, Retract: true, Note: Retracted + before.ev.ID}, nil
}

// Guarded keeps a delivery back during quiet hours.
func (o *Owed) Guarded(look Look, now time.Time) Look {
	if end := o.AtDue.Guard.Quiet.End(now); !end.IsZero() {
		return Look{Wait: end, Reason: quietReason(o.AtDue)}
	}
	return look
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// newer returns the newest event behind ev that owes the same step a delivery too, or may still owe it because it is not decided yet.
func (o *Owed) newer(ev *event.Event, all []Known) (found *event.Event, pending bool) {
	behind := false
	for i := range all {
		k := &all[i]
		if k.Event.ID == ev.ID {
			behind = true
			continue
		}
		switch {
		case !behind || !o.AtDue.Match.AcceptsType(k.Event.Type) || o.AtDue.IsUnfinished(k.Event.Type) != o.AtDue.IsUnfinished(ev.Type):
		case k.Outcome == nil:
			return k.Event, true
		case k.Outcome.Dead == "" && owesStep(k.Outcome, &o.Delivery):
			found = k.Event
		}
	}
	return found, false
}

// owesStep reports whether an event owes a delivery to the step of another.
func owesStep(o *state.Outcome, to *state.Delivery) bool {
	for i := range o.Deliveries {
		if d := &o.Deliveries[i]; d.Origin == to.Origin && d.Step == to.Step {
			return true
		}
	}
	return false
}

// whyNot returns why a condition is not true of an event; empty: it is. failed: it could not be evaluated.
func whyNot(when *expression.Condition, ev *event.Event) (why string, failed bool) {
	switch res := when.Match(ev); {
	case res.Err != nil:
		return "its condition failed: " + res.Err.Error(), true
	case res.Truth == expression.True:
		return "", false
	case res.Truth == expression.False:
		return "`" + when.String() + "` is false", false
	case len(res.Missing) > 0:
		return "`" + when.String() + "` is unknown: it has no " + strings.Join(res.Missing, ", "), false
	case len(res.Faults) > 0:
		return "`" + when.String() + "` is unknown: " + strings.Join(res.Faults, "; "), false
	default:
		return "`" + when.String() + "` is unknown", false
	}
}

// Whole explains a deferred rule for the response as it stands.
func Whole(r *rules.Rule, ev *event.Event) rules.Explanation {
	own := *r
	own.Deferred = nil
	own.Disabled = false
	for _, e := range rules.NewSet([]*rules.Rule{&own}).Explain(ev) {
		return e
	}
	return rules.Explanation{Rule: r}
}
