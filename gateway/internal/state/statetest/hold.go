package statetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

var holds = []test{
	{name: "keeps a destination from being served, however much waits, and is lifted", run: func(s *suite) {
		for _, k := range numbered(20) {
			s.waiting(k, s.h.Now(), "crm")
		}
		s.waiting("other", s.h.Now(), "mail")
		h := state.Hold{Kind: state.HoldRevoked, Reason: "401", Fingerprint: "f1", Since: s.h.Now()}
		s.ok(s.store().Hold(s.ctx, acme, "crm", h, nil))
		got, _ := s.claimDue(100)
		s.same("served", destinationsOf(got), []string{"mail"})
		onHold, err := s.store().Holds(s.ctx, acme)
		s.ok(err)
		s.same("holds", onHold, []state.DestinationOnHold{{Tenant: acme, Destination: "crm", Hold: h, Waiting: 20}})
		s.ok(s.store().Hold(s.ctx, acme, "crm", state.Hold{}, nil))
		if got, _ = s.claimDue(100); len(got) != 20 {
			s.Fatalf("%d served after it was lifted", len(got))
		}
		onHold, err = s.store().Holds(s.ctx, acme)
		s.ok(err)
		s.same("holds", onHold, []state.DestinationOnHold{})
	}},
	{name: "ends at its time", run: func(s *suite) {
		s.waiting("a", s.h.Now(), "crm")
		s.ok(s.store().Hold(s.ctx, acme, "crm", state.Hold{Kind: state.HoldRate, Until: s.h.Now().Add(time.Minute)}, nil))
		s.noneDue()
		s.h.Advance(time.Minute)
		s.oneDue()
		onHold, err := s.store().Holds(s.ctx, acme)
		s.ok(err)
		s.same("holds", onHold, []state.DestinationOnHold{})
	}},
	{name: "applies to deliveries that are scheduled later", run: func(s *suite) {
		s.ok(s.store().Hold(s.ctx, acme, "crm", state.Hold{Kind: state.HoldPaused, Reason: "by hand"}, nil))
		e := s.waiting("a", s.h.Now(), "crm")
		s.noneDue()
		done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: id(e, "crm")}})
		s.ok(err)
		s.same("scheduled", done, []bool{true})
		s.noneDue()
		s.ok(s.store().Hold(s.ctx, acme, "crm", state.Hold{}, nil))
		s.oneDue()
	}},
	{name: "belongs to one tenant", run: func(s *suite) {
		s.waiting("a", s.h.Now(), "crm")
		s.waitingOf("zeta", "b", s.h.Now(), "crm")
		s.ok(s.store().Hold(s.ctx, acme, "crm", state.Hold{Kind: state.HoldPaused}, nil))
		s.same("tenant", s.oneDue().Delivery.Tenant, "zeta")
		all, err := s.store().Holds(s.ctx, "*")
		s.ok(err)
		others, err := s.store().Holds(s.ctx, "zeta")
		s.ok(err)
		if len(all) != 1 || len(others) != 0 {
			s.Fatalf("%d holds of all, %d of the other", len(all), len(others))
		}
	}},
	{name: "replaces the hold it was decided by, and no later one", run: func(s *suite) {
		circuit := state.Hold{Kind: state.HoldCircuit, Reason: "503", Since: s.h.Now(), Until: s.h.Now().Add(time.Minute)}
		longer, paused := circuit, state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: s.h.Now()}
		longer.Until = s.h.Now().Add(time.Hour)
		stands := func(what string, want ...state.DestinationOnHold) {
			onHold, err := s.store().Holds(s.ctx, acme)
			s.ok(err)
			if len(want) == 0 {
				want = []state.DestinationOnHold{}
			}
			s.same(what, onHold, want)
		}
		of := func(h state.Hold) state.DestinationOnHold {
			return state.DestinationOnHold{Tenant: acme, Destination: "crm", Hold: h}
		}
		hold := func(h, over state.Hold) error { return s.store().Hold(s.ctx, acme, "crm", h, &over) }

		s.ok(hold(circuit, state.Hold{}))
		s.ok(hold(longer, circuit))
		s.ok(s.store().Hold(s.ctx, acme, "crm", paused, nil))
		for _, late := range []struct{ h, over state.Hold }{{circuit, state.Hold{}}, {circuit, longer}, {state.Hold{}, longer}} {
			if err := hold(late.h, late.over); !errors.Is(err, state.ErrConflict) {
				s.Errorf("%+v over %+v: %v", late.h, late.over, err)
			}
		}
		stands("what was put on by hand", of(paused))
		s.ok(hold(state.Hold{}, paused))
		stands("lifted")
		s.ok(hold(circuit, paused)) // no hold is in force
		s.h.Advance(time.Minute)
		s.ok(hold(longer, state.Hold{})) // a hold that has ended is not in force
		stands("after one that is over", of(longer))
	}},
	{name: "is kept without a delivery, over a restart", run: func(s *suite) {
		h := state.Hold{Kind: state.HoldGone, Reason: "410", Fingerprint: "u", Since: s.h.Now()}
		s.ok(s.store().Hold(s.ctx, acme, "hook", h, nil))
		s.h.Crash()
		onHold, err := s.store().Holds(s.ctx, "*")
		s.ok(err)
		s.same("holds", onHold, []state.DestinationOnHold{{Tenant: acme, Destination: "hook", Hold: h}})
		s.waiting("a", s.h.Now(), "hook")
		s.noneDue()
	}},
}

