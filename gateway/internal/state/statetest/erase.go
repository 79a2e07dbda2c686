package statetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const personal = "jo@example.com"

// private sets a respondent, and words of theirs.
func private(_ *event.Header, d *event.Data) {
	d.Respondent.Email, d.Respondent.Name, d.Response.Feedback = personal, "Jo Miller", "all was slow"
}

// quoted makes a delivery whose attempt, reason and reference contain words of a person.
func quoted(n int, at time.Time) func(*state.Delivery) {
	return func(d *state.Delivery) {
		d.Attempts, d.Ref, d.Reason = n, "contact "+personal, "answered 422: "+personal+" is not valid"
		d.Log = append(d.Log, state.Attempt{
			N: n, At: at, Took: time.Millisecond, Verdict: "rejected", Status: 422, Sent: 70, Received: 20, Reason: d.Reason,
			Request: []byte("POST [secret]\n\n" + personal), Response: []byte(personal + " is not valid"),
		})
	}
}

func (s *suite) erase(ids ...string) []state.Erased {
	s.Helper()
	return s.eraseOf(acme, ids...)
}

func (s *suite) eraseOf(tenant string, ids ...string) []state.Erased {
	s.Helper()
	results, err := s.store().Erase(s.ctx, tenant, ids)
	s.ok(err)
	if len(results) != len(ids) {
		s.Fatalf("%d results of %d events", len(results), len(ids))
	}
	for i := range results {
		s.same("id", results[i].ID, ids[i])
	}
	return results
}

// erased erases one event, and requires that it could be.
func (s *suite) erased(id string) state.Erased {
	s.Helper()
	res := s.erase(id)[0]
	if !res.Found || res.Busy != "" {
		s.Fatalf("erased: %+v", res)
	}
	return res
}

// nothingPersonal checks that nothing of the person is left in what readers return.
func (s *suite) nothingPersonal() {
	s.Helper()
	var all []string
	add := func(what string, v any) { all = append(all, what+": "+fmt.Sprintf("%+v", v)) }
	record := func(what string, r *state.Record) {
		add(what, string(r.Event.EnvelopeWithRaw()))
		if r.Outcome != nil {
			add(what+" outcome", *r.Outcome)
		}
		for i := range r.Former {
			add(what+" former", string(r.Former[i].Event.Envelope()))
		}
	}
	delivery := func(what string, d *state.Delivery) {
		add(what, *d)
		for i := range d.Log {
			add(what+" request", string(d.Log[i].Request))
			add(what+" response", string(d.Log[i].Response))
		}
	}
	s.ok(s.store().Range(s.ctx, acme, 0, func(r *state.Record) error { record("ranged", r); return nil }))
	events, err := s.store().Events(s.ctx, acme, state.EventQuery{})
	s.ok(err)
	for _, r := range events.Items {
		record("listed", r)
		record("read", s.record(r.Event.ID))
		of, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{EventID: r.Event.ID})
		s.ok(err)
		for i := range of.Items {
			delivery("of event", &of.Items[i])
			delivery("one", s.delivery(of.Items[i].ID))
		}
	}
	for what, q := range map[string]state.DeliveryQuery{"all": {}, "failed": {Failed: true}, "dropped": {State: state.Dropped}} {
		page, err := s.store().Deliveries(s.ctx, acme, q)
		s.ok(err)
		for i := range page.Items {
			delivery(what, &page.Items[i])
		}
	}
	for _, text := range all {
		for _, word := range []string{personal, "Miller", "slow", "422:"} {
			if strings.Contains(text, word) {
				s.Fatalf("%q is left in %s", word, text)
			}
		}
	}
}

