package statetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

var (
	nothingOlder = state.Retention{Events: state.Bound{Age: time.Hour}, Dedupe: state.Bound{Age: time.Hour}}
	noEvents     = state.Retention{Events: state.Bound{Bytes: 1}}
)

// decided appends, claims and commits events without deliveries.
func (s *suite) decided(keys ...string) {
	s.Helper()
	s.accept(keys...)
	for _, c := range s.claim(len(keys)) {
		s.commit(outcome(c))
	}
}

func (s *suite) gone(id string) {
	s.Helper()
	if _, err := s.store().Event(s.ctx, acme, id); !errors.Is(err, state.ErrNotFound) {
		s.Fatalf("event %s is still there: %v", id, err)
	}
}

var retentions = []test{
	{name: "a leased delivery does not keep others from becoming overdue", run: func(s *suite) {
		const leased, left = 600, 5
		for _, some := range slices.Collect(slices.Chunk(numbered(leased), 100)) {
			s.accept(some...)
			for _, c := range s.claim(len(some)) {
				s.commit(outcome(c, s.owe(c.Event, "crm", state.Waiting)))
			}
		}
		for n := 0; n < leased; {
			got, _ := s.claimDue(leased)
			n += len(got)
		}
		s.h.Advance(time.Second)
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			s.waiting(key, s.h.Now(), "crm")
		}
		s.same("overdue", s.trim(state.Retention{Waiting: state.WaitingBound{Count: 100}}).Overdue, left)
	}},
	{name: "old events are removed, also from indexes", run: func(s *suite) {
		s.decided("a", "b")
		s.h.Advance(2 * time.Hour)
		s.decided("c")
		a, c := s.event(acme, "a"), s.event(acme, "c")
		s.same("events", s.trim(nothingOlder).Events, 2)
		s.gone(a.ID)
		s.same("kept", s.record(c.ID).Event.DedupeKey, "c")
		s.same("list", s.pages(state.EventQuery{}, nil), []string{"c"})
		s.same("by response", s.pages(state.EventQuery{Response: "r-a"}, nil), []string{})
		s.ok(s.store().Range(s.ctx, acme, 0, func(r *state.Record) error {
			s.same("range", r.Event.DedupeKey, "c")
			return nil
		}))
		h := s.store().Health(s.ctx)
		if h.Events != 1 || h.Bytes == 0 || h.Pending != 0 {
			s.Fatalf("health %+v", h)
		}
		s.same("again", s.trim(nothingOlder).Events, 0)
	}},
	{name: "events are removed by bytes, oldest first", run: func(s *suite) {
		s.decided(numbered(50)...)
		size := s.store().Health(s.ctx).Bytes
		s.trim(state.Retention{Events: state.Bound{Bytes: size / 2}})
		left := s.pages(state.EventQuery{}, nil)
		if len(left) < 20 || len(left) > 27 || left[0] != "k00049" {
			s.Fatalf("%d are left, newest %s", len(left), left[0])
		}
		s.trim(noEvents)
		s.same("none", s.pages(state.EventQuery{}, nil), []string{})
	}},
	{name: "pending events stay", ordered: true, run: func(s *suite) {
		s.decided("a")
		s.accept("held", "waits")
		claimed := s.claim(1)[0]
		s.h.Advance(100 * time.Hour)
		s.trim(nothingOlder)
		s.trim(noEvents)
		s.same("left", s.pages(state.EventQuery{}, nil), []string{"waits", "held"})
		s.commit(outcome(claimed))
		s.same("claimed", keysOf(s.claim(1)), []string{"waits"})
		s.trim(noEvents)
		s.same("left", s.pages(state.EventQuery{}, nil), []string{"waits"})
	}},
	{name: "released events stay", ordered: true, run: func(s *suite) {
		s.accept("a", "b")
		c := s.claim(2)
		s.commit(outcome(c[1]), state.Outcome{Position: c[0].Position, Tenant: acme, EventID: c[0].Event.ID, Release: true})
		s.h.Advance(100 * time.Hour)
		s.trim(nothingOlder)
		s.h.Crash()
		s.same("claimed", keysOf(s.claim(1)), []string{"a"})
	}},
	{name: "the event of a waiting delivery stays until that ends", run: func(s *suite) {
		e := s.waiting("a", s.h.Now().Add(time.Hour), "crm", "mail")
		s.decided("b")
		s.h.Advance(2 * time.Hour)
		done := s.trim(nothingOlder)
		if done.Events != 1 || done.Kept != 1 {
			s.Fatalf("trimmed %+v", done)
		}
		s.same("listed", s.pages(state.EventQuery{}, nil), []string{"a"})
		s.same("again", s.trim(nothingOlder).Kept, 0)
		r := s.append(s.event(acme, "a"))
		if !r[0].Duplicate || r[0].Position == 0 {
			s.Fatalf("accepted beside the kept one: %+v", r)
		}
		s.h.Reopen()
		due, _ := s.claimDue(10)
		if len(due) != 2 || string(due[0].Event.Raw.Body) != string(e.Raw.Body) {
			s.Fatalf("%d due with their event", len(due))
		}
		for i, d := range due {
			s.record(e.ID)
			d.Delivery.State = state.Delivered
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
			if i == 0 {
				s.trim(nothingOlder)
			}
		}
		s.trim(nothingOlder)
		s.gone(e.ID)
		if h := s.store().Health(s.ctx); h.Events != 0 || h.Bytes != 0 {
			s.Fatalf("%d events, %d bytes", h.Events, h.Bytes)
		}
	}},
	{name: "the event of a dead letter stays until that is dropped", run: func(s *suite) {
		e := s.finished("a", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		s.h.Advance(2 * time.Hour)
		s.trim(nothingOlder)
		d := s.delivery(id(e, "crm"))
		s.same("attempts", len(d.Log), 1)
		s.same("outcome", len(s.record(e.ID).Outcome.Deliveries), 1)
		s.ok(s.store().Drop(s.ctx, acme, d.ID))
		s.trim(nothingOlder)
		s.gone(e.ID)
	}},
	{name: "the oldest kept event is known, also one that only a delivery keeps", run: func(s *suite) {
		oldest := func(tenant string, want time.Time) {
			s.Helper()
			got, err := s.store().Oldest(s.ctx, tenant)
			s.ok(err)
			if !got.Equal(want) {
				s.Fatalf("the oldest of %s was received at %v, want %v", tenant, got, want)
			}
		}
		oldest(acme, time.Time{})
		oldest("*", time.Time{})
		dead := s.finished("a", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		first := dead.Received
		s.h.Advance(time.Hour)
		s.decided("b")
		s.h.Advance(time.Hour)
		second := s.h.Now()
		s.append(s.event("zeta", "z")) // stays, as it is not decided
		s.h.Advance(10 * time.Hour)
		check := func() {
			s.Helper()
			oldest(acme, first)
			oldest("zeta", second)
			oldest("*", first)
			oldest("none", time.Time{})
		}
		check()
		s.trimAll(nothingOlder)
		check()
		s.h.Reopen()
		check()
		s.ok(s.store().Drop(s.ctx, acme, id(dead, "crm")))
		s.trimAll(nothingOlder)
		oldest(acme, time.Time{})
		oldest("*", second)
	}},
	{name: "dead letters end by age", run: func(s *suite) {
		e := s.finished("a", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		s.h.Advance(2 * time.Hour)
		young := s.finished("b", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		r := nothingOlder
		r.Dead.Age = time.Hour
		s.same("dead", s.trim(r).Dead, 1)
		s.trim(r)
		s.gone(e.ID)
		s.same("young", s.delivery(id(young, "crm")).State, state.Dead)
		s.same("counted", s.store().Health(s.ctx).Dead, int64(1))
	}},
	{name: "dead letters end by bytes, oldest first", ordered: true, run: func(s *suite) {
		for i, k := range numbered(10) {
			s.finished(k, fmt.Sprint("d", i%3), state.Dead)
			s.h.Advance(time.Second)
		}
		r := state.Retention{Dead: state.Bound{Bytes: int64(3*s.event(acme, "k00009").Size() + 10)}}
		s.trim(r)
		var left []string
		page, err := s.store().Deliveries(s.ctx, acme, state.DeliveryQuery{State: state.Dead})
		s.ok(err)
		for _, d := range page.Items {
			left = append(left, d.ID)
		}
		s.same("left", left, []string{
			id(s.event(acme, "k00009"), "d0"), id(s.event(acme, "k00008"), "d2"), id(s.event(acme, "k00007"), "d1"),
		})
	}},
	{name: "dead events end by age", run: func(s *suite) {
		s.accept("a", "b")
		for _, c := range s.claim(2) {
			o := outcome(c)
			o.Dead = "unreadable"
			s.commit(o)
		}
		e := s.event(acme, "a")
		s.h.Advance(2 * time.Hour)
		s.trim(nothingOlder)
		s.same("kept", s.record(e.ID).Outcome.Dead, "unreadable")
		r := nothingOlder
		r.Dead.Age = time.Hour
		s.same("dead", s.trim(r).Dead, 2)
		s.trim(r)
		s.gone(e.ID)
		s.same("listed", s.pages(state.EventQuery{Dead: true}, nil), []string{})
	}},
	{name: "deliveries that wait too long become dead letters", run: func(s *suite) {
		s.ok(s.store().Hold(s.ctx, acme, "crm", state.Hold{Kind: state.HoldPaused}, nil))
		old := s.waiting("a", s.h.Now(), "crm")
		s.h.Advance(2 * time.Hour)
		young := s.waiting("b", s.h.Now(), "crm")
		done := s.trim(state.Retention{Waiting: state.WaitingBound{Age: time.Hour}})
		s.same("overdue", overdueOf(done), map[string]int{"acme/crm": 1})
		if d := s.delivery(id(old, "crm")); d.State != state.Dead || d.Reason != (state.WaitingBound{Age: time.Hour}).TooOld() {
			s.Fatalf("got %+v", d)
		}
		s.same("young", s.delivery(id(young, "crm")).State, state.Waiting)
	}},
	{name: "waiting deliveries are bounded per destination, the oldest become dead letters", ordered: true, run: func(s *suite) {
		var all []string
		for _, k := range numbered(20) {
			all = append(all, id(s.waiting(k, s.h.Now(), "crm", "mail"), "crm"))
			s.h.Advance(time.Second)
		}
		done := s.trim(state.Retention{Waiting: state.WaitingBound{Count: 15}})
		s.same("by count", done.Overdue, 10)
		s.same("by destination", overdueOf(done), map[string]int{"acme/crm": 5, "acme/mail": 5})
		s.same("waiting", s.deliveryPages(state.DeliveryQuery{State: state.Waiting, Destination: "crm"}, nil), reversed(all[5:]))
		s.same("reason", s.delivery(all[0]).Reason, state.WaitingBound{Count: 15}.TooMany())
		size := int64(s.event(acme, "k00000").Size())
		large := state.WaitingBound{Bytes: 10*size + size/2}
		s.trim(state.Retention{Waiting: large})
		s.same("reason", s.delivery(all[5]).Reason, large.TooLarge())
		s.same("by bytes", s.deliveryPages(state.DeliveryQuery{State: state.Waiting, Destination: "crm"}, nil), reversed(all[10:]))
		if h := s.store().Health(s.ctx); h.Waiting != 20 || h.Dead != 20 || !h.OldestWaiting.Equal(Begin.Add(10*time.Second)) {
			s.Fatalf("%d waiting since %v, %d dead", h.Waiting, h.OldestWaiting, h.Dead)
		}
	}},
	{name: "leased deliveries do not become overdue", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		d := s.oneDue()
		s.trim(state.Retention{Waiting: state.WaitingBound{Age: time.Nanosecond}})
		s.h.Advance(time.Second)
		s.trim(state.Retention{Waiting: state.WaitingBound{Age: time.Nanosecond}})
		d.Delivery.State = state.Delivered
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		s.same("state", s.delivery(id(e, "crm")).State, state.Delivered)
	}},
	{name: "history is bounded per destination and by age", run: func(s *suite) {
		for _, k := range numbered(20) {
			s.finished(k, "crm", state.Delivered, tried(1, s.h.Now(), "delivered", 200))
			s.finished("m"+k, "mail", state.Delivered, tried(1, s.h.Now(), "delivered", 200))
			s.h.Advance(time.Second)
		}
		s.same("attempts", s.trim(state.Retention{History: state.HistoryBound{PerDestination: 15}}).Attempts, 10)
		s.same("crm", len(s.deliveryPages(state.DeliveryQuery{Destination: "crm"}, nil)), 15)
		s.same("attempts", s.trim(state.Retention{History: state.HistoryBound{Age: 10 * time.Second}}).Attempts, 10)
		s.same("crm", len(s.deliveryPages(state.DeliveryQuery{Destination: "crm"}, nil)), 10)
		// The decision is kept longer than the attempts.
		d := s.delivery(id(s.event(acme, "k00000"), "crm"))
		if d.State != state.Delivered || d.Attempts != 1 || len(d.Log) != 0 {
			s.Fatalf("got %+v", d)
		}
	}},
	{name: "bounds hold in total, however events are spread", run: func(s *suite) {
		s.ok(s.store().Hold(s.ctx, acme, "slow", state.Hold{Kind: state.HoldPaused}, nil))
		const n = 60
		for i, k := range numbered(n) {
			// Half of them have the same response.
			e := s.event(acme, k, func(h *event.Header, d *event.Data) {
				if i%2 == 0 {
					h.ResponseID, d.Response.ID = "r-one", "r-one"
				}
			})
			s.append(e)
			s.commit(outcome(s.claim(1)[0], s.owe(e, "slow", state.Waiting), s.owe(e, "dead", state.Dead),
				s.owe(e, "crm", state.Delivered, tried(1, s.h.Now(), "delivered", 200))))
			s.h.Advance(time.Second)
		}
		s.same("within the bounds", *s.trim(state.Retention{
			Waiting: state.WaitingBound{Count: n}, History: state.HistoryBound{PerDestination: n},
		}), state.Trimmed{})
		s.same("overdue", s.trim(state.Retention{Waiting: state.WaitingBound{Count: 20}}).Overdue, 40)
		// Those of crm and of dead, and the overdue ones of slow.
		s.same("history", s.trim(state.Retention{History: state.HistoryBound{PerDestination: 30}}).Attempts, 30+30+10)
		s.same("waiting", len(s.deliveryPages(state.DeliveryQuery{State: state.Waiting}, nil)), 20)

		size := int64(s.event(acme, "k00000").Size())
		s.trim(state.Retention{Dead: state.Bound{Bytes: 50*size + size/2}})
		if n := s.store().Health(s.ctx).Dead; n < 45 || n > 50 {
			s.Errorf("%d dead letters are left, the bound is 50", n)
		}
		s.trim(state.Retention{Waiting: state.WaitingBound{Bytes: 10*size + size/2}})
		if n := s.store().Health(s.ctx).Waiting; n < 6 || n > 10 {
			s.Errorf("%d wait, the bound is 10", n)
		}
	}},
	{name: "duplicates are recognised without their event, within the dedupe window", run: func(s *suite) {
		s.decided("a")
		r := state.Retention{Events: state.Bound{Age: time.Hour}, Dedupe: state.Bound{Age: 3 * time.Hour}}
		s.h.Advance(2 * time.Hour)
		s.trim(r)
		s.gone(s.event(acme, "a").ID)
		s.same("within the window", s.append(s.event(acme, "a"))[0], state.Appended{Duplicate: true})
		if w := s.store().Health(s.ctx).DedupeWindow; w < 2*time.Hour {
			s.Fatalf("the window is %v", w)
		}
		s.h.Reopen()
		s.same("after a restart", s.append(s.event(acme, "a"))[0], state.Appended{Duplicate: true})
		s.h.Advance(2 * time.Hour)
		s.same("forgotten", s.trim(r).Dedupe, 1)
		if got := s.append(s.event(acme, "a"))[0]; got.Duplicate {
			s.Fatal("swallowed beyond the window")
		}
		s.claim(1)
	}},
	{name: "deduplication is bounded in bytes", run: func(s *suite) {
		s.decided(numbered(100)...)
		r := noEvents
		s.trim(r)
		r.Dedupe.Bytes = 2000
		done := s.trim(r)
		if done.Dedupe < 50 || done.Dedupe > 95 {
			s.Fatalf("%d of 100 were forgotten", done.Dedupe)
		}
		if got := s.append(s.event(acme, "k00000"))[0]; got.Duplicate {
			s.Error("the oldest is still recognised")
		}
		if got := s.append(s.event(acme, "k00099"))[0]; !got.Duplicate {
			s.Error("the newest is forgotten")
		}
	}},
	{name: "reservations end", run: func(s *suite) {
		keys := []state.OnceKey{{Key: "k", Owner: "e1"}}
		_, err := s.store().Once(s.ctx, acme, keys, time.Hour)
		s.ok(err)
		s.trim(state.Retention{})
		owners, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "k", Owner: "e2"}}, time.Hour)
		s.ok(err)
		s.same("owner", owners, []string{"e1"})
		s.h.Advance(2 * time.Hour)
		s.trim(state.Retention{})
		owners, err = s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "k", Owner: "e2"}}, time.Hour)
		s.ok(err)
		s.same("owner", owners, []string{"e2"})
		s.trim(state.Retention{})
		owners, err = s.store().Once(s.ctx, acme, keys, time.Hour)
		s.ok(err)
		s.same("owner", owners, []string{"e2"})
	}},
	{name: "the store has default bounds in bytes", run: func(s *suite) {
		shares, err := s.store().Shares(s.ctx)
		s.ok(err)
		if shares.Dedupe < 1<<20 || shares.Waiting < shares.Dedupe || shares.Events < shares.Waiting || shares.Stats < 1<<20 {
			s.Fatalf("got %+v", shares)
		}
		s.decided("a")
		s.same("trimmed within them", *s.trim(state.Retention{}.With(shares)), state.Trimmed{})
		said := state.Retention{Events: state.Bound{Bytes: 1}, Waiting: state.WaitingBound{Count: 7}}.With(shares)
		s.same("what is said stands", said, state.Retention{
			Events: state.Bound{Bytes: 1}, Dedupe: state.Bound{Bytes: shares.Dedupe}, Waiting: state.WaitingBound{Count: 7, Bytes: shares.Waiting},
			Stats: shares.Stats,
		})
	}},
	{name: "retention without bounds removes nothing", run: func(s *suite) {
		s.decided(numbered(5)...)
		s.finished("d", "crm", state.Dead)
		s.h.Advance(1000 * time.Hour)
		s.same("trimmed", *s.trim(state.Retention{}), state.Trimmed{})
		s.same("events", len(s.pages(state.EventQuery{}, nil)), 6)
	}},
}

// overdueOf sums what Trim reports by tenant and destination.
func overdueOf(done *state.Trimmed) map[string]int {
	sums := map[string]int{}
	for _, o := range done.OverdueOf {
		sums[o.Tenant+"/"+o.Destination] += o.Count
	}
	return sums
}
