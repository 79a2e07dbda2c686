package statetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const loud = "loud"

// decidedOf appends, claims and commits n events of a tenant without deliveries, and returns their keys.
func (s *suite) decidedOf(tenant, prefix string, n int) []string {
	s.Helper()
	keys := make([]string, n)
	for from := 0; from < n; from += 100 {
		var some []*event.Event
		for i := from; i < min(from+100, n); i++ {
			keys[i] = fmt.Sprintf("%s%05d", prefix, i)
			some = append(some, s.event(tenant, keys[i]))
		}
		s.append(some...)
		var outcomes []state.Outcome
		for _, c := range s.claim(len(some)) {
			outcomes = append(outcomes, outcome(c))
		}
		s.commit(outcomes...)
	}
	return keys
}

// trimAll trims until nothing is left to do, as the gateway does.
func (s *suite) trimAll(r state.Retention) (all state.Trimmed) {
	s.Helper()
	for range 100 {
		done := s.trim(r)
		if done.Nothing() {
			return all
		}
		all.Events += done.Events
		all.Dedupe += done.Dedupe
		all.Dead += done.Dead
	}
	s.Fatal("trimming does not end")
	return all
}

// listed returns the keys of a tenant's events, sorted.
func (s *suite) listed(tenant string, q state.EventQuery) []string {
	s.Helper()
	var keys []string
	for {
		page, err := s.store().Events(s.ctx, tenant, q)
		s.ok(err)
		for _, r := range page.Items {
			keys = append(keys, r.Event.DedupeKey)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			slices.Sort(keys)
			return keys
		}
	}
}

// intact checks that all events of a tenant are found in every way of reading.
func (s *suite) intact(tenant string, keys []string) {
	s.Helper()
	s.same("listed", s.listed(tenant, state.EventQuery{}), keys)
	var ranged []string
	var last uint64
	s.ok(s.store().Range(s.ctx, tenant, 0, func(r *state.Record) error {
		if r.Position <= last {
			s.Errorf("position %d comes behind %d", r.Position, last)
		}
		last = r.Position
		ranged = append(ranged, r.Event.DedupeKey)
		return nil
	}))
	slices.Sort(ranged)
	s.same("range", ranged, keys)
	for _, k := range keys {
		e := s.event(tenant, k)
		r, err := s.store().Event(s.ctx, tenant, e.ID)
		s.ok(err)
		if string(r.Event.Raw.Body) != string(e.Raw.Body) || r.Outcome == nil {
			s.Fatalf("event %s is kept as %s, outcome %v", k, r.Event.Raw.Body, r.Outcome)
		}
		if !s.ordered {
			s.same("by response", s.listed(tenant, state.EventQuery{Response: e.ResponseID}), []string{k})
		}
	}
	if got := s.append(s.event(tenant, keys[0]))[0]; !got.Duplicate || got.Position == 0 {
		s.Fatalf("the first of %s is accepted again: %+v", tenant, got)
	}
}

func eventBytes(n int64) state.Retention { return state.Retention{Events: state.Bound{Bytes: n}} }

