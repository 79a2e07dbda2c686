package statetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

var restarts = []test{
	{name: "accepted events survive a crash", run: func(s *suite) {
		s.accept(numbered(20)...)
		s.h.Crash()
		s.sameSet("claimed", keysOf(s.claim(20)), numbered(20))
	}},
	{name: "a claim that crashed is counted, one that was released is not", ordered: true, run: func(s *suite) {
		s.accept("crashed", "released", "fresh")
		for n := 1; n <= 2; n++ {
			c := s.claim(2)
			s.same("claimed", keysOf(c), []string{"crashed", "released"})
			s.same("claims", []int{c[0].Claims, c[1].Claims}, []int{n, 1})
			s.commit(state.Outcome{Position: c[1].Position, Tenant: acme, EventID: c[1].Event.ID, Release: true})
			// A power cut may lose the release, but not once something was made durable after it.
			s.append(s.event(acme, "fresh"), s.event("zeta", fmt.Sprint(n)))
			s.h.Crash()
		}
		c := s.claim(2)
		s.same("claimed", keysOf(c), []string{"released", "fresh"})
		// The second was not claimed. An engine may count one claim too many for the next events.
		if c[0].Claims != 1 || c[1].Claims > 2 {
			s.Fatalf("%d and %d claims", c[0].Claims, c[1].Claims)
		}
		crashed, err := s.store().ClaimSuspect(s.ctx)
		s.ok(err)
		s.same("the one that crashed", crashed.Event.DedupeKey, "crashed")
		s.same("claims", crashed.Claims, 3)
		s.same("record", s.record(crashed.Event.ID).Claims, 3)
	}},
	{name: "closing releases claims uncounted", run: func(s *suite) {
		s.accept(numbered(10)...)
		s.claim(5)
		s.h.Reopen()
		for _, c := range s.claim(10) {
			if c.Claims != 1 {
				s.Fatalf("%s has %d claims", c.Event.DedupeKey, c.Claims)
			}
		}
		s.accept("later")
		s.h.Crash()
		for _, c := range s.claim(11) {
			// The last one was not claimed. An engine whose mark of claims runs ahead may count one claim for it, which is not
			// enough to make it a suspect.
			if c.Claims != 2 && (c.Event.DedupeKey != "later" || c.Claims != 1) {
				s.Fatalf("%s has %d claims after a crash", c.Event.DedupeKey, c.Claims)
			}
		}
		s.claimsNothing(s.store())
	}},
	{name: "committed events are not claimed again", run: func(s *suite) {
		s.accept(numbered(10)...)
		var left []string
		for i, c := range s.claim(10) {
			if slices.Contains([]int{0, 2, 3, 7, 9}, i) {
				s.commit(outcome(c))
			} else {
				left = append(left, c.Event.DedupeKey)
			}
		}
		s.h.Reopen()
		s.sameSet("claimed", keysOf(s.claim(5)), left)
		s.claimsNothing(s.store())
		s.accept("new")
		s.same("claimed", keysOf(s.claim(1)), []string{"new"})
	}},
	{name: "waiting deliveries survive a crash", run: func(s *suite) {
		e := s.waiting("a", s.h.Now().Add(time.Minute), "crm")
		replayed := s.finished("b", "mail", state.Delivered)
		_, err := s.store().Schedule(s.ctx, acme, []state.Delivery{s.owe(replayed, "mail", state.Waiting, due(s.h.Now().Add(time.Minute)))})
		s.ok(err)
		s.h.Crash()
		if n := s.store().Health(s.ctx).Waiting; n != 2 {
			s.Fatalf("%d wait", n)
		}
		if _, next := s.claimDue(1); !next.Equal(Begin.Add(time.Minute)) {
			s.Fatalf("next at %v", next)
		}
		s.h.Advance(time.Minute)
		due, _ := s.claimDue(10)
		if len(due) != 2 {
			s.Fatalf("%d due", len(due))
		}
		s.same("the first", s.delivery(id(e, "crm")).State, state.Waiting)
	}},
	{name: "everything survives closing", run: func(s *suite) {
		done := s.finished("done", "crm", state.Delivered, tried(1, s.h.Now(), "delivered", 200))
		dead := s.finished("dead", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		waits := s.waiting("waits", s.h.Now().Add(time.Hour), "mail")
		before := s.snapshot(done, dead, waits)
		_, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "k", Owner: "e1"}}, time.Hour)
		s.ok(err)
		s.h.Reopen()
		s.same("after", s.snapshot(done, dead, waits), before)
		owners, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "k", Owner: "e2"}}, time.Hour)
		s.ok(err)
		s.same("owner", owners, []string{"e1"})
		if r := s.append(s.event(acme, "done")); !r[0].Duplicate {
			s.Fatal("a duplicate was accepted after a restart")
		}
	}},
	{name: "under load no accepted event is lost, and no committed one is claimed again", run: func(s *suite) {
		accepted, committed := s.load(600)
		s.h.Crash()
		again := map[string]int{}
		for len(again) < len(accepted)-len(committed) {
			for _, c := range s.claim(1) {
				again[c.Event.DedupeKey]++
				if committed[c.Event.DedupeKey] {
					// A power cut may undo a commit without waiting deliveries: repeated, never lost.
					delete(committed, c.Event.DedupeKey)
				}
			}
		}
		for k := range accepted {
			if !committed[k] && again[k] != 1 {
				s.Errorf("%s: %d claims after the crash", k, again[k])
			}
		}
	}},
	{name: "claiming goes on from the first call after a restart", run: func(s *suite) {
		s.accept("a")
		s.h.Reopen()
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		if _, err := s.store().Claim(ctx, 1, 0); err != nil {
			s.Fatal(err)
		}
	}},
}

