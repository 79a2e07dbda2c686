package statetest

import (
	"errors"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// next makes the next revision of an event, with changes, decided by another generation.
func (s *suite) next(of *event.Event, change func(*event.Header, *event.Data), deliveries ...state.Delivery) *state.Revision {
	s.Helper()
	today := s.event(of.Tenant, of.DedupeKey, func(h *event.Header, d *event.Data) {
		h.Received, h.Time = of.Received, of.Time
		change(h, d)
	})
	ev, err := event.Revise(of, today)
	s.ok(err)
	r := &state.Revision{Event: ev, Generation: "generation-2", At: s.h.Now(), Deliveries: deliveries}
	for _, d := range deliveries {
		r.Rules = append(r.Rules, state.RuleOutcome{Origin: d.Origin})
	}
	return r
}

func (s *suite) revise(r *state.Revision) { s.Helper(); s.ok(s.store().Revise(s.ctx, acme, r)) }

// named sets the name of the respondent.
func named(email string) func(*event.Header, *event.Data) {
	return func(_ *event.Header, d *event.Data) { d.Respondent.Email = email }
}

// again makes a delivery to the same step with another id.
func again(d *state.Delivery) { d.ID = d.ID[:len(d.ID)-1] + "b" }

// reviseRefused checks that a revision is refused and changes nothing.
func (s *suite) reviseRefused(tenant string, r *state.Revision, want error) {
	s.Helper()
	if err := s.store().Revise(s.ctx, tenant, r); !errors.Is(err, want) {
		s.Fatalf("revised: %v, want %v", err, want)
	}
	for _, d := range r.Deliveries {
		if _, err := s.store().Delivery(s.ctx, acme, d.ID); !errors.Is(err, state.ErrNotFound) {
			s.Fatalf("a refused revision left its delivery: %v", err)
		}
	}
}

var revisions = []test{
	{name: "is shown in look-ups, lists and indexes, with the former ones", run: func(s *suite) {
		e := s.event(acme, "a", named("old@example.com"))
		s.append(e)
		s.commit(outcome(s.claim(1)[0], s.owe(e, "crm", state.Delivered)))
		s.decided("other")
		r := s.next(e, func(h *event.Header, d *event.Data) {
			h.Type, h.ResponseID, d.Response.ID, d.Survey.ID = event.TypeResponseUpdated, "r-new", "r-new", "s2"
			d.Respondent.Email = "new@example.com"
		}, s.owe(e, "mail", state.Waiting))
		s.revise(r)
		second := s.next(r.Event, func(h *event.Header, d *event.Data) {
			h.Type, h.ResponseID, d.Response.ID, d.Survey.ID = event.TypeResponseUpdated, "r-new", "r-new", "s2"
			d.Respondent.Email, d.Response.Feedback = "new@example.com", "fine"
		})
		second.Generation = "generation-3"
		s.revise(second)
		look := func() {
			s.Helper()
			got := s.record(e.ID)
			s.same("newest", string(got.Event.Envelope()), string(second.Event.Envelope()))
			s.same("raw bytes", string(got.Event.Raw.Body), string(e.Raw.Body))
			s.same("decision", got.Outcome.Generation, "generation-3")
			if len(got.Former) != 2 {
				s.Fatalf("%d former revisions are told, want 2", len(got.Former))
			}
			s.same("as it came", string(got.Former[0].Event.Envelope()), string(e.Envelope()))
			s.same("its decision", got.Former[0].Generation, "generation-1")
			s.same("its rules", got.Former[0].Rules, []state.RuleOutcome{{Origin: s.owe(e, "crm", state.Delivered).Origin}})
			s.same("the first revision", string(got.Former[1].Event.Envelope()), string(r.Event.Envelope()))
			s.same("its decision", got.Former[1].Generation, "generation-2")
			s.same("its rules", got.Former[1].Rules, r.Rules)
			of := map[string]int{}
			for _, d := range got.Outcome.Deliveries {
				of[d.Destination] = d.Revision
			}
			s.same("deliveries by revision", of, map[string]int{"crm": 0, "mail": 1})
			for what, q := range map[string]state.EventQuery{
				"response": {Response: "r-new"}, "person": {Respondent: "new@example.com"},
				"type": {Type: event.TypeResponseUpdated}, "survey": {Survey: "s2"}, "both": {Respondent: "new@example.com", Response: "r-new"},
			} {
				s.same("by "+what, s.pages(q, nil), []string{"a"})
			}
			for what, q := range map[string]state.EventQuery{
				"former response": {Response: "r-a"}, "former person": {Respondent: "old@example.com"},
			} {
				s.same("by "+what, s.pages(q, nil), []string{})
			}
			s.same("by former type", s.pages(state.EventQuery{Type: event.TypeResponseCompleted}, nil), []string{"other"})
			s.same("all", s.pages(state.EventQuery{Limit: 1}, nil), []string{"other", "a"})
			var ranged []int
			s.ok(s.store().Range(s.ctx, acme, 0, func(r *state.Record) error {
				ranged = append(ranged, r.Event.Revision)
				return nil
			}))
			s.same("ranged", len(ranged), 2)
			if h := s.store().Health(s.ctx); h.Events != 2 || h.Pending != 0 || h.Waiting != 1 {
				s.Fatalf("health %+v", h)
			}
		}
		look()
		s.h.Crash()
		look()
		if again := s.append(e); !again[0].Duplicate {
			s.Fatal("posted again it is no duplicate")
		}
		s.claimsNothing(s.store())
	}, ordered: true},
	{name: "has deliveries of its own and ends those it replaces", run: func(s *suite) {
		e := s.event(acme, "a")
		s.append(e)
		s.commit(outcome(s.claim(1)[0], s.owe(e, "crm", state.Waiting, due(s.h.Now().Add(time.Hour))),
			s.owe(e, "mail", state.Dead, tried(1, s.h.Now(), "rejected", 422)), s.owe(e, "chat", state.Delivered),
			s.owe(e, "hook", state.Waiting, due(s.h.Now().Add(time.Hour)))))
		r := s.next(e, named("jo@example.com"), s.owe(e, "crm", state.Waiting, again), s.owe(e, "mail", state.Waiting, again))
		r.Ended = []string{id(e, "crm"), id(e, "mail")}
		s.h.Advance(time.Second)
		s.revise(r)
		for _, ended := range r.Ended {
			d := s.delivery(ended)
			if d.State != state.Dropped || d.Reason != "superseded by revision 1" || d.Revision != 0 {
				s.Fatalf("%s ended as %+v", ended, d)
			}
		}
		if h := s.store().Health(s.ctx); h.Waiting != 3 || h.Dead != 0 {
			s.Fatalf("%d wait, %d are dead", h.Waiting, h.Dead)
		}
		s.sameSet("dropped", s.deliveryPages(state.DeliveryQuery{State: state.Dropped}, nil), r.Ended)
		got, _ := s.claimDue(10)
		s.sameSet("due", destinationsOf(got), []string{"crm", "mail"})
		for _, d := range got {
			if d.Delivery.Revision != 1 || d.Event.Revision != 1 || d.Event.Data().Respondent.Email != "jo@example.com" || len(d.Event.Raw.Body) == 0 {
				s.Fatalf("due with revision %d of the event, %+v", d.Event.Revision, d.Delivery)
			}
			d.Delivery.State, d.Delivery.Attempts = state.Delivered, 1
			d.Delivery.Log = []state.Attempt{{N: 1, At: s.h.Now(), Verdict: "delivered", Status: 200}}
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
			s.same("kept", s.delivery(d.Delivery.ID).Revision, 1)
		}
		for _, d := range s.record(e.ID).Outcome.Deliveries {
			want := 0
			if d.ID[len(d.ID)-1] == 'b' {
				want = 1
			}
			s.same(d.ID, d.Revision, want)
		}
		page, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{State: state.Delivered, Destination: "crm"})
		s.ok(err)
		if len(page.Items) != 1 || page.Items[0].Revision != 1 {
			s.Fatalf("listed %+v", page.Items)
		}
		s.h.Advance(2 * time.Hour) // deliveries that still waited are sent with the newest content
		d := s.oneDue()
		s.same("goes on", d.Delivery.ID, id(e, "hook"))
		s.same("with the newest", d.Event.Revision, 1)
	}},
	{name: "is refused if it is not the next one, or a delivery is leased", run: func(s *suite) {
		e := s.event(acme, "a")
		s.append(e)
		r := s.next(e, named("jo@example.com"), s.owe(e, "mail", state.Waiting))
		s.reviseRefused(acme, r, state.ErrConflict) // not committed
		c := s.claim(1)[0]
		s.reviseRefused(acme, r, state.ErrConflict)
		s.commit(outcome(c, s.owe(e, "crm", state.Waiting), s.owe(e, "hook", state.Waiting, due(s.h.Now().Add(time.Hour)))))
		s.reviseRefused("zeta", r, state.ErrNotFound)
		s.reviseRefused(acme, s.next(s.event(acme, "b"), named("x@example.com")), state.ErrNotFound)
		d := s.oneDue()
		r.Ended = []string{id(e, "hook"), id(e, "crm")}
		s.reviseRefused(acme, r, state.ErrConflict)
		s.same("nothing changed", s.record(e.ID).Event.Revision, 0)
		s.same("nothing ended", s.delivery(id(e, "hook")).State, state.Waiting)
		d.Delivery.State, d.Delivery.Due, d.Delivery.Leased = state.Waiting, s.h.Now().Add(time.Hour), false
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		s.revise(r)
		s.reviseRefused(acme, &state.Revision{Event: r.Event}, state.ErrConflict) // the same revision twice
		s.same("revision", s.record(e.ID).Event.Revision, 1)
		s.same("due", destinationsOf([]state.Due{s.oneDue()}), []string{"mail"})
		s.h.Advance(2 * time.Hour)
		s.h.Reopen()
		s.same("due after two hours", destinationsOf([]state.Due{s.oneDue()}), []string{"mail"})
	}},
	{name: "is made once, however many callers try", run: func(s *suite) {
		s.decided("a")
		e := s.event(acme, "a")
		done := make(chan error)
		stores := []state.Store{s.store(), s.h.Second(), s.store(), s.h.Second()}
		for _, store := range stores {
			r := s.next(e, named("jo@example.com"), s.owe(e, "crm", state.Waiting))
			go func() { done <- store.Revise(s.ctx, acme, r) }()
		}
		made := 0
		for range stores {
			switch err := <-done; {
			case err == nil:
				made++
			case !errors.Is(err, state.ErrConflict):
				s.Error(err)
			}
		}
		s.same("made", made, 1)
		s.same("revision", s.record(e.ID).Event.Revision, 1)
		s.same("deliveries", len(s.record(e.ID).Outcome.Deliveries), 1)
		s.oneDue()
	}},
	{name: "removes an event from the dead letters", run: func(s *suite) {
		s.accept("a")
		c := s.claim(1)[0]
		o := outcome(c)
		o.Dead = "it kills"
		s.commit(o)
		s.revise(s.next(c.Event, named("jo@example.com")))
		s.same("dead events", s.pages(state.EventQuery{Dead: true}, nil), []string{})
		got := s.record(c.Event.ID)
		if got.Outcome.Dead != "" || got.Former[0].Dead != "it kills" {
			s.Fatalf("dead %q, was %q", got.Outcome.Dead, got.Former[0].Dead)
		}
	}},
	{name: "is removed with its event and all its records", run: func(s *suite) {
		s.decided("a", "b")
		e := s.event(acme, "a")
		before := s.store().Health(s.ctx).Bytes
		r := s.next(e, named("jo@example.com"), s.owe(e, "crm", state.Waiting))
		s.revise(r)
		if after := s.store().Health(s.ctx).Bytes; after <= before {
			s.Fatalf("%d bytes are counted, and were before: %d", after, before)
		}
		s.h.Advance(2 * time.Hour)
		s.trim(nothingOlder)
		s.same("kept by its delivery", s.pages(state.EventQuery{Respondent: "jo@example.com"}, nil), []string{"a"})
		second := s.next(r.Event, named("jo@example.org"))
		second.Ended = []string{r.Deliveries[0].ID}
		s.revise(second)
		s.trimAll(nothingOlder)
		s.gone(e.ID)
		for _, email := range []string{"jo@example.com", "jo@example.org"} {
			s.same("by "+email, s.pages(state.EventQuery{Respondent: email}, nil), []string{})
		}
		s.reviseRefused(acme, s.next(second.Event, named("x@example.com")), state.ErrNotFound)
		s.decided("c")
		s.h.Advance(2 * time.Hour)
		s.trimAll(nothingOlder)
		if h := s.store().Health(s.ctx); h.Events != 0 || h.Bytes != 0 {
			s.Fatalf("of events that are gone, %d events and %d bytes are counted", h.Events, h.Bytes)
		}
	}},
	{name: "of an event in its tenant's share is found and removed like it", run: func(s *suite) {
		quiet := s.event(acme, "a")
		s.append(quiet)
		s.commit(outcome(s.claim(1)[0]))
		s.decidedOf(loud, "l", 50)
		size := s.store().Health(s.ctx).Bytes
		s.trimAll(state.Retention{Events: state.Bound{Bytes: size / 2}})
		s.same("in its share", s.pages(state.EventQuery{}, nil), []string{"a"})
		r := s.next(quiet, named("jo@example.com"))
		s.revise(r)
		s.same("found", s.pages(state.EventQuery{Respondent: "jo@example.com"}, nil), []string{"a"})
		s.same("revision", s.record(quiet.ID).Event.Revision, 1)
		s.h.Advance(2 * time.Hour)
		s.trimAll(nothingOlder)
		s.gone(quiet.ID)
		if h := s.store().Health(s.ctx); h.Events != 0 || h.Bytes != 0 {
			s.Fatalf("of events that are gone, %d events and %d bytes are counted", h.Events, h.Bytes)
		}
	}},
	{name: "is one of a few that are kept, including the first", run: func(s *suite) {
		s.decided("a")
		ev := s.event(acme, "a")
		for range state.MaxFormer + 3 {
			r := s.next(ev, named("jo@example.com"))
			s.revise(r)
			ev = r.Event
		}
		former := s.record(ev.ID).Former
		if len(former) != state.MaxFormer || former[0].Event.Revision != 0 {
			s.Fatalf("%d former revisions, the first %d", len(former), former[0].Event.Revision)
		}
		s.same("the newest of them", former[len(former)-1].Event.Revision, ev.Revision-1)
		s.same("found once", s.pages(state.EventQuery{Respondent: "jo@example.com"}, nil), []string{"a"})
	}},
}
