package statetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

var dues = []test{
	{name: "a delivery comes with its event when it is due", run: func(s *suite) {
		at := s.h.Now().Add(10 * time.Second)
		e := s.waiting("a", at, "crm")
		got, next := s.claimDue(10)
		if len(got) != 0 || !next.Equal(at) {
			s.Fatalf("%d due, next at %v, want none and %v", len(got), next, at)
		}
		s.h.Advance(10 * time.Second)
		d := s.oneDue()
		s.same("delivery", d.Delivery.ID, id(e, "crm"))
		s.same("envelope", string(d.Event.Envelope()), string(e.Envelope()))
		s.same("raw", string(d.Event.Raw.Body), string(e.Raw.Body))
		if want := s.h.Now().Add(leaseTime); !d.Lease.Equal(want) {
			s.Fatalf("leased until %v, want %v", d.Lease, want)
		}
	}},
	{name: "next is zero when nothing waits", run: func(s *suite) {
		if _, next := s.claimDue(10); !next.IsZero() {
			s.Fatalf("next at %v", next)
		}
	}},
	{name: "next is exact", run: func(s *suite) {
		now := s.h.Now()
		s.waiting("far", now.Add(time.Hour), "far")
		first := s.waiting("near", now.Add(2*time.Minute), "near")
		s.waiting("mid", now.Add(5*time.Minute), "near")
		want := func(at time.Time) {
			s.Helper()
			if _, next := s.claimDue(0); !next.Equal(at) {
				s.Fatalf("next at %v, want %v", next, at)
			}
		}
		want(now.Add(2 * time.Minute))
		s.ok(s.store().Drop(s.ctx, acme, id(first, "near")))
		want(now.Add(5 * time.Minute))
		s.ok(s.store().Hold(s.ctx, acme, "near", state.Hold{Kind: state.HoldCircuit, Until: now.Add(30 * time.Minute)}, nil))
		want(now.Add(30 * time.Minute))
		s.ok(s.store().Hold(s.ctx, acme, "near", state.Hold{Kind: state.HoldPaused}, nil))
		want(now.Add(time.Hour))
		s.ok(s.store().Hold(s.ctx, acme, "near", state.Hold{}, nil))
		want(now.Add(5 * time.Minute))
		s.h.Advance(5 * time.Minute)
		if got, next := s.claimDue(1); len(got) != 1 || !next.Equal(s.h.Now().Add(leaseTime)) {
			s.Fatalf("%d due, next at %v: the lease ends first", len(got), next)
		}
	}},
	{name: "earliest first", ordered: true, run: func(s *suite) {
		now := s.h.Now()
		for i, offset := range []int{5, 1, 4, 2, 3} {
			s.waiting(fmt.Sprint(i), now.Add(time.Duration(offset)*time.Second), "crm")
		}
		s.h.Advance(10 * time.Second)
		got, _ := s.claimDue(10)
		var order []string
		for _, d := range got {
			order = append(order, d.Event.DedupeKey)
		}
		s.same("order", order, []string{"1", "3", "4", "2", "0"})
	}},
	{name: "no backlog starves another destination", run: func(s *suite) {
		now := s.h.Now()
		for _, k := range numbered(300) {
			s.waiting(k, now, "busy")
		}
		s.h.Advance(time.Second)
		s.waiting("quiet", s.h.Now(), "quiet")
		if got, _ := s.claimDue(8); !slices.Contains(destinationsOf(got), "quiet") {
			s.Fatalf("got %v", destinationsOf(got))
		}
	}},
	{name: "no backlog starves another tenant", run: func(s *suite) {
		now := s.h.Now()
		for i, k := range numbered(100) {
			s.waiting(k, now, fmt.Sprint("d", i%20))
		}
		s.h.Advance(time.Second)
		s.waitingOf("zeta", "z", s.h.Now(), "crm")
		got, _ := s.claimDue(2)
		if len(got) != 2 || got[0].Delivery.Tenant == got[1].Delivery.Tenant {
			s.Fatalf("got %v: the second turn is the other tenant's", destinationsOf(got))
		}
	}},
	{name: "destinations are served in turn", run: func(s *suite) {
		now := s.h.Now()
		for i := range 4 {
			for _, d := range []string{"a", "b", "c"} {
				s.waiting(fmt.Sprint(d, i), now, d)
			}
		}
		served := map[string]int{}
		for range 4 {
			got, _ := s.claimDue(3)
			for _, d := range got {
				served[d.Delivery.Destination]++
			}
		}
		s.same("served", served, map[string]int{"a": 4, "b": 4, "c": 4})
	}},
	{name: "a destination gets no more than its capacity", run: func(s *suite) {
		now := s.h.Now()
		for _, k := range numbered(6) {
			s.waiting(k, now, "crm", "mail")
		}
		ask := state.ClaimDue{Max: 100, Lease: leaseTime, Capacity: func(tenant, destination string) int {
			if tenant != acme {
				s.Errorf("asked for tenant %q", tenant)
			}
			return map[string]int{"crm": 2, "mail": 0}[destination]
		}}
		got, next, err := s.store().ClaimDue(s.ctx, ask)
		s.ok(err)
		s.same("served", destinationsOf(got), []string{"crm", "crm"})
		if !next.IsZero() && !next.After(now) {
			s.Fatalf("next at %v: what has no room is not asked for again and again", next)
		}
		ask.Capacity = nil
		got, _, err = s.store().ClaimDue(s.ctx, ask)
		s.ok(err)
		if len(got) != 10 {
			s.Fatalf("%d are left, want 10", len(got))
		}
	}},
	{name: "destinations without capacity do not delay others", run: func(s *suite) {
		const sick = 2000
		names := make([]string, sick)
		for i := range names {
			names[i] = fmt.Sprintf("sick%04d", i)
		}
		for i, some := range slices.Collect(slices.Chunk(names, 250)) {
			s.waiting(fmt.Sprint("sick", i), s.h.Now(), some...)
		}
		s.h.Advance(time.Second)
		s.waiting("well", s.h.Now(), "well")
		asked := map[string]int{}
		ask := state.ClaimDue{Max: 100, Lease: leaseTime, Capacity: func(_, destination string) int {
			asked[destination]++
			if destination == "well" {
				return 1
			}
			return 0
		}}
		got, next, err := s.store().ClaimDue(s.ctx, ask)
		s.ok(err)
		s.same("served", destinationsOf(got), []string{"well"})
		for destination, n := range asked {
			if n > 1 {
				s.Fatalf("the room of %s was asked for %d times in one call", destination, n)
			}
		}
		if !next.IsZero() && !next.After(s.h.Now()) {
			s.Fatalf("next at %v: what has no room is not asked for again and again", next)
		}
		// Destinations without capacity are all served once they have some.
		served := map[string]bool{}
		for range sick {
			got, _ := s.claimDue(100)
			for _, d := range got {
				served[d.Delivery.Destination] = true
			}
			if len(got) == 0 {
				break
			}
		}
		s.same("served at last", len(served), sick)
	}},
	{name: "bounded in bytes", run: func(s *suite) {
		for _, k := range numbered(4) {
			s.waiting(k, s.h.Now(), "crm")
		}
		got, _, err := s.store().ClaimDue(s.ctx, state.ClaimDue{Max: 10, Bytes: 1, Lease: leaseTime})
		s.ok(err)
		if len(got) != 1 {
			s.Fatalf("%d for one byte, want the first that exceeds it", len(got))
		}
		if got, _ = s.claimDue(10); len(got) != 3 {
			s.Fatalf("%d are left, want 3", len(got))
		}
	}},
	{name: "deliveries scheduled before others come before them", run: func(s *suite) {
		now := s.h.Now()
		s.waiting("late", now.Add(time.Minute), "crm")
		s.waiting("soon", now.Add(time.Second), "crm")
		s.h.Advance(time.Second)
		s.same("due", s.oneDue().Event.DedupeKey, "soon")
		s.waiting("now", s.h.Now(), "crm")
		s.same("due", s.oneDue().Event.DedupeKey, "now")
		s.h.Advance(59 * time.Second)
		s.same("due", s.oneDue().Event.DedupeKey, "late")
	}},
}