// snapshot returns what readers see of events, as text.
func (s *suite) snapshot(events ...*event.Event) []string {
	s.Helper()
	var all []string
	for _, e := range events {
		r := s.record(e.ID)
		all = append(all, fmt.Sprintf("%d %d %+v", r.Position, r.Size, *r.Outcome))
		for _, d := range r.Outcome.Deliveries {
			all = append(all, fmt.Sprintf("%+v", *s.delivery(d.ID)))
		}
	}
	h := s.store().Health(s.ctx)
	return append(all, fmt.Sprint(h.Pending, h.Waiting, h.Dead, h.Events, h.Bytes, h.OldestWaiting))
}

// load appends with several callers while others claim and commit every second event.
func (s *suite) load(n int) (accepted, committed map[string]bool) {
	accepted, committed = map[string]bool{}, map[string]bool{}
	var mu sync.Mutex
	var wg, claimers sync.WaitGroup
	ctx, cancel := context.WithCancel(s.ctx)
	const callers = 6
	for i := range callers {
		var events []*event.Event
		for k := range n / callers {
			events = append(events, s.event(acme, fmt.Sprintf("c%d-%04d", i, k)))
		}
		wg.Go(func() {
			for _, e := range events {
				if _, err := s.store().Append(s.ctx, []*event.Event{e}); err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				accepted[e.DedupeKey] = true
				mu.Unlock()
			}
		})
	}
	for range 2 {
		claimers.Go(func() {
			for {
				some, err := s.store().Claim(ctx, 16, 0)
				if err != nil {
					return
				}
				var done []state.Outcome
				for _, c := range some {
					if c.Position%2 == 0 {
						done = append(done, outcome(c))
					}
				}
				if _, err := s.store().Commit(s.ctx, &state.Commit{Events: done}); err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				for _, c := range some {
					if c.Position%2 == 0 {
						committed[c.Event.DedupeKey] = true
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	cancel()
	claimers.Wait()
	return accepted, committed
}

var tenants = []test{
	{name: "never see each other's data", run: func(s *suite) {
		const other = "zeta"
		st := s.store()
		waits := s.waiting("a", s.h.Now(), "crm")
		dead := s.finished("b", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		s.waitingOf(other, "own", s.h.Now().Add(time.Hour), "own")
		_, err := st.Put(s.ctx, acme, "rule", "r", []byte("x"), 0)
		s.ok(err)
		s.ok(st.Keep(s.ctx, acme, "list", []byte("x"), 5, time.Hour))
		s.addCounts(st, count("crm", s.h.Now(), 1), count("", s.h.Now(), 1))
		s.ok(st.Hold(s.ctx, acme, "mail", state.Hold{Kind: state.HoldPaused}, nil))

		for _, tenant := range []string{other, "", "acm", "acme\x00", "acme2", "ACME"} {
			if _, err := st.Event(s.ctx, tenant, waits.ID); err == nil {
				s.Errorf("%q: Event", tenant)
			}
			for _, q := range []state.EventQuery{{}, {Response: "r-a"}, {Type: "response.completed"}, {Dead: true}} {
				page, err := st.Events(s.ctx, tenant, q)
				s.ok(err)
				for _, r := range page.Items {
					if r.Event.Tenant != tenant {
						s.Errorf("%q: Events(%+v) shows %s", tenant, q, r.Event.DedupeKey)
					}
				}
			}
			s.ok(st.Range(s.ctx, tenant, 0, func(r *state.Record) error {
				if r.Event.Tenant != tenant {
					s.Errorf("%q: Range shows %s", tenant, r.Event.DedupeKey)
				}
				return nil
			}))
			for _, id := range []string{id(waits, "crm"), id(dead, "crm")} {
				if _, err := st.Delivery(s.ctx, tenant, id); err == nil {
					s.Errorf("%q: Delivery", tenant)
				}
				if err := st.Drop(s.ctx, tenant, id); err == nil {
					s.Errorf("%q: Drop", tenant)
				}
				done, err := st.Schedule(s.ctx, tenant, []state.Delivery{{ID: id, Destination: "crm"}})
				s.ok(err)
				s.same("Schedule", done, []bool{false})
			}
			for _, q := range []state.DeliveryQuery{{}, {State: state.Waiting}, {State: state.Dead}, {Failed: true}, {EventID: waits.ID}, {Destination: "crm"}} {
				page, err := st.Deliveries(s.ctx, tenant, q)
				s.ok(err)
				for _, d := range page.Items {
					if d.Tenant != tenant {
						s.Errorf("%q: Deliveries(%+v) shows %s", tenant, q, d.ID)
					}
				}
			}
			if _, err := st.Get(s.ctx, tenant, "rule", "r"); err == nil {
				s.Errorf("%q: Get", tenant)
			}
			list, err := st.List(s.ctx, tenant, "rule")
			s.ok(err)
			kept, err := st.Kept(s.ctx, tenant, "list", 0, -1)
			s.ok(err)
			stats := s.counts(tenant, state.CountQuery{Step: state.ByHour})
			stats = append(stats, s.counts(tenant, state.CountQuery{Step: state.ByHour, Names: []string{"", "crm"}})...)
			onHold, err := st.Holds(s.ctx, tenant)
			s.ok(err)
			if n := len(list) + len(kept) + len(stats) + len(onHold); n > 0 {
				s.Errorf("%q: %d settings, %d items, %d statistics, %d holds", tenant, len(list), len(kept), len(stats), len(onHold))
			}
		}
		// The fence of another tenant does not hold.
		due := s.oneDue()
		foreign := due.Delivery
		foreign.Tenant, foreign.State = other, state.Delivered
		s.same("fence", s.settle(state.Settled{Delivery: foreign, Lease: due.Lease}), []bool{false})
		s.same("state", s.delivery(id(waits, "crm")).State, state.Waiting)
		if _, err := st.Schedule(s.ctx, acme, []state.Delivery{s.owe(s.event(other, "own"), "crm", state.Waiting)}); err == nil {
			s.Error("a delivery was scheduled under another tenant than it says")
		}
	}},
}
