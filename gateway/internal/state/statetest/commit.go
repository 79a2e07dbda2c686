package statetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// unstamped clears the fields that the store sets.
var unstamped = cmp.Options{cmpopts.IgnoreFields(state.Delivery{}, "Updated"), cmpopts.EquateEmpty()}

func sameDelivery(t testing.TB, what string, got, want state.Delivery) {
	t.Helper()
	if diff := cmp.Diff(want, got, unstamped); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

var commits = []test{
	{name: "the outcome is kept whole", run: func(s *suite) {
		e := s.accept("a")[0]
		c := s.claim(1)[0]
		now := s.h.Now()
		o := outcome(c,
			s.owe(e, "crm", state.Delivered, tried(1, now, "delivered", 200)),
			s.owe(e, "mail", state.Skipped, func(d *state.Delivery) { d.Reason = "no e-mail" }),
			s.owe(e, "slow", state.Waiting, due(now.Add(time.Minute)), tried(1, now, "retry", 503)),
			s.owe(e, "gone", state.Dead, tried(1, now, "rejected", 404)),
			s.owe(e, "hook", state.Delivered, tried(1, now, "delivered", 204), func(d *state.Delivery) {
				d.Origin = state.Origin{Kind: state.Webhook, Name: "hook"}
				d.Connector = "webhook"
			}),
		)
		o.Rules = append(o.Rules, state.RuleOutcome{Origin: state.Origin{Kind: state.Rule, Name: "broken"}, Err: "panic: no"})
		s.commit(o)
		r := s.record(e.ID)
		if r.Outcome == nil {
			s.Fatal("no outcome is kept")
		}
		want := o
		want.Deliveries = nil
		for _, d := range o.Deliveries {
			d.Log = nil
			want.Deliveries = append(want.Deliveries, d)
		}
		if diff := cmp.Diff(want, *r.Outcome, unstamped); diff != "" {
			s.Fatalf("outcome (-want +got):\n%s", diff)
		}
		for _, d := range o.Deliveries {
			sameDelivery(s, d.Destination, *s.delivery(d.ID), d)
		}
	}},
	{name: "an undecided event has no outcome", run: func(s *suite) {
		e := s.accept("a")[0]
		if r := s.record(e.ID); r.Outcome != nil {
			s.Fatalf("got %+v", r.Outcome)
		}
	}},
	{name: "the first commit of an event wins", run: func(s *suite) {
		e := s.accept("a")[0]
		c := s.claim(1)[0]
		now := s.h.Now()
		s.commit(outcome(c, s.owe(e, "crm", state.Delivered, tried(1, now, "delivered", 200))))
		late := outcome(c, s.owe(e, "crm", state.Waiting, due(now), tried(1, now, "retry", 500)))
		done, err := s.h.Second().Commit(s.ctx, &state.Commit{Events: []state.Outcome{late}})
		s.ok(err)
		s.same("fence", done.Events, []bool{false})
		d := s.delivery(id(e, "crm"))
		if d.State != state.Delivered || len(d.Log) != 2 {
			s.Fatalf("state %s with %d attempts, want delivered with 2", d.State, len(d.Log))
		}
		if d.Log[0].Repeat || !d.Log[1].Repeat || d.Log[1].Status != 500 {
			s.Fatalf("attempts %+v: the late one is a repeat", d.Log)
		}
		s.noneDue()
		if n := s.store().Health(s.ctx).Waiting; n != 0 {
			s.Fatalf("%d wait", n)
		}
	}},
	{name: "the same event twice in one commit is decided once", run: func(s *suite) {
		e := s.accept("a")[0]
		c := s.claim(1)[0]
		done, err := s.store().Commit(s.ctx, &state.Commit{Events: []state.Outcome{
			outcome(c, s.owe(e, "crm", state.Delivered)), outcome(c, s.owe(e, "crm", state.Dead)),
		}})
		s.ok(err)
		s.same("fences", done.Events, []bool{true, false})
		s.same("state", s.delivery(id(e, "crm")).State, state.Delivered)
	}},
	{name: "an unclaimed event is not committed", run: func(s *suite) {
		e := s.event(acme, "a")
		pos := s.append(e)[0].Position
		done, err := s.store().Commit(s.ctx, &state.Commit{Events: []state.Outcome{
			{Position: pos + 7, Tenant: acme, EventID: e.ID}, {Position: 0, Tenant: acme, EventID: e.ID},
		}})
		s.ok(err)
		s.same("fences", done.Events, []bool{false, false})
		s.same("claimed", keysOf(s.claim(1)), []string{"a"})
	}},
	{name: "the fence needs the position of the event", run: func(s *suite) {
		s.accept("a", "b")
		c := s.claim(2)
		wrong := outcome(c[0])
		wrong.EventID = c[1].Event.ID
		foreign := outcome(c[0])
		foreign.Tenant = "zeta"
		done, err := s.store().Commit(s.ctx, &state.Commit{Events: []state.Outcome{wrong, foreign}})
		s.ok(err)
		s.same("fences", done.Events, []bool{false, false})
		s.commit(outcome(c[0]), outcome(c[1]))
	}},
	{name: "an id that does not lead to its event is refused", run: func(s *suite) {
		e := s.accept("a")[0]
		c := s.claim(1)[0]
		for _, bad := range []string{"", "dl_", "x_" + e.ID + "_aaaaaaaaaaaaa", "dl_" + e.ID, "dl_other_aaaaaaaaaaaaa"} {
			d := s.owe(e, "crm", state.Delivered)
			d.ID = bad
			if _, err := s.store().Commit(s.ctx, &state.Commit{Events: []state.Outcome{outcome(c, d)}}); !errors.Is(err, state.ErrInvalid) {
				s.Errorf("%q: %v", bad, err)
			}
		}
		s.commit(outcome(c)) // the refused commits applied nothing
	}},
	{name: "many events and due deliveries in one step", run: func(s *suite) {
		const n = 300
		keys := numbered(n)
		s.accept(keys...)
		claimed := s.claim(n)
		var outcomes []state.Outcome
		for _, c := range claimed {
			outcomes = append(outcomes, outcome(c, s.owe(c.Event, "crm", state.Waiting)))
		}
		s.commit(outcomes...)
		got, _ := s.claimDue(n)
		if len(got) != n {
			s.Fatalf("%d due, want %d", len(got), n)
		}
		s.noneDue()
		var settled []state.Settled
		for _, d := range got {
			tried(1, s.h.Now(), "delivered", 200)(&d.Delivery)
			d.Delivery.State = state.Delivered
			settled = append(settled, state.Settled{Delivery: d.Delivery, Lease: d.Lease})
		}
		for i, held := range s.settle(settled...) {
			if !held {
				s.Fatalf("fence %d was lost", i)
			}
		}
		h := s.store().Health(s.ctx)
		if h.Pending != 0 || h.Waiting != 0 {
			s.Fatalf("%d pending, %d waiting", h.Pending, h.Waiting)
		}
	}},
	{name: "a delivery handed over while it runs is settled by its lease", run: func(s *suite) {
		e := s.accept("a")[0]
		c := s.claim(1)[0]
		lease := s.h.Now().Add(20 * time.Second)
		running := s.owe(e, "crm", state.Waiting, due(lease), func(d *state.Delivery) { d.Leased = true })
		s.commit(outcome(c, running))
		s.noneDue()
		if !s.delivery(running.ID).Leased {
			s.Fatal("it is not said to be leased")
		}
		now, err := s.store().Schedule(s.ctx, acme, []state.Delivery{{ID: running.ID}})
		s.ok(err)
		s.same("retry now of what runs", now, []bool{false})
		end := running
		end.State, end.Leased = state.Delivered, false
		tried(1, s.h.Now(), "delivered", 200)(&end)
		s.same("fence", s.settle(state.Settled{Delivery: end, Lease: lease}), []bool{true})
		d := s.delivery(running.ID)
		if d.State != state.Delivered || d.Attempts != 1 || len(d.Log) != 1 || d.Log[0].Repeat || d.Leased {
			s.Fatalf("got %+v", d)
		}
		s.h.Advance(time.Minute)
		s.noneDue()
	}},
	{name: "a handed over attempt whose holder died is due at the end of its lease", run: func(s *suite) {
		e := s.accept("a")[0]
		c := s.claim(1)[0]
		lease := s.h.Now().Add(20 * time.Second)
		s.commit(outcome(c, s.owe(e, "crm", state.Waiting, due(lease), func(d *state.Delivery) { d.Leased = true })))
		s.h.Crash()
		s.h.Advance(21 * time.Second)
		d := s.oneDue()
		late := d.Delivery
		late.State = state.Delivered
		tried(1, s.h.Now(), "delivered", 200)(&late)
		s.same("the old lease", s.settle(state.Settled{Delivery: late, Lease: lease}), []bool{false})
		s.same("the new one", s.settle(state.Settled{Delivery: late, Lease: d.Lease}), []bool{true})
	}},
	{name: "an event can be a dead letter itself", run: func(s *suite) {
		s.accept("a", "b")
		c := s.claim(2)
		e := c[0].Event
		o := outcome(c[0])
		o.Dead = "claimed 7 times without a commit, 5 of them alone"
		s.commit(o, outcome(c[1]))
		if r := s.record(e.ID); r.Outcome == nil || r.Outcome.Dead != o.Dead {
			s.Fatalf("got %+v", r.Outcome)
		}
		page, err := s.store().Events(s.ctx, acme, state.EventQuery{Dead: true})
		s.ok(err)
		if len(page.Items) != 1 || page.Items[0].Event.ID != e.ID {
			s.Fatalf("%d dead events are listed", len(page.Items))
		}
		if err := s.store().Drop(s.ctx, "other", e.ID); !errors.Is(err, state.ErrNotFound) {
			s.Errorf("dropped by another tenant: %v", err)
		}
		s.ok(s.store().Drop(s.ctx, acme, e.ID))
		s.same("listed after the drop", s.pages(state.EventQuery{Dead: true}, nil), []string{})
		if r := s.record(e.ID); r.Outcome == nil || r.Outcome.Dead != o.Dead {
			s.Fatalf("the outcome no longer says why: %+v", r.Outcome)
		}
		if err := s.store().Drop(s.ctx, acme, e.ID); !errors.Is(err, state.ErrNotFound) {
			s.Errorf("dropped again: %v", err)
		}
	}},
}