var leases = []test{
	{name: "one holder at a time", run: func(s *suite) {
		s.waiting("a", s.h.Now(), "crm")
		s.oneDue()
		s.noneDue()
		got, _, err := s.h.Second().ClaimDue(s.ctx, state.ClaimDue{Max: 10, Lease: leaseTime})
		s.ok(err)
		if len(got) != 0 {
			s.Fatal("another holder got it too")
		}
	}},
	{name: "ends by itself", run: func(s *suite) {
		s.waiting("a", s.h.Now(), "crm")
		first := s.oneDue()
		s.h.Advance(leaseTime - time.Second)
		s.noneDue()
		s.h.Advance(time.Second)
		second := s.oneDue()
		s.same("delivery", second.Delivery.ID, first.Delivery.ID)
		s.same("attempts", second.Delivery.Attempts, 0)
	}},
	{name: "leases of a dead holder end", run: func(s *suite) {
		e := s.waiting("claimed", s.h.Now(), "crm")
		s.oneDue()
		// A delivery whose attempt still runs is handed over with a lease, for as long as the attempt may take.
		handed := s.event(acme, "handed")
		s.append(handed)
		s.commit(outcome(s.claim(1)[0], s.owe(handed, "mail", state.Waiting, due(s.h.Now().Add(time.Hour)), func(d *state.Delivery) { d.Leased = true })))
		s.noneDue()
		s.h.Crash()
		got, _ := s.claimDue(10)
		s.sameSet("due", destinationsOf(got), []string{"crm", "mail"})
		s.noneDue()
		for _, d := range got {
			d.Delivery.State = state.Delivered
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		}
		s.same("state", s.delivery(id(e, "crm")).State, state.Delivered)
	}},
	{name: "leases end at a stop", run: func(s *suite) {
		s.waiting("claimed", s.h.Now(), "crm")
		s.oneDue()
		s.h.Reopen()
		d := s.oneDue()
		// Its holder extends the lease, and stops too.
		d.Delivery.Due, d.Delivery.Leased = s.h.Now().Add(time.Hour), true
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		s.noneDue()
		s.h.Reopen()
		s.oneDue()
	}},
	{name: "the end of a former lease makes nothing due", run: func(s *suite) {
		s.waiting("again", s.h.Now(), "crm")
		d := s.oneDue()
		d.Delivery.Due, d.Delivery.Leased = s.h.Now().Add(time.Hour), false
		s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease})
		s.waiting("over", s.h.Now(), "mail")
		s.oneDue()
		s.h.Advance(leaseTime)
		late := s.oneDue() // leased again
		late.Delivery.State = state.Dead
		s.same("fence", s.settle(state.Settled{Delivery: late.Delivery, Lease: late.Lease}), []bool{true})
		s.h.Crash()
		s.noneDue()
	}},
	{name: "a lost fence leaves the delivery and keeps the attempt as a repeat", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		slow := s.oneDue()
		s.h.Advance(leaseTime)
		s.oneDue()
		late := slow.Delivery
		late.State = state.Delivered
		tried(1, s.h.Now(), "delivered", 200)(&late)
		s.same("fence", s.settle(state.Settled{Delivery: late, Lease: slow.Lease}), []bool{false})
		d := s.delivery(id(e, "crm"))
		if d.State != state.Waiting || d.Attempts != 0 || len(d.Log) != 1 || !d.Log[0].Repeat {
			s.Fatalf("got %+v", d)
		}
	}},
	{name: "a holder may settle late while there is no other holder", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		slow := s.oneDue()
		s.h.Advance(2 * leaseTime)
		slow.Delivery.State = state.Delivered
		s.same("fence", s.settle(state.Settled{Delivery: slow.Delivery, Lease: slow.Lease}), []bool{true})
		s.same("state", s.delivery(id(e, "crm")).State, state.Delivered)
		s.noneDue()
	}},
	{name: "the fence of a second settling is lost", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		d := s.oneDue()
		d.Delivery.State = state.Delivered
		tried(1, s.h.Now(), "delivered", 200)(&d.Delivery)
		settled := state.Settled{Delivery: d.Delivery, Lease: d.Lease}
		s.same("fences", s.settle(settled, settled), []bool{true, false})
		s.same("once more", s.settle(settled), []bool{false})
		if log := s.delivery(id(e, "crm")).Log; len(log) != 3 || log[0].Repeat || !log[1].Repeat || !log[2].Repeat {
			s.Fatalf("attempts %+v", log)
		}
	}},
	{name: "a delivery that waits again is due at its new time, with its attempts", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		for n := 1; n <= 3; n++ {
			d := s.oneDue()
			s.same("attempts so far", d.Delivery.Attempts, n-1)
			tried(n, s.h.Now(), "retry", 500+n)(&d.Delivery)
			d.Delivery.Due, d.Delivery.Reason, d.Delivery.MaxBatch = s.h.Now().Add(time.Minute), "retry", []int{0, 50, 1}[n-1]
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
			s.noneDue()
			if _, next := s.claimDue(1); !next.Equal(s.h.Now().Add(time.Minute)) {
				s.Fatalf("next at %v", next)
			}
			got := s.delivery(id(e, "crm"))
			if got.MaxBatch != []int{0, 50, 1}[n-1] || got.Reason != "retry" || got.Attempts != n {
				s.Fatalf("got %+v", got)
			}
			s.h.Advance(time.Minute)
		}
		d := s.delivery(id(e, "crm"))
		var statuses []int
		for i, a := range d.Log {
			statuses = append(statuses, a.Status)
			s.same("number", a.N, i+1)
		}
		s.same("statuses", statuses, []int{501, 502, 503})
	}},
	{name: "a delivery that is handed back unchanged counts no attempt", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		d := s.oneDue()
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		got := s.delivery(id(e, "crm"))
		if got.Attempts != 0 || len(got.Log) != 0 || got.State != state.Waiting {
			s.Fatalf("got %+v", got)
		}
		s.oneDue()
	}},
	{name: "a delivery to another destination keeps its history", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		d := s.oneDue()
		tried(1, s.h.Now(), "retry", 500)(&d.Delivery)
		d.Delivery.Due = s.h.Now().Add(time.Second)
		s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease})
		s.h.Advance(time.Second)
		d = s.oneDue()
		d.Delivery.Log = nil
		d.Delivery.Destination, d.Delivery.State = "crm2", state.Delivered
		tried(2, s.h.Now(), "delivered", 200)(&d.Delivery)
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		got := s.delivery(id(e, "crm"))
		if got.Destination != "crm2" || len(got.Log) != 2 || got.Log[0].Status != 500 || got.Log[1].Status != 200 {
			s.Fatalf("got %+v", got)
		}
		s.noneDue()
	}},
	{name: "the fence of a name rises with each new holder", run: func(s *suite) {
		take := func(holder string) (uint64, error) { return s.store().Lease(s.ctx, "tokens/crm", holder, time.Minute) }
		first, err := take("one")
		s.ok(err)
		if again, err := take("one"); err != nil || again != first {
			s.Fatalf("renewed: fence %d after %d, %v", again, first, err)
		}
		if _, err := take("two"); !errors.Is(err, state.ErrConflict) {
			s.Fatalf("taken from its holder: %v", err)
		}
		s.h.Advance(time.Minute)
		second, err := take("two")
		s.ok(err)
		if second <= first {
			s.Fatalf("fence %d after %d", second, first)
		}
		if _, err := take("one"); !errors.Is(err, state.ErrConflict) {
			s.Fatalf("the old holder took it back: %v", err)
		}
		s.h.Reopen()
		s.h.Advance(time.Minute)
		third, err := take("one")
		s.ok(err)
		if third <= second {
			s.Fatalf("fence %d after %d, across a restart", third, second)
		}
		_, err = s.store().Lease(s.ctx, "tokens/crm", "one", 0)
		s.ok(err)
		if fourth, err := take("two"); err != nil || fourth <= third {
			s.Fatalf("fence %d after %d, given back: %v", fourth, third, err)
		}
	}},
}