var shares = []test{
	{name: "the largest tenant loses its oldest events, and no other loses any", run: func(s *suite) {
		mine := s.decidedOf(acme, "a", 30)
		s.decidedOf(loud, "x", 300)
		bound := s.store().Health(s.ctx).Bytes / 3
		for round := range 3 {
			s.trimAll(eventBytes(bound))
			s.intact(acme, mine)
			h := s.store().Health(s.ctx)
			if h.Bytes > bound || h.Bytes < bound*9/10 {
				s.Fatalf("%d bytes are kept, the bound is %d", h.Bytes, bound)
			}
			left := s.listed(loud, state.EventQuery{})
			s.same("counted", h.Events, int64(len(mine)+len(left)))
			if len(left) == 0 {
				s.Fatal("the flood is gone as a whole")
			}
			s.h.Reopen()
			s.decidedOf(loud, fmt.Sprintf("y%d-", round), 150)
		}
	}},
	{name: "larger tenants are cut down to one size", run: func(s *suite) {
		sizes := map[string]int{"one": 10, "two": 40, "three": 90, "four": 160, "five": 20}
		for _, tenant := range []string{"four", "one", "three", "five", "two"} {
			s.decidedOf(tenant, "k", sizes[tenant])
		}
		h := s.store().Health(s.ctx)
		each := h.Bytes / h.Events
		// 10 + 20 + 40 stay, and 65 of each of the other two tenants.
		s.trimAll(eventBytes(each * 200))
		for tenant, n := range sizes {
			left := s.listed(tenant, state.EventQuery{})
			if n <= 40 {
				s.same(tenant, len(left), n)
				continue
			}
			if len(left) < 60 || len(left) > 70 {
				s.Errorf("%s has %d events, want about 65", tenant, len(left))
			}
		}
	}},
	{name: "the largest tenant loses its oldest, in order", ordered: true, run: func(s *suite) {
		s.decidedOf(loud, "x", 20)
		mine := s.decidedOf(acme, "a", 100)
		theirs := s.decidedOf(loud, "y", 20)
		h := s.store().Health(s.ctx)
		each := h.Bytes / h.Events
		s.trimAll(eventBytes(each*100 + each/2))
		s.same("loud", len(s.listed(loud, state.EventQuery{})), 40)
		left := s.listed(acme, state.EventQuery{})
		if n := len(left); n < 57 || n > 61 || left[n-1] != mine[99] || left[0] != mine[100-n] {
			s.Fatalf("%d are left, from %s to %s", n, left[0], left[n-1])
		}
		// If the bound is exceeded, the older events of the share are removed first.
		theirs = append(theirs, s.decidedOf(loud, "z", 200)...)
		s.trimAll(eventBytes(each*100 + each/2))
		left = s.listed(loud, state.EventQuery{})
		if n := len(left); n < 47 || n > 53 || left[n-1] != theirs[219] || left[0] != theirs[220-n] {
			s.Fatalf("%d are left, from %s to %s", n, left[0], left[n-1])
		}
	}},
	{name: "events in a share are removed by age", run: func(s *suite) {
		s.decidedOf(acme, "a", 20)
		s.h.Advance(30 * time.Minute)
		young := s.decidedOf(acme, "b", 20)
		s.decidedOf(loud, "x", 200)
		r := eventBytes(s.store().Health(s.ctx).Bytes / 2)
		s.trimAll(r)
		s.same("both", len(s.listed(acme, state.EventQuery{})), 40)
		s.h.Advance(45 * time.Minute)
		r.Events.Age = time.Hour
		done := s.trimAll(r)
		s.same("gone", done.Events, 20)
		s.intact(acme, young)
		s.h.Advance(time.Hour)
		s.trimAll(r)
		if h := s.store().Health(s.ctx); h.Events != 0 || h.Bytes != 0 {
			s.Fatalf("%d events, %d bytes are left", h.Events, h.Bytes)
		}
	}},
	{name: "an event in a share stays when its last delivery ends", run: func(s *suite) {
		at := s.h.Now().Add(time.Hour)
		waits := s.waiting("a", at, "crm")
		s.decided("b")
		s.decidedOf(loud, "x", 200)
		bound := s.store().Health(s.ctx).Bytes / 2
		s.trimAll(eventBytes(bound))
		s.intact(acme, []string{"a", "b"})
		// A delivery of an event that is already in the share.
		b := s.event(acme, "b")
		again := s.owe(b, "mail", state.Waiting, due(at))
		made, err := s.store().Schedule(s.ctx, acme, []state.Delivery{again})
		s.ok(err)
		s.same("scheduled", made, []bool{true})
		s.h.Advance(2 * time.Hour)
		got, _ := s.claimDue(10)
		s.same("due", len(got), 2)
		for _, d := range got {
			d.Delivery.State = state.Delivered
			s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		}
		s.trimAll(eventBytes(bound))
		s.intact(acme, []string{"a", "b"})
		s.same("delivered", s.delivery(id(waits, "crm")).State, state.Delivered)
	}},
	{name: "an event that leaves its share stays until its last delivery ends", run: func(s *suite) {
		waits := s.waiting("a", s.h.Now().Add(time.Hour), "crm")
		s.decidedOf(loud, "x", 100)
		s.trimAll(eventBytes(s.store().Health(s.ctx).Bytes / 2))
		s.trimAll(eventBytes(1))
		s.same("of the loud", s.listed(loud, state.EventQuery{}), []string{})
		s.intact(acme, []string{"a"})
		s.h.Reopen()
		s.h.Advance(2 * time.Hour)
		d := s.oneDue()
		s.same("event", string(d.Event.Raw.Body), string(waits.Raw.Body))
		d.Delivery.State = state.Delivered
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		s.trimAll(eventBytes(1))
		s.gone(waits.ID)
		if h := s.store().Health(s.ctx); h.Events != 0 || h.Bytes != 0 {
			s.Fatalf("%d events, %d bytes are left", h.Events, h.Bytes)
		}
	}},
	{name: "pending events push no others out", ordered: true, run: func(s *suite) {
		mine := s.decidedOf(acme, "a", 30)
		bound := s.store().Health(s.ctx).Bytes * 2
		for i := range 3 {
			var flood []*event.Event
			for k := range 100 {
				flood = append(flood, s.event(loud, fmt.Sprintf("x%d-%d", i, k)))
			}
			s.append(flood...)
		}
		s.trimAll(eventBytes(bound))
		s.intact(acme, mine)
		s.same("pending", s.store().Health(s.ctx).Pending, int64(300))
		for range 3 {
			for _, c := range s.claim(100) {
				s.commit(outcome(c))
			}
		}
		s.trimAll(eventBytes(bound))
		s.intact(acme, mine)
		if h := s.store().Health(s.ctx); h.Bytes > bound {
			s.Fatalf("%d bytes are kept, the bound is %d", h.Bytes, bound)
		}
	}},
	{name: "the tenant with most ids loses its oldest, and no other loses any", run: func(s *suite) {
		mine := s.decidedOf(acme, "a", 20)
		theirs := s.decidedOf(loud, "x", 400)
		s.trimAll(noEvents)
		r := noEvents
		r.Dedupe.Bytes = 100 * 64
		for round := range 3 {
			if s.trimAll(r).Dedupe == 0 {
				s.Fatal("nothing was forgotten")
			}
			for _, k := range mine {
				if got := s.append(s.event(acme, k))[0]; !got.Duplicate {
					s.Fatalf("%s is accepted a second time", k)
				}
			}
			if got := s.append(s.event(loud, theirs[len(theirs)-1]))[0]; !got.Duplicate {
				s.Fatal("the newest of the loud is forgotten")
			}
			if got := s.append(s.event(loud, theirs[0]))[0]; got.Duplicate {
				s.Fatal("the oldest of the loud is still recognised")
			}
			s.commit(outcome(s.claim(1)[0]))
			s.h.Reopen()
			theirs = s.decidedOf(loud, fmt.Sprintf("y%d-", round), 200)
		}
	}},
	{name: "ids end by age in every tenant", run: func(s *suite) {
		mine := s.decidedOf(acme, "a", 20)
		s.h.Advance(40 * time.Minute)
		s.decidedOf(loud, "x", 300)
		s.trimAll(noEvents)
		r := noEvents
		r.Dedupe = state.Bound{Age: time.Hour, Bytes: 1 << 20}
		s.h.Advance(30 * time.Minute)
		s.same("forgotten", s.trimAll(r).Dedupe, 20)
		if got := s.append(s.event(acme, mine[0]))[0]; got.Duplicate {
			s.Fatal("swallowed beyond the window")
		}
		s.commit(outcome(s.claim(1)[0]))
		s.h.Advance(2 * time.Hour)
		s.same("forgotten", s.trimAll(r).Dedupe, 301)
		if w := s.store().Health(s.ctx).DedupeWindow; w != 0 {
			s.Fatalf("nothing is recognised, and the window is %v", w)
		}
	}},
	{name: "the tenant with most dead letters loses its oldest, and no other loses any", run: func(s *suite) {
		dead := func(tenant string, n int) {
			for _, k := range numbered(n) {
				e := s.event(tenant, k)
				s.append(e)
				s.commit(outcome(s.claim(1)[0], s.owe(e, fmt.Sprint("d", n%3), state.Dead)))
			}
		}
		dead(acme, 5)
		s.h.Advance(time.Minute)
		dead(loud, 60)
		size := int64(s.event(loud, "k00000").Size())
		s.trimAll(state.Retention{Dead: state.Bound{Bytes: 20*size + size/2}})
		count := func(tenant string) int {
			page, err := s.store().Deliveries(s.ctx, tenant, state.DeliveryQuery{State: state.Dead, Limit: 100})
			s.ok(err)
			return len(page.Items)
		}
		s.same("of the quiet", count(acme), 5)
		if n := count(loud); n < 12 || n > 15 {
			s.Fatalf("the loud has %d dead letters, want about 15", n)
		}
	}},
	{name: "a tenant below its equal part never loses anything", run: func(s *suite) {
		r := rand.New(rand.NewPCG(7, 9)) //nolint:gosec // deterministic choices of a test
		names := []string{"ta", "tb", "tc", "td", "te"}
		for round := range Few(12, 4) {
			for i, tenant := range names {
				n := r.IntN(10 * (i + 1))
				s.decidedOf(tenant, fmt.Sprintf("r%02d-", round), n)
				if n%3 == 0 {
					s.waitingOf(tenant, fmt.Sprintf("w%02d", round), s.h.Now().Add(time.Duration(r.IntN(3))*time.Minute), "crm")
				}
			}
			s.h.Advance(time.Minute)
			due, _ := s.claimDue(3)
			for _, d := range due {
				d.Delivery.State = state.Delivered
				s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
			}
			before, total := map[string][]string{}, 0
			for _, tenant := range names {
				before[tenant] = s.listed(tenant, state.EventQuery{})
				total += len(before[tenant])
			}
			h := s.store().Health(s.ctx)
			each := h.Bytes / h.Events
			bound := 20 + r.IntN(total)
			both := make(chan error, 2)
			for _, st := range []state.Store{s.store(), s.h.Second()} {
				go func() {
					_, err := st.Trim(s.ctx, eventBytes(int64(bound)*each))
					both <- err
				}()
			}
			s.ok(errors.Join(<-both, <-both))
			s.trimAll(eventBytes(int64(bound) * each))
			left := 0
			for _, tenant := range names {
				after := s.listed(tenant, state.EventQuery{})
				left += len(after)
				if len(before[tenant]) < bound*9/10/len(names) {
					s.same(tenant, after, before[tenant])
				}
			}
			// Events of waiting deliveries do not count for the bound.
			if waits := int(s.store().Health(s.ctx).Waiting); left > bound*11/10+waits {
				s.Fatalf("%d events are left, %d wait, the bound is %d", left, waits, bound)
			}
			if round%4 == 3 {
				s.h.Reopen()
			}
		}
	}},
}