var standings = []test{
	{name: "has counts, the age of the oldest and the hold, by destination and tenant", run: func(s *suite) {
		began := s.h.Now()
		for _, k := range numbered(3) {
			s.waiting(k, s.h.Now().Add(time.Hour), "crm")
			s.h.Advance(time.Minute)
		}
		s.waiting("other", s.h.Now().Add(time.Hour), "mail")
		s.waitingOf("zeta", "foreign", s.h.Now().Add(time.Hour), "crm")
		s.finished("failed", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 422))
		s.finished("done", "done", state.Delivered, tried(1, s.h.Now(), "delivered", 200))
		paused := state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: s.h.Now()}
		s.ok(s.store().Hold(s.ctx, acme, "crm", paused, nil))
		s.ok(s.store().Hold(s.ctx, acme, "idle", paused, nil))
		s.ok(s.store().Hold(s.ctx, "zeta", "idle", paused, nil))
		s.ok(s.store().Hold(s.ctx, acme, "mail", state.Hold{Kind: state.HoldRate, Until: s.h.Now().Add(time.Minute)}, nil))
		s.ok(s.store().Hold(s.ctx, acme, "ended", state.Hold{Kind: state.HoldRate, Until: s.h.Now().Add(time.Minute)}, nil))
		s.h.Advance(time.Minute)
		standing := func(tenant string, names []string) []state.Standing {
			got, err := s.store().Standing(s.ctx, tenant, names)
			s.ok(err)
			for i := range got {
				got[i].OldestWaiting = got[i].OldestWaiting.Truncate(time.Millisecond)
			}
			return got
		}
		crm := state.Standing{Destination: "crm", Waiting: 3, OldestWaiting: began, Dead: 1, Hold: paused}
		mail := state.Standing{Destination: "mail", Waiting: 1, OldestWaiting: began.Add(3 * time.Minute)}
		s.same("named", standing(acme, []string{"mail", "crm", "none", "crm"}), []state.Standing{mail, crm, {Destination: "none"}, crm})
		s.same("all that are known", standing(acme, nil), []state.Standing{crm, {Destination: "done"}, {Destination: "idle", Hold: paused}, mail})
		s.same("another tenant's", standing("zeta", nil), []state.Standing{
			{Destination: "crm", Waiting: 1, OldestWaiting: mail.OldestWaiting}, {Destination: "idle", Hold: paused},
		})
		s.same("none asked for", standing(acme, []string{}), []state.Standing{})
		s.same("of an unknown tenant", standing("none", nil), []state.Standing{})
		s.ok(s.store().Drop(s.ctx, acme, id(s.event(acme, numbered(1)[0]), "crm")))
		crm.Waiting, crm.OldestWaiting = 2, began.Add(time.Minute)
		s.same("after the oldest has left", standing(acme, []string{"crm"}), []state.Standing{crm})
		s.h.Reopen()
		s.same("after a restart", standing(acme, []string{"crm", "mail"}), []state.Standing{crm, mail})
	}},
}

