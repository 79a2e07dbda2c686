package statetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// clocks are the tests of a system clock that is changed while the store is open, or closed.
var clocks = []test{
	{name: "a step back delays nothing", run: func(s *suite) {
		for _, way := range []struct {
			name string
			step func()
		}{
			{"open", func() { s.h.Step(-time.Hour) }},
			{"restarted", func() { s.h.Step(-time.Hour); s.h.Reopen() }},
			{"stopped", func() { s.h.ReopenStepped(-time.Hour) }},
		} {
			name := way.name
			s.waiting(name, s.h.Now().Add(10*time.Minute), name)
			way.step()
			s.noneDue()
			if _, next := s.claimDue(1); next.IsZero() || next.After(s.h.Now().Add(10*time.Minute)) {
				s.Fatalf("%s: next in %v, want 10m", name, next.Sub(s.h.Now()))
			}
			s.h.Advance(10*time.Minute - time.Second)
			s.noneDue()
			s.h.Advance(time.Second)
			d := s.oneDue()
			s.same("due", d.Delivery.Destination, name)
			d.Delivery.State = state.Delivered
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		}
	}},
	{name: "deliveries scheduled after a step wait for the right time", run: func(s *suite) {
		for i, step := range []time.Duration{-time.Hour, 2 * time.Hour, -time.Hour, -24 * time.Hour, 365 * 24 * time.Hour} {
			s.h.Step(step)
			name := fmt.Sprint("d", i)
			e := s.waiting(name, s.h.Now().Add(2*time.Minute), name)
			s.noneDue()
			s.h.Advance(2 * time.Minute)
			d := s.oneDue()
			d.Delivery.Due, d.Delivery.Leased = s.h.Now().Add(5*time.Minute), false
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
			s.noneDue()
			done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: id(e, name), Due: s.h.Now().Add(time.Minute)}})
			s.ok(err)
			s.same("scheduled", done, []bool{true})
			s.noneDue()
			s.h.Advance(time.Minute)
			d = s.oneDue()
			d.Delivery.State = state.Delivered
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		}
	}},
	{name: "a step forward and back delays nothing", run: func(s *suite) {
		s.waiting("before", s.h.Now().Add(3*time.Hour), "before")
		s.h.Step(time.Hour)
		s.waiting("between", s.h.Now().Add(10*time.Minute), "between")
		s.h.Step(-time.Hour)
		s.noneDue()
		s.h.Advance(10 * time.Minute)
		s.same("due", s.oneDue().Delivery.Destination, "between")
		s.h.Reopen()
		s.same("due again after a restart", s.oneDue().Delivery.Destination, "between")
		s.h.Advance(2*time.Hour + 50*time.Minute)
		got, _ := s.claimDue(10)
		s.sameSet("due", destinationsOf(got), []string{"before", "between"}) // the lease has ended too
	}},
	{name: "a step changes no lease", run: func(s *suite) {
		for _, step := range []time.Duration{-time.Hour, time.Hour, -48 * time.Hour, 49 * time.Hour} {
			s.waiting(step.String(), s.h.Now(), "crm")
			s.oneDue()
			s.h.Step(step)
			s.noneDue()
			s.h.Advance(leaseTime - time.Second)
			s.noneDue()
			s.h.Advance(time.Second)
			d := s.oneDue()
			s.h.Step(step)
			d.Delivery.State = state.Delivered
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		}
	}},
	{name: "a running attempt that was handed over settles after a step", run: func(s *suite) {
		for _, step := range []time.Duration{-time.Hour, time.Hour} {
			e := s.event(acme, step.String())
			s.append(e)
			at := s.h.Now().Add(30 * time.Second)
			s.commit(outcome(s.claim(1)[0], s.owe(e, "crm", state.Waiting, due(at), func(d *state.Delivery) { d.Leased = true })))
			s.h.Step(step)
			s.noneDue()
			s.h.Advance(10 * time.Second)
			d := s.delivery(id(e, "crm"))
			if _, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: d.ID}}); err != nil {
				s.Fatal(err)
			}
			s.noneDue() // its holder still has it
			ended := *d
			ended.State = state.Delivered
			s.same("fence", s.settle(state.Settled{Delivery: ended, Lease: at}), []bool{true})
		}
	}},
	{name: "events of a dead holder are claimed again after a step back", run: func(s *suite) {
		s.waiting("leased", s.h.Now(), "crm")
		s.oneDue()
		s.accept("held")
		s.claim(1)
		s.h.Step(-time.Hour)
		s.h.Crash()
		s.same("claimed", keysOf(s.claim(1)), []string{"held"})
		s.same("due", s.oneDue().Delivery.Destination, "crm")
	}},
	{name: "a step changes no hold", run: func(s *suite) {
		for i, step := range []time.Duration{-time.Hour, 2 * time.Hour, -time.Hour} {
			if step > 0 {
				s.h.Step(step)
			}
			s.waiting(fmt.Sprint(i), s.h.Now(), "crm")
			h := state.Hold{Kind: state.HoldCircuit, Until: s.h.Now().Add(5 * time.Minute), Since: s.h.Now()}
			s.ok(s.store().Hold(s.ctx, acme, "crm", h, nil))
			if step < 0 {
				s.h.Step(step)
			}
			s.noneDue()
			s.h.Advance(5*time.Minute - time.Second)
			s.noneDue()
			onHold, err := s.store().Holds(s.ctx, acme)
			s.ok(err)
			s.same("holds", len(onHold), 1)
			s.h.Advance(time.Second)
			onHold, err = s.store().Holds(s.ctx, acme)
			s.ok(err)
			s.same("holds", len(onHold), 0)
			d := s.oneDue()
			d.Delivery.State = state.Delivered
			s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease})
		}
	}},
	{name: "a step changes no name, key of once or item", run: func(s *suite) {
		s.h.Step(time.Hour)
		_, err := s.store().Lease(s.ctx, "trim", "one", time.Minute)
		s.ok(err)
		once := func(owner string) string {
			s.Helper()
			owners, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "k", Owner: owner}}, time.Minute)
			s.ok(err)
			return owners[0]
		}
		once("one")
		s.ok(s.store().Keep(s.ctx, acme, "list", []byte("item"), 10, time.Minute))
		s.h.Step(-time.Hour)
		s.h.Advance(time.Minute - time.Second)
		if _, err = s.store().Lease(s.ctx, "trim", "two", time.Minute); !errors.Is(err, state.ErrConflict) {
			s.Fatalf("taken from its holder: %v", err)
		}
		s.same("owner", once("two"), "one")
		kept, err := s.store().Kept(s.ctx, acme, "list", 0, -1)
		s.ok(err)
		s.same("kept", len(kept), 1)
		s.h.Advance(time.Second)
		_, err = s.store().Lease(s.ctx, "trim", "two", time.Minute)
		s.ok(err)
		s.same("owner", once("two"), "two")
		kept, err = s.store().Kept(s.ctx, acme, "list", 0, -1)
		s.ok(err)
		s.same("kept", len(kept), 0)
	}},
	{name: "retention removes nothing because of a step forward that was undone", run: func(s *suite) {
		const far = 10 * 365 * 24 * time.Hour
		s.h.Step(far)
		s.waiting("far", s.h.Now().Add(time.Hour), "crm")
		s.h.Step(-far)
		e := s.waiting("a", s.h.Now().Add(time.Hour), "crm")
		dead := s.finished("b", "mail", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		done := s.trim(state.Retention{
			Events: state.Bound{Age: time.Hour}, Dedupe: state.Bound{Age: time.Hour}, History: state.HistoryBound{Age: time.Hour},
			Dead: state.Bound{Age: time.Hour}, Waiting: state.WaitingBound{Age: time.Hour},
		})
		s.same("trimmed", *done, state.Trimmed{})
		s.same("state", s.delivery(id(e, "crm")).State, state.Waiting)
		if d := s.delivery(id(dead, "mail")); d.State != state.Dead || len(d.Log) != 1 {
			s.Fatalf("got %+v", d)
		}
		s.same("again", s.append(s.event(acme, "a"))[0].Duplicate, true)
	}},
	{name: "health warns that the clock was set back", run: func(s *suite) {
		says := func() string {
			for _, w := range s.store().Health(s.ctx).Warnings {
				if strings.Contains(w, "set back by 1h0m0s") {
					return w
				}
			}
			return ""
		}
		s.same("before", says(), "")
		s.h.Step(-time.Hour)
		if says() == "" {
			s.Error("nothing is said of a step back")
		}
		s.h.Step(time.Hour)
		s.same("when it was set forward again", says(), "")
		s.h.ReopenStepped(-time.Hour)
		if says() == "" {
			s.Error("nothing is said of a step back during a stop")
		}
		s.h.Advance(25 * time.Hour)
		s.same("a day later", says(), "")
	}},
}