var erasures = []test{
	{name: "leaves a tombstone and nothing that a person wrote", run: func(s *suite) {
		e := s.event(acme, "a", private)
		s.append(e)
		c := s.claim(1)[0]
		later := due(s.h.Now().Add(time.Hour))
		o := outcome(c, s.owe(e, "crm", state.Delivered, quoted(1, s.h.Now())), s.owe(e, "mail", state.Dead, quoted(1, s.h.Now())),
			s.owe(e, "chat", state.Waiting, later, quoted(1, s.h.Now())), s.owe(e, "hook", state.Skipped))
		o.Rules = append(o.Rules, state.RuleOutcome{Origin: state.Origin{Kind: state.Rule, Name: "bad"}, Err: "no number: " + personal})
		s.commit(o)
		s.decided("other")
		at := s.record(e.ID)
		s.h.Advance(time.Second)
		res := s.erased(e.ID)
		if res.Before || res.Deliveries != 4 || res.Attempts != 3 || len(res.Ended) != 2 {
			s.Fatalf("erased %+v", res)
		}
		look := func() {
			s.Helper()
			got := s.record(e.ID)
			ev := got.Event
			if !ev.IsErased() || ev.ID != e.ID || ev.Type != e.Type || ev.Source != e.Source || ev.SurveyID != "s1" ||
				!ev.Time.Equal(e.Time) || !ev.Received.Equal(e.Received) || got.Position != at.Position {
				s.Fatalf("left is %+v at %d", ev.Header, got.Position)
			}
			if got.Outcome == nil || got.Outcome.Generation != "generation-1" || len(got.Outcome.Rules) != 5 || got.Outcome.Rules[4].Err != state.ErasedReason {
				s.Fatalf("its decision is %+v", got.Outcome)
			}
			states := map[string]string{}
			for _, d := range got.Outcome.Deliveries {
				states[d.Destination] = string(d.State) + " " + d.Reason
			}
			s.same("deliveries", states, map[string]string{
				"crm": "delivered erased", "mail": "dropped erased", "chat": "dropped erased", "hook": "skipped ",
			})
			s.nothingPersonal()
			s.same("by response", s.ids(state.EventQuery{Response: e.ResponseID}), []string{})
			s.same("by person", s.ids(state.EventQuery{Respondent: personal}), []string{})
			s.same("all events", len(s.ids(state.EventQuery{})), 2)
			s.same("by source", len(s.ids(state.EventQuery{Source: "app", Survey: "s1"})), 2)
			d := s.delivery(id(e, "mail"))
			if d.Attempts != 1 || len(d.Log) != 1 || d.Log[0].Status != 422 || d.Log[0].Sent != 70 || d.Log[0].Reason != state.ErasedReason {
				s.Fatalf("its attempt is %+v", d)
			}
			s.sameSet("dropped", s.deliveryPages(state.DeliveryQuery{State: state.Dropped}, nil), []string{id(e, "mail"), id(e, "chat")})
			if h := s.store().Health(s.ctx); h.Events != 2 || h.Waiting != 0 || h.Dead != 0 || h.Pending != 0 {
				s.Fatalf("health %+v", h)
			}
		}
		look()
		s.h.Crash()
		look()
		if again := s.erased(e.ID); !again.Before || len(again.Ended) != 0 {
			s.Fatalf("erased again: %+v", again)
		}
		look()
		s.h.Advance(2 * time.Hour)
		s.noneDue()
		s.h.Reopen()
		look()
	}},
	{name: "of an event is still known by its id", run: func(s *suite) {
		e := s.decidedWith("a", private)
		s.erased(e.ID)
		if again := s.append(e)[0]; !again.Duplicate || again.Position == 0 {
			s.Fatalf("posted again: %+v", again)
		}
		s.claimsNothing(s.store())
		fresh := s.decidedWith("b", private)
		s.same("an event that comes later", s.ids(state.EventQuery{Respondent: personal}), []string{fresh.ID})
	}},
	{name: "waits for the decision, and for an attempt that runs", run: func(s *suite) {
		e := s.event(acme, "a", private)
		s.append(e)
		s.same("not claimed", s.erase(e.ID)[0], state.Erased{ID: e.ID, Found: true, Busy: state.BusyPending})
		c := s.claim(1)[0]
		s.same("claimed", s.erase(e.ID)[0].Busy, state.BusyPending)
		s.commit(outcome(c, s.owe(e, "crm", state.Waiting), s.owe(e, "hook", state.Waiting, due(s.h.Now().Add(time.Hour)))))
		d := s.oneDue()
		s.same("leased", s.erase(e.ID)[0].Busy, state.BusyLeased)
		s.same("as it came", string(s.record(e.ID).Event.Envelope()), string(e.Envelope()))
		s.same("still waits", s.delivery(id(e, "hook")).State, state.Waiting)
		d.Delivery.State, d.Delivery.Leased = state.Waiting, false
		d.Delivery.Due = s.h.Now().Add(time.Hour)
		quoted(1, s.h.Now())(&d.Delivery)
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		s.erased(e.ID)
		s.nothingPersonal()
		s.h.Advance(2 * time.Hour)
		s.noneDue()
	}},
	{name: "keeps late attempts and new deliveries out", run: func(s *suite) {
		e := s.decidedWith("a", private, s.owe(s.event(acme, "a", private), "crm", state.Waiting))
		d := s.oneDue()
		s.h.Advance(2 * leaseTime) // its holder is slow: the lease has ended
		s.erased(e.ID)
		late := d.Delivery
		quoted(1, s.h.Now())(&late)
		late.State = state.Dead
		s.same("fence", s.settle(state.Settled{Delivery: late, Lease: d.Lease}), []bool{false})
		s.same("attempts", len(s.delivery(late.ID).Log), 0)
		s.nothingPersonal()
		fresh := s.owe(e, "mail", state.Waiting)
		done, err := s.store().Schedule(s.ctx, acme, []state.Delivery{fresh, {ID: late.ID, EventID: e.ID}})
		s.ok(err)
		s.same("scheduled", done, []bool{false, false})
		r := s.next(e, named("x@example.com"))
		s.reviseRefused(acme, r, state.ErrNotFound)
		if err := s.store().Drop(s.ctx, acme, late.ID); !errors.Is(err, state.ErrNotFound) {
			s.Fatalf("dropped: %v", err)
		}
		s.noneDue()
	}},
	{name: "of a revised event removes the former revisions", run: func(s *suite) {
		e := s.decidedWith("a", private)
		r := s.next(e, func(h *event.Header, d *event.Data) {
			private(h, d)
			h.ResponseID, d.Response.ID, d.Respondent.Email = "r-new", "r-new", "miller@example.com"
		}, s.owe(e, "crm", state.Waiting, due(s.h.Now().Add(time.Hour))))
		s.revise(r)
		s.erased(e.ID)
		got := s.record(e.ID)
		if len(got.Former) != 0 || got.Event.Revision != 1 || got.Outcome.Generation != "generation-2" {
			s.Fatalf("revision %d, former %d, decided by %s", got.Event.Revision, len(got.Former), got.Outcome.Generation)
		}
		s.nothingPersonal()
		for what, q := range map[string]state.EventQuery{
			"response": {Response: "r-new"}, "former response": {Response: "r-a"}, "person": {Respondent: "miller@example.com"}, "former person": {Respondent: personal},
		} {
			s.same("by "+what, s.ids(q), []string{})
		}
		s.h.Advance(3 * time.Hour)
		s.trimAll(nothingOlder)
		s.gone(e.ID)
		if h := s.store().Health(s.ctx); h.Events != 0 || h.Bytes != 0 {
			s.Fatalf("of events that are gone, %d events and %d bytes are counted", h.Events, h.Bytes)
		}
	}},
	{name: "takes an event out of the dead letters", run: func(s *suite) {
		e := s.event(acme, "a", private)
		s.append(e)
		o := outcome(s.claim(1)[0])
		o.Dead = "it kills: " + personal
		s.commit(o)
		s.erased(e.ID)
		s.same("dead events", s.ids(state.EventQuery{Dead: true}), []string{})
		s.same("reason", s.record(e.ID).Outcome.Dead, state.ErasedReason)
		s.nothingPersonal()
	}},
	{name: "reaches what its tenant alone has", run: func(s *suite) {
		e := s.decidedWith("a", private)
		other := s.event("zeta", "a", private)
		s.append(other)
		c := s.claim(1)[0]
		s.commit(outcome(c))
		s.same("of another tenant", s.eraseOf("zeta", e.ID)[0], state.Erased{ID: e.ID})
		s.same("unknown", s.erase("none")[0], state.Erased{ID: "none"})
		s.erased(e.ID)
		got, err := s.store().Event(s.ctx, "zeta", other.ID)
		s.ok(err)
		s.same("the other tenant's", string(got.Event.Envelope()), string(other.Envelope()))
	}},
	{name: "leaves the events beside it as they are, in lists, statistics and retention", run: func(s *suite) {
		keys := numbered(30)
		var all []*event.Event
		for _, k := range keys {
			all = append(all, s.event(acme, k, private))
			s.h.Advance(time.Second)
		}
		s.append(all...)
		for _, c := range s.claim(len(all)) {
			s.commit(outcome(c, s.owe(c.Event, "crm", state.Waiting, due(s.h.Now().Add(5*time.Hour)))))
		}
		before := s.store().Health(s.ctx)
		for _, i := range []int{0, 14, 15, 29} {
			s.erased(all[i].ID)
		}
		check := func() {
			s.Helper()
			erased := 0
			s.ok(s.store().Range(s.ctx, acme, 0, func(r *state.Record) error {
				if r.Event.IsErased() {
					erased++
				} else if !bytes.Contains(r.Event.Envelope(), []byte(personal)) || len(r.Event.Raw.Body) == 0 || r.Outcome == nil {
					s.Fatalf("a neighbour is %s", r.Event.EnvelopeWithRaw())
				}
				return nil
			}))
			s.same("erased", erased, 4)
			s.same("all", len(s.ids(state.EventQuery{})), 30)
			s.same("of the person", len(s.ids(state.EventQuery{Respondent: personal})), 26)
			h := s.store().Health(s.ctx)
			if h.Events != before.Events || h.Waiting != 26 || h.Pending != 0 || h.Bytes >= before.Bytes {
				s.Fatalf("health %+v, before %+v", h, before)
			}
		}
		check()
		s.h.Crash()
		check()
		s.claimsNothing(s.store())
		r := s.next(all[13], named("new@example.com"))
		s.revise(r)
		s.same("a neighbour that is revised", s.ids(state.EventQuery{Respondent: "new@example.com"}), []string{all[13].ID})
		later := s.decidedWith("later", private)
		s.h.Advance(2 * time.Hour)
		s.trimAll(state.Retention{Events: state.Bound{Age: 90 * time.Minute}}) // kept by their deliveries, but for the erased ones
		s.same("kept", len(s.ids(state.EventQuery{Respondent: personal})), 25)
		s.gone(all[14].ID)
		s.h.Advance(4 * time.Hour)
		dues, _ := s.claimDue(100)
		s.same("due", len(dues), 26)
		for _, d := range dues {
			if !bytes.Contains(d.Event.Raw.Body, []byte("key")) {
				s.Fatalf("due without its event: %s", d.Event.Envelope())
			}
			d.Delivery.State = state.Delivered
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		}
		s.trimAll(nothingOlder)
		s.gone(later.ID)
		if h := s.store().Health(s.ctx); h.Events != 0 || h.Bytes != 0 {
			s.Fatalf("of events that are gone, %d events and %d bytes are counted", h.Events, h.Bytes)
		}
	}},
	{name: "of an event in its tenant's share is like any other", run: func(s *suite) {
		var quiet []*event.Event
		for _, k := range []string{"a", "b", "c"} {
			quiet = append(quiet, s.decidedWith(k, private))
		}
		s.decidedOf(loud, "l", 50)
		size := s.store().Health(s.ctx).Bytes
		s.trimAll(state.Retention{Events: state.Bound{Bytes: size / 2}})
		s.same("in its share", len(s.ids(state.EventQuery{})), 3)
		events := s.store().Health(s.ctx).Events
		s.erased(quiet[1].ID)
		s.same("left", s.store().Health(s.ctx).Events, events)
		s.same("of the person", len(s.ids(state.EventQuery{Respondent: personal})), 2)
		s.same("erased", s.record(quiet[1].ID).Event.IsErased(), true)
		s.decidedOf(loud, "m", 50)
		s.trimAll(state.Retention{Events: state.Bound{Bytes: size / 2}})
		s.same("in its share", len(s.ids(state.EventQuery{})), 3)
		s.h.Advance(2 * time.Hour)
		s.trimAll(nothingOlder)
		for _, e := range quiet {
			s.gone(e.ID)
		}
		if h := s.store().Health(s.ctx); h.Events != 0 || h.Bytes != 0 {
			s.Fatalf("of events that are gone, %d events and %d bytes are counted", h.Events, h.Bytes)
		}
	}},
	{name: "of an event that retention has passed reaches the kept one, and then its history", run: func(s *suite) {
		e := s.decidedWith("a", private, s.owe(s.event(acme, "a", private), "crm", state.Dead, quoted(1, s.h.Now())))
		f := s.decidedWith("b", private, s.owe(s.event(acme, "b", private), "crm", state.Delivered, quoted(1, s.h.Now())))
		s.h.Advance(2 * time.Hour)
		s.trimAll(nothingOlder)
		s.gone(f.ID)
		s.same("kept", s.ids(state.EventQuery{}), []string{e.ID})
		if res := s.erase(f.ID)[0]; res.Found || res.Busy != "" || res.Attempts != 1 {
			s.Fatalf("history alone: %+v", res)
		}
		s.erased(e.ID)
		s.nothingPersonal()
		s.trimAll(nothingOlder)
		s.gone(e.ID)
		s.nothingPersonal()
		s.same("failed", s.deliveryPages(state.DeliveryQuery{Failed: true}, nil), []string{id(f, "crm")})
	}},
	{name: "of many together", run: func(s *suite) {
		var ids []string
		for _, k := range numbered(state.MaxErase) {
			ids = append(ids, s.decidedWith(k, private).ID)
		}
		for _, res := range s.erase(append([]string{ids[0]}, ids[1:]...)...) {
			if !res.Found || res.Busy != "" {
				s.Fatalf("%+v", res)
			}
		}
		s.nothingPersonal()
		if _, err := s.store().Erase(s.ctx, acme, append(ids, "one more")); !errors.Is(err, state.ErrInvalid) {
			s.Fatalf("too many: %v", err)
		}
	}},
	{name: "of attempts alone leaves deliveries and events", run: func(s *suite) {
		e := s.event(acme, "a")
		at := s.h.Now().Add(time.Hour)
		e = s.decidedWith("a", func(*event.Header, *event.Data) {}, s.owe(e, "crm", state.Dead, quoted(1, s.h.Now())),
			s.owe(e, "mail", state.Waiting, due(at), quoted(1, s.h.Now())), s.owe(e, "chat", state.Delivered, quoted(1, s.h.Now())),
			s.owe(e, "hook", state.Dead, func(d *state.Delivery) { d.Reason = "as it was" }))
		f := s.decidedWith("b", func(*event.Header, *event.Data) {}, s.owe(s.event(acme, "b"), "crm", state.Delivered, quoted(1, s.h.Now())))
		refs := s.delivery(id(e, "mail")).Ref
		n, err := s.store().EraseAttempts(s.ctx, acme, []string{id(e, "crm"), id(e, "mail"), id(e, "chat"), id(f, "crm"), id(e, "none"), "x"})
		s.ok(err)
		s.same("kept", n, 4)
		for _, of := range []string{id(e, "crm"), id(e, "mail"), id(e, "chat"), id(f, "crm")} {
			d := s.delivery(of)
			if d.Reason != state.ErasedReason || d.Ref != refs || len(d.Log) != 1 || len(d.Log[0].Request)+len(d.Log[0].Response) > 0 || d.Log[0].Reason != state.ErasedReason {
				s.Fatalf("left is %+v", d)
			}
		}
		s.same("another", s.delivery(id(e, "hook")).Reason, "as it was")
		if h := s.store().Health(s.ctx); h.Dead != 2 || h.Waiting != 1 {
			s.Fatalf("health %+v", h)
		}
		s.same("its event", string(s.record(e.ID).Event.Envelope()), string(e.Envelope()))
		s.h.Advance(time.Hour)
		d := s.oneDue()
		if n, err = s.store().EraseAttempts(s.ctx, acme, []string{d.Delivery.ID}); err != nil || n != 1 {
			s.Fatalf("leased: %d, %v", n, err)
		}
		d.Delivery.State = state.Delivered
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
	}},
	{name: "weeds items out of a list", run: func(s *suite) {
		for i := range 5 {
			s.ok(s.store().Keep(s.ctx, acme, "l/1", []byte(fmt.Sprintf("item %d", i)), 4, time.Hour))
		}
		odd := func(item []byte) bool { return item[len(item)-1]%2 == 1 }
		n, err := s.store().Weed(s.ctx, acme, "l/1", odd)
		s.ok(err)
		s.same("removed", n, 2)
		n, err = s.store().Weed(s.ctx, acme, "none", odd)
		s.ok(err)
		s.same("of no list", n, 0)
		s.ok(s.store().Keep(s.ctx, acme, "l/1", []byte("item 6"), 4, time.Hour))
		left, err := s.store().Kept(s.ctx, acme, "l/1", 0, -1)
		s.ok(err)
		s.same("left", string(bytes.Join(left, []byte(", "))), "item 6, item 4, item 2")
	}},
}

// ids returns the ids of the events that a query selects, newest first.
func (s *suite) ids(q state.EventQuery) []string {
	s.Helper()
	page, err := s.store().Events(s.ctx, acme, q)
	s.ok(err)
	all := []string{}
	for _, r := range page.Items {
		all = append(all, r.Event.ID)
	}
	return all
}

// decidedWith appends, claims and commits an event with a change and deliveries.
func (s *suite) decidedWith(key string, change func(*event.Header, *event.Data), deliveries ...state.Delivery) *event.Event {
	s.Helper()
	e := s.event(acme, key, change)
	s.append(e)
	s.commit(outcome(s.claim(1)[0], deliveries...))
	return e
}
