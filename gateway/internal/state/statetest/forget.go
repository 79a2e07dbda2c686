package statetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

var forgets = []test{
	{name: "removes a destination of which nothing but its hold is left", run: func(s *suite) {
		paused := state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: s.h.Now()}
		s.ok(s.store().Hold(s.ctx, acme, "crm", paused, nil))
		s.ok(s.store().Hold(s.ctx, "zeta", "crm", paused, nil))
		s.forgotten("crm", true)
		s.same("acme", s.known(acme), []string{})
		s.same("another tenant's", s.known("zeta"), []string{"crm"})
		s.forgotten("crm", true)
		s.forgotten("never seen", true)
		s.h.Reopen()
		s.same("after a restart", s.known(acme), []string{})
		s.waiting("a", s.h.Now(), "crm")
		s.same("due", s.oneDue().Delivery.Destination, "crm")
	}},
	{name: "is refused while deliveries wait or are leased", run: func(s *suite) {
		s.waiting("a", s.h.Now(), "crm")
		s.waiting("b", s.h.Now().Add(time.Hour), "crm")
		paused := state.Hold{Kind: state.HoldPaused, Since: s.h.Now()}
		refused := func(n int) {
			s.Helper()
			done, err := s.store().Forget(s.ctx, acme, "crm", nil)
			if done || !errors.Is(err, state.ErrConflict) || !strings.Contains(err.Error(), fmt.Sprintf("%d deliveries wait", n)) {
				s.Fatalf("%v, %v", done, err)
			}
		}
		refused(2)
		d := s.oneDue()
		s.ok(s.store().Hold(s.ctx, acme, "crm", paused, nil))
		refused(2)
		d.Delivery.State = state.Skipped
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		refused(1)
		onHold, err := s.store().Holds(s.ctx, acme)
		s.ok(err)
		s.same("the hold stays", onHold, []state.DestinationOnHold{{Tenant: acme, Destination: "crm", Hold: paused, Waiting: 1}})
	}},
	{name: "leaves dead letters and history to retention", run: func(s *suite) {
		e := s.finished("a", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 422))
		s.ok(s.store().Hold(s.ctx, acme, "crm", state.Hold{Kind: state.HoldPaused, Since: s.h.Now()}, nil))
		s.forgotten("crm", false)
		got, err := s.store().Delivery(s.ctx, acme, id(e, "crm"))
		s.ok(err)
		s.same("state", got.State, state.Dead)
		s.same("known", s.known(acme), []string{"crm"})
		s.h.Advance(2 * time.Hour)
		s.trim(state.Retention{Dead: state.Bound{Age: time.Hour}})
		s.forgotten("crm", false)
		page, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{Destination: "crm"})
		s.ok(err)
		if len(page.Items) == 0 {
			s.Fatal("its history is gone")
		}
		s.trim(state.Retention{History: state.HistoryBound{Age: time.Hour}})
		s.same("known by its hold", s.known(acme), []string{"crm"})
		s.forgotten("crm", true)
		s.same("known", s.known(acme), []string{})
	}},
	{name: "removes the hold it was decided by, and no later one", run: func(s *suite) {
		old := state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: s.h.Now()}
		s.ok(s.store().Hold(s.ctx, acme, "crm", old, nil))
		later := state.Hold{Kind: state.HoldPaused, Reason: "again", Since: s.h.Now().Add(time.Second)}
		s.ok(s.store().Hold(s.ctx, acme, "crm", later, nil))
		if done, err := s.store().Forget(s.ctx, acme, "crm", &old); done || !errors.Is(err, state.ErrConflict) {
			s.Fatalf("%v, %v", done, err)
		}
		onHold, err := s.store().Holds(s.ctx, acme)
		s.ok(err)
		s.same("the later hold stays", onHold, []state.DestinationOnHold{{Tenant: acme, Destination: "crm", Hold: later}})
		done, err := s.store().Forget(s.ctx, acme, "crm", &later)
		s.ok(err)
		s.same("forgotten", done, true)
		rate := state.Hold{Kind: state.HoldRate, Since: s.h.Now(), Until: s.h.Now().Add(time.Minute)}
		s.ok(s.store().Hold(s.ctx, acme, "crm", rate, nil))
		s.h.Advance(time.Minute)
		done, err = s.store().Forget(s.ctx, acme, "crm", &old) // no hold is in force
		s.ok(err)
		s.same("forgotten after the end of a hold", done, true)
	}},
	{name: "is done by retention where there is no hold in force", run: func(s *suite) {
		s.finished("a", "crm", state.Delivered, tried(1, s.h.Now(), "delivered", 200))
		s.finished("b", "mail", state.Delivered, tried(1, s.h.Now(), "delivered", 200))
		rate := state.Hold{Kind: state.HoldRate, Since: s.h.Now(), Until: s.h.Now().Add(time.Minute)}
		s.ok(s.store().Hold(s.ctx, acme, "crm", rate, nil))
		s.ok(s.store().Hold(s.ctx, acme, "mail", state.Hold{Kind: state.HoldPaused, Since: s.h.Now()}, nil))
		s.h.Advance(2 * time.Hour)
		s.trim(state.Retention{History: state.HistoryBound{Age: time.Hour}})
		s.same("known", s.known(acme), []string{"mail"})
		s.h.Reopen()
		s.same("after a restart", s.known(acme), []string{"mail"})
	}},
	{name: "loses no delivery that is owed at the same moment", run: func(s *suite) {
		paused := state.Hold{Kind: state.HoldPaused, Since: s.h.Now()}
		for round := range 30 {
			s.ok(s.store().Hold(s.ctx, acme, "crm", paused, nil))
			e := s.event(acme, fmt.Sprint("again", round))
			s.append(e)
			c := s.claim(1)[0]
			var both sync.WaitGroup
			both.Go(func() {
				if _, err := s.h.Second().Forget(s.ctx, acme, "crm", nil); err != nil && !errors.Is(err, state.ErrConflict) {
					s.Error(err)
				}
			})
			both.Go(func() {
				_, err := s.store().Commit(s.ctx, &state.Commit{Events: []state.Outcome{outcome(c, s.owe(e, "crm", state.Waiting, due(s.h.Now())))}})
				if err != nil {
					s.Error(err)
				}
			})
			both.Wait()
			got, err := s.store().Standing(s.ctx, acme, []string{"crm"})
			s.ok(err)
			if got[0].Waiting != 1 {
				s.Fatalf("round %d: %+v", round, got)
			}
			s.ok(s.store().Hold(s.ctx, acme, "crm", state.Hold{}, nil))
			d := s.oneDue()
			d.Delivery.State = state.Skipped
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
			s.h.Advance(2 * time.Hour)
			s.trim(state.Retention{History: state.HistoryBound{Age: time.Hour}})
			s.same("known", s.known(acme), []string{})
		}
	}},
}

// forgotten calls Forget for a destination of acme.
func (s *suite) forgotten(destination string, want bool) {
	s.Helper()
	done, err := s.store().Forget(s.ctx, acme, destination, nil)
	s.ok(err)
	s.same("forgotten "+destination, done, want)
}

// known returns the names of a tenant's destinations that the store knows.
func (s *suite) known(tenant string) []string {
	s.Helper()
	all, err := s.store().Standing(s.ctx, tenant, nil)
	s.ok(err)
	var names []string
	for _, d := range all {
		names = append(names, d.Destination)
	}
	return names
}
