package state

import (
	"context"

	"github.com/surveygate/surveygate/rules/event"
)

// Erasing removes what a person wrote, before retention does.
type Erasing interface {
	// Erase removes the content of events of a tenant: their data and raw bytes, former revisions, the entries by which they are
	// found by response and respondent, and of their deliveries the texts of requests and answers, all reasons, and the products' own
	// ids. Event.IsErased of what is left; it has its id, position, type, source, survey, times, proof and revision. Its id
	// still recognises duplicates, and its deliveries and attempts still count. Waiting and dead deliveries end as Dropped, and
	// an event that is a dead letter is one no longer; reasons that there were become ErasedReason.
	//
	// It returns one result for each id, in their order. An event is erased as a whole or left as it is (Erased.Busy); then the
	// caller asks again a little later. An event that was erased is erased again, which changes nothing, or ends what a crash
	// interrupted. At most MaxErase ids are taken together.
	//
	// Schedule and Revise treat an erased event as one that is no longer kept, and attempts behind a lost fence no longer enter
	// its history.
	Erase(ctx context.Context, tenant string, ids []string) ([]Erased, error)

	// EraseAttempts removes from deliveries of a tenant the texts of requests and answers, and all reasons, as Erase does; they and
	// their events stay. It is for those whose requests or answers name a person of another event, as those of a batch do. It
	// returns how many of them are kept. At most MaxErase ids are taken together.
	EraseAttempts(ctx context.Context, tenant string, ids []string) (int, error)

	// Weed removes the items of a list that drop selects, and returns how many they were. drop gets items that have expired too,
	// and must be quick.
	Weed(ctx context.Context, tenant, list string, drop func(item []byte) bool) (int, error)
}

// MaxErase is how many events one call of Erase may name.
const MaxErase = 100

// ErasedReason is the reason of deliveries that ended because their event was erased, and what stands for a reason that
// was erased.
const ErasedReason = "erased"

// Why an event is not erased yet.
const (
	BusyPending  = "it is still being decided"
	BusyLeased   = "one of its deliveries is being attempted"
	BusyBeside   = "events that are stored beside it are still being decided"
	BusyCounting = "the store counts what tenants have, after an upgrade"
)

// Erased is what Erase did with an event.
type Erased struct {
	ID string
	// Found: the event is kept.
	Found bool
	// Busy is why it is not erased yet; empty: it is erased.
	Busy string
	// Before: it was erased by an earlier call.
	Before bool
	// Ended are the deliveries that waited or were dead, with the state that they had.
	Ended []Delivery
	// Deliveries and Attempts count all deliveries of the event, and the attempts of them that were kept.
	Deliveries, Attempts int
}

// Erase removes from a delivery what may contain words of a person. It changes the attempts of its Log in place.
func (d *Delivery) Erase() {
	d.Ref = ""
	d.EraseTexts()
}

// EraseTexts removes from a delivery what EraseAttempts removes. It changes the attempts of its Log in place.
func (d *Delivery) EraseTexts() {
	d.Reason = eraseReason(d.Reason)
	for i := range d.Log {
		a := &d.Log[i]
		a.Reason, a.Request, a.Response = eraseReason(a.Reason), nil, nil
	}
}

// Erase removes from a decision and its deliveries what may contain words of a person. It changes Rules and Deliveries in place.
func (o *Outcome) Erase() {
	o.Dead = eraseReason(o.Dead)
	for i := range o.Rules {
		o.Rules[i].Err = eraseReason(o.Rules[i].Err)
	}
	for i := range o.Deliveries {
		o.Deliveries[i].Erase()
	}
}

func eraseReason(reason string) string {
	if reason == "" {
		return ""
	}
	return ErasedReason
}

// IsErasedEnvelope reports whether an event is kept with its content erased; false also for one that cannot be read.
func IsErasedEnvelope(envelope []byte) bool {
	ev, err := event.Decode(envelope, nil)
	return err == nil && ev.IsErased()
}