var testDeliveries = []test{
	{name: "test deliveries are kept as what they are", run: func(s *suite) {
		e := s.event(acme, "test")
		s.append(e)
		d := s.owe(e, "crm", state.Waiting, due(s.h.Now()))
		d.Origin = state.Origin{Kind: state.Test, Name: "crm"}
		s.commit(outcome(s.claim(1)[0], d))
		got, err := s.store().Delivery(s.ctx, acme, d.ID)
		s.ok(err)
		s.same("origin", got.Origin, d.Origin)
		s.same("claimed", s.oneDue().Delivery.Origin, d.Origin)
	}},
}

var schedules = []test{
	{name: "moves waiting deliveries", run: func(s *suite) {
		e := s.waiting("a", s.h.Now().Add(time.Hour), "crm")
		done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: id(e, "crm"), Reason: "retry now"}})
		s.ok(err)
		s.same("scheduled", done, []bool{true})
		d := s.oneDue()
		if d.Delivery.Reason != "retry now" || d.Delivery.Origin.Name != "rule-crm" {
			s.Fatalf("got %+v", d.Delivery)
		}
		s.h.Advance(2 * time.Hour)
		s.oneDue() // when the lease ends, and only once
		s.noneDue()
	}},
	{name: "leaves leased deliveries alone", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		d := s.oneDue()
		done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: id(e, "crm")}})
		s.ok(err)
		s.same("scheduled", done, []bool{false})
		d.Delivery.State = state.Delivered
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
	}},
	{name: "moves dead letters, with their history", run: func(s *suite) {
		e := s.finished("a", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 422))
		at := s.h.Now().Add(time.Minute)
		done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: id(e, "crm"), Due: at}})
		s.ok(err)
		s.same("scheduled", done, []bool{true})
		if h := s.store().Health(s.ctx); h.Dead != 0 || h.Waiting != 1 {
			s.Fatalf("%d dead, %d waiting", h.Dead, h.Waiting)
		}
		s.noneDue()
		s.h.Advance(time.Minute)
		d := s.oneDue()
		tried(2, s.h.Now(), "delivered", 200)(&d.Delivery)
		d.Delivery.State = state.Delivered
		s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease})
		got := s.delivery(id(e, "crm"))
		if got.State != state.Delivered || len(got.Log) != 2 || got.Attempts != 2 {
			s.Fatalf("got %+v", got)
		}
	}},
	{name: "replays delivered ones, with the same id or a fresh one", run: func(s *suite) {
		e := s.finished("a", "crm", state.Delivered, tried(1, s.h.Now(), "delivered", 200))
		replay := s.owe(e, "crm", state.Waiting, func(d *state.Delivery) { d.Reason, d.Attempts = "replay", 1 })
		fresh := replay
		fresh.ID = "dl_" + e.ID + "_freshfreshfre"
		done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{replay, fresh})
		s.ok(err)
		s.same("scheduled", done, []bool{true, true})
		got, _ := s.claimDue(10)
		if len(got) != 2 {
			s.Fatalf("%d due", len(got))
		}
		if d := s.delivery(replay.ID); d.State != state.Waiting || len(d.Log) != 1 {
			s.Fatalf("got %+v", d)
		}
		s.same("deliveries of the event", len(s.record(e.ID).Outcome.Deliveries), 2)
	}},
	{name: "begins a fresh retry schedule", run: func(s *suite) {
		dead := s.finished("a", "crm", state.Dead, tried(9, s.h.Now(), "retry", 503))
		s.same("forgiven", s.delivery(id(dead, "crm")).Forgiven, 0)
		_, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: id(dead, "crm")}})
		s.ok(err)
		s.h.Reopen()
		d := s.oneDue()
		s.same("attempts", []int{d.Delivery.Attempts, d.Delivery.Forgiven}, []int{9, 9})

		// The queue and history show what the commit said.
		tried(10, s.h.Now(), "retry", 503)(&d.Delivery)
		d.Delivery.State = state.Waiting
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		d = s.oneDue()
		s.same("attempts", []int{d.Delivery.Attempts, d.Delivery.Forgiven}, []int{10, 9})
		d.Delivery.State, d.Delivery.Forgiven = state.Delivered, 10
		s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease})
		s.same("forgiven", s.delivery(id(dead, "crm")).Forgiven, 10)
		page, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{State: state.Delivered})
		s.ok(err)
		s.same("forgiven of those listed", []int{len(page.Items), page.Items[0].Forgiven}, []int{1, 10})

		// A replay of a finished delivery.
		_, err = s.store().Schedule(s.ctx, acme, []state.Delivery{s.owe(dead, "crm", state.Waiting)})
		s.ok(err)
		d = s.oneDue()
		s.same("attempts", []int{d.Delivery.Attempts, d.Delivery.Forgiven}, []int{10, 10})
	}},
	{name: "a delivery that ended is not made again by its id alone", run: func(s *suite) {
		for i, ended := range []state.DeliveryState{state.Delivered, state.Skipped, state.Dropped} {
			e := s.finished(fmt.Sprint("at once", i), "crm", ended, tried(1, s.h.Now(), string(ended), 200))
			done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: id(e, "crm"), Reason: "retry"}})
			s.ok(err)
			s.same(fmt.Sprint("scheduled, what was ", ended), done, []bool{false})
			s.noneDue()
			s.same("state", s.delivery(id(e, "crm")).State, ended)
		}
		// It was waiting when the caller read it, and is delivered or dropped when Schedule is called.
		for i, drop := range []bool{false, true} {
			e := s.waiting(fmt.Sprint("later", i), s.h.Now(), "crm")
			if drop {
				s.ok(s.store().Drop(s.ctx, acme, id(e, "crm")))
			} else {
				d := s.oneDue()
				d.Delivery.State = state.Delivered
				s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease})
			}
			done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: id(e, "crm"), Reason: "retry"}})
			s.ok(err)
			s.same("scheduled", done, []bool{false})
			s.noneDue()
		}
	}},
	{name: "a commit keeps what is forgiven", run: func(s *suite) {
		refused := func(d *state.Delivery) { d.Forgiven = 2 }
		waits := s.finished("a", "crm", state.Waiting, tried(3, s.h.Now(), "revoked", 401), refused)
		ended := s.finished("b", "mail", state.Delivered, tried(3, s.h.Now(), "delivered", 200), refused)
		for _, id := range []string{id(waits, "crm"), id(ended, "mail")} {
			s.same("forgiven", s.delivery(id).Forgiven, 2)
		}
		s.same("forgiven of the event's", s.record(ended.ID).Outcome.Deliveries[0].Forgiven, 2)
	}},
	{name: "a delivery keeps the product's id of what was written", run: func(s *suite) {
		const ref = "7012\x00/ü"
		named := func(d *state.Delivery) { d.Ref = ref }
		for i, as := range []state.DeliveryState{state.Delivered, state.Dead, state.Waiting} {
			e := s.finished(string(rune('a'+i)), "crm", as, tried(1, s.h.Now(), "delivered", 200), named)
			s.same("ref", s.delivery(id(e, "crm")).Ref, ref)
			s.same("ref of the event's", s.record(e.ID).Outcome.Deliveries[0].Ref, ref)
		}
		waits := s.oneDue()
		s.same("ref of the due one", waits.Delivery.Ref, ref)
		waits.Delivery.State, waits.Delivery.Ref = state.Delivered, "new"
		s.settle(state.Settled{Delivery: waits.Delivery, Lease: waits.Lease})
		s.same("ref", s.delivery(waits.Delivery.ID).Ref, "new")

		page, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{State: state.Dead})
		s.ok(err)
		s.same("ref of the dead letter", page.Items[0].Ref, ref)
		done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: page.Items[0].ID}})
		s.ok(err)
		s.same("scheduled", done, []bool{true})
		s.same("ref of the one scheduled", s.oneDue().Delivery.Ref, ref)
	}},
	{name: "deliveries of unknown events are not scheduled", run: func(s *suite) {
		e := s.event(acme, "never accepted")
		done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{s.owe(e, "crm", state.Waiting)})
		s.ok(err)
		s.same("scheduled", done, []bool{false})
		s.noneDue()
	}},
	{name: "deliveries of pending events are not scheduled", run: func(s *suite) {
		e := s.accept("a")[0]
		replay := []state.Delivery{s.owe(e, "crm", state.Waiting)}
		for range 2 {
			done, err := s.store().Schedule(s.ctx, acme, replay)
			s.ok(err)
			s.same("scheduled", done, []bool{false})
		}
		c := s.claim(1)[0]
		s.commit(outcome(c, s.owe(e, "crm", state.Waiting)))
		s.oneDue()
		s.noneDue()
		s.same("waiting", s.store().Health(s.ctx).Waiting, int64(1))
	}},
	{name: "drop ends waiting deliveries and dead letters", run: func(s *suite) {
		waits := s.waiting("a", s.h.Now(), "crm")
		dead := s.finished("b", "mail", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		done := s.finished("c", "crm", state.Delivered)
		s.ok(s.store().Drop(s.ctx, acme, id(waits, "crm")))
		s.ok(s.store().Drop(s.ctx, acme, id(dead, "mail")))
		s.noneDue()
		for _, gone := range []string{id(waits, "crm"), id(done, "crm"), id(waits, "none"), "x"} {
			if err := s.store().Drop(s.ctx, acme, gone); !errors.Is(err, state.ErrNotFound) {
				s.Errorf("dropping %s: %v", gone, err)
			}
		}
		s.same("state", s.delivery(id(waits, "crm")).State, state.Dropped)
		s.same("state", s.delivery(id(dead, "mail")).State, state.Dropped)
		if h := s.store().Health(s.ctx); h.Dead != 0 || h.Waiting != 0 {
			s.Fatalf("%d dead, %d waiting", h.Dead, h.Waiting)
		}
	}},
	{name: "drop of a leased delivery is a conflict", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		d := s.oneDue()
		if err := s.store().Drop(s.ctx, acme, id(e, "crm")); !errors.Is(err, state.ErrConflict) {
			s.Fatalf("got %v", err)
		}
		s.h.Advance(leaseTime)
		s.ok(s.store().Drop(s.ctx, acme, id(e, "crm")))
		s.same("the old lease", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{false})
		s.noneDue()
	}},
	{name: "scheduling many twice is the same as once", run: func(s *suite) {
		var all []state.Delivery
		for i := range 50 {
			e := s.finished(fmt.Sprint(i), "crm", state.Delivered)
			all = append(all, s.owe(e, "crm", state.Waiting))
		}
		for range 2 {
			if _, err := s.store().Schedule(s.ctx, acme, all); err != nil {
				s.Fatal(err)
			}
		}
		got, _ := s.claimDue(200)
		if len(got) != 50 {
			s.Fatalf("%d due", len(got))
		}
		if got, _ = s.claimDue(200); len(got) != 0 {
			s.Fatalf("%d due again", len(got))
		}
	}},
}
