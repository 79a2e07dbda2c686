package statetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// walks do everything at once at random, compare the store with a naive model, and then take everything away again.
var walks = []test{
	{name: "agrees with a model", run: func(s *suite) { s.walk(11) }},
	{name: "agrees with a model with small caches and short trims", opts: Options{Small: true, ShortTrims: true}, run: func(s *suite) { s.walk(13) }},
}

// walk is a history whose destinations are also put on hold, forgotten and bounded, while holders crash.
func (s *suite) walk(seed uint64) {
	h := newHistory(s, seed)
	holds := map[string]state.Hold{}
	for range Few(3, 1) {
		for range Few(40, 15) {
			h.step()
			h.disturb(holds)
		}
		h.check()
		h.standing(holds)
	}
	h.drain(holds)
}

// disturb does what pages do not depend on.
func (h *history) disturb(holds map[string]state.Hold) {
	h.Helper()
	name := pick(h.rng, someDestinations)
	switch h.rng.IntN(16) {
	case 0, 1:
		hold := state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: h.h.Now()}
		if h.rng.IntN(2) == 0 {
			hold = state.Hold{Kind: state.HoldRate, Since: h.h.Now(), Until: h.h.Now().Add(time.Duration(1+h.rng.IntN(90)) * time.Second)}
		}
		h.ok(h.h.Second().Hold(h.ctx, acme, name, hold, nil))
		holds[name] = hold
	case 2:
		h.ok(h.store().Hold(h.ctx, acme, name, state.Hold{}, nil))
		delete(holds, name)
	case 3, 4:
		done, err := h.store().Forget(h.ctx, acme, name, nil)
		if err != nil && !errors.Is(err, state.ErrConflict) {
			h.Fatal(err)
		}
		if done {
			delete(holds, name)
		}
	case 5:
		h.trim(state.Retention{Waiting: state.WaitingBound{Count: 2 + h.rng.IntN(4)}})
	case 6:
		h.trim(state.Retention{Waiting: state.WaitingBound{Age: time.Duration(1+h.rng.IntN(5)) * time.Minute}})
	case 7:
		if h.rng.IntN(3) == 0 {
			// A power cut undoes commits that no later call has synced. The model does not know which: so everything is synced.
			h.ok(h.store().Hold(h.ctx, "other", "nobody", state.Hold{}, nil))
			h.h.Crash()
		}
	case 8:
		h.addCounts(h.store(), count(name, h.h.Now(), 1))
	}
}

// standing compares Standing with the deliveries and the holds.
func (h *history) standing(holds map[string]state.Hold) {
	h.Helper()
	want := make([]state.Standing, len(someDestinations))
	for i, name := range someDestinations {
		want[i].Destination = name
		if hold := holds[name]; hold.Until.IsZero() || hold.Until.After(h.h.Now()) {
			want[i].Hold = hold
		}
	}
	for _, d := range h.read() {
		of := &want[slices.Index(someDestinations, d.Destination)]
		switch d.State {
		case state.Waiting:
			if of.Waiting++; of.OldestWaiting.IsZero() || d.Created.Before(of.OldestWaiting) {
				of.OldestWaiting = d.Created
			}
		case state.Dead:
			of.Dead++
		}
	}
	got, err := h.h.Second().Standing(h.ctx, acme, someDestinations)
	h.ok(err)
	h.same("standing", got, want)
	known := h.known(acme)
	for _, of := range want {
		if something := of.Waiting > 0 || of.Dead > 0 || of.Hold != (state.Hold{}); something && !slices.Contains(known, of.Destination) {
			h.Fatalf("%+v is not known", of)
		}
	}
}

// drain delivers what waits, and has retention remove everything.
func (h *history) drain(holds map[string]state.Hold) {
	h.Helper()
	for name := range holds {
		h.ok(h.store().Hold(h.ctx, acme, name, state.Hold{}, nil))
	}
	for _, c := range h.claim(int(h.store().Health(h.ctx).Pending)) { // a crash undid their commits
		h.commit(outcome(c))
	}
	h.h.Advance(time.Hour)
	waiting := map[string]bool{}
	for _, d := range h.read() {
		if d.State == state.Waiting {
			waiting[d.ID] = true
		}
	}
	for {
		due, _ := h.claimDue(50)
		if len(due) == 0 {
			break
		}
		var settled []state.Settled
		for _, d := range due {
			delete(waiting, d.Delivery.ID)
			d.Delivery.State = state.Delivered
			tried(d.Delivery.Attempts+1, h.h.Now(), "delivered", 200)(&d.Delivery)
			settled = append(settled, state.Settled{Delivery: d.Delivery, Lease: d.Lease})
		}
		for i, held := range h.settle(settled...) {
			if !held {
				h.Fatalf("the fence of %s was lost", settled[i].Delivery.ID)
			}
		}
	}
	if len(waiting) > 0 {
		h.Fatalf("%v wait and are never due", waiting)
	}
	h.h.Advance(time.Hour)
	age := state.Bound{Age: time.Minute}
	for range 3 { // an event ends after its last reference
		h.trimRound(state.Retention{Events: age, Dedupe: age, Dead: age, History: state.HistoryBound{Age: age.Age}})
	}
	for _, tenant := range []string{acme, "other"} {
		h.same("known of "+tenant, h.known(tenant), []string{})
	}
	health := h.store().Health(h.ctx)
	h.same("left", fmt.Sprint(health.Events, health.Waiting, health.Dead, health.Pending), "0 0 0 0")
}
