package statetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// many destinations need several calls of Trim that are as long as in the gateway.
const many = 600

// several destinations, or tenants, need several short calls (Options.ShortTrims).
func several() int { return Few(300, 150) }

// trimRound trims until a call has looked at everything, as the gateway does, and returns what was removed.
func (s *suite) trimRound(r state.Retention) (all state.Trimmed) {
	s.Helper()
	for range 400 {
		done := s.trim(r)
		all.Add(done)
		if !done.More {
			return all
		}
	}
	s.Fatal("the round does not end")
	return all
}

// oweMany commits an event of acme for every 50 destinations, with one delivery for each, and returns the destinations.
func (s *suite) oweMany(prefix string, n int, st state.DeliveryState, change ...func(*state.Delivery)) []string {
	s.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	for from := 0; from < n; from += 50 {
		e := s.event(acme, fmt.Sprint(prefix, from))
		s.append(e)
		var owed []state.Delivery
		for _, name := range names[from:min(from+50, n)] {
			owed = append(owed, s.owe(e, name, st, change...))
		}
		s.commit(outcome(s.claim(1)[0], owed...))
	}
	return names
}

func dueLater(d *state.Delivery) { d.Due = d.Created.Add(1000 * time.Hour) }

// rounds are tests of retention over more tenants and destinations than one call of Trim can look at.
var rounds = []test{
	{name: "waiting deliveries become overdue at every destination", run: func(s *suite) {
		s.oweMany("d", many, state.Waiting, dueLater)
		s.h.Advance(2 * time.Hour)
		s.same("overdue", s.trimRound(state.Retention{Waiting: state.WaitingBound{Age: time.Hour}}).Overdue, many)
		h := s.store().Health(s.ctx)
		s.same("waiting", h.Waiting, int64(0))
		s.same("dead", h.Dead, int64(many))
	}},
	{name: "every destination is bounded by number and by bytes", opts: Options{ShortTrims: true}, ordered: true, run: func(s *suite) {
		for _, key := range []string{"a", "b", "c"} {
			e := s.event(acme, key)
			s.append(e)
			var owed []state.Delivery
			for i := range several() {
				owed = append(owed, s.owe(e, fmt.Sprintf("d%04d", i), state.Waiting, dueLater))
			}
			s.commit(outcome(s.claim(1)[0], owed...))
			s.h.Advance(time.Second)
		}
		size := int64(s.event(acme, "a").Size())
		s.same("by number", s.trimRound(state.Retention{Waiting: state.WaitingBound{Count: 2}}).Overdue, several())
		s.same("by bytes", s.trimRound(state.Retention{Waiting: state.WaitingBound{Bytes: size + size/2}}).Overdue, several())
	}},
	{name: "history ends at every destination", opts: Options{ShortTrims: true}, run: func(s *suite) {
		s.oweMany("f", several(), state.Dead, tried(1, s.h.Now(), "rejected", 400))
		s.oweMany("h", several(), state.Delivered, tried(1, s.h.Now(), "delivered", 200))
		s.h.Advance(2 * time.Hour)
		s.trimRound(state.Retention{History: state.HistoryBound{Age: time.Hour}})
		s.same("history", len(s.deliveryPages(state.DeliveryQuery{State: state.Delivered}, nil)), 0)
	}},
	{name: "dead letters end at every destination", opts: Options{ShortTrims: true}, run: func(s *suite) {
		s.oweMany("d", several(), state.Dead)
		s.h.Advance(2 * time.Hour)
		s.same("dead", s.trimRound(state.Retention{Dead: state.Bound{Age: time.Hour}}).Dead, several())
		s.same("left", s.store().Health(s.ctx).Dead, int64(0))
	}},
	{name: "dead letters end by bytes at every destination", opts: Options{ShortTrims: true}, run: func(s *suite) {
		s.oweMany("d", several(), state.Dead)
		s.trimRound(state.Retention{Dead: state.Bound{Bytes: 1}})
		s.same("left", s.store().Health(s.ctx).Dead, int64(0))
	}},
	{name: "a destination with much to remove keeps no other from its turn", opts: Options{ShortTrims: true}, run: func(s *suite) {
		r := state.Retention{Waiting: state.WaitingBound{Age: time.Hour}}
		flood := func(key string) {
			for _, some := range []string{"a", "b", "c", "d"} {
				e := s.event(acme, key+some)
				s.append(e)
				var owed []state.Delivery
				for i := range 1000 {
					d := s.owe(e, "a-flood", state.Waiting, dueLater)
					d.ID = state.JoinDeliveryID(e.ID, fmt.Sprintf("%013d", i))
					d.Created = s.h.Now().Add(-2 * time.Hour)
					owed = append(owed, d)
				}
				s.commit(outcome(s.claim(1)[0], owed...))
			}
		}
		s.oweMany("d", 100, state.Waiting, dueLater)
		s.h.Advance(2 * time.Hour)
		left := func() int {
			return len(s.deliveryPages(state.DeliveryQuery{State: state.Waiting, Destination: "d0099"}, nil))
		}
		calls := 0
		for ; left() > 0; calls++ {
			if calls == 40 {
				s.Fatal("the last destination had no turn in 40 calls")
			}
			flood(fmt.Sprint("k", calls)) // as much as one call can remove
			s.trim(r)
		}
	}},
	{name: "events that are dead letters end at every tenant", opts: Options{ShortTrims: true}, run: func(s *suite) {
		s.eventsOfSeveral()
		for _, c := range s.claim(several()) {
			o := outcome(c)
			o.Dead = "unreadable"
			s.commit(o)
		}
		s.h.Advance(2 * time.Hour)
		r := nothingOlder
		r.Dead.Age = time.Hour
		s.same("dead", s.trimRound(r).Dead, several())
		s.trimRound(r)
		s.same("events", s.store().Health(s.ctx).Events, int64(0))
	}},
	{name: "events and dedupe keys end at every tenant", opts: Options{ShortTrims: true}, run: func(s *suite) {
		s.eventsOfSeveral()
		for _, c := range s.claim(several()) {
			s.commit(outcome(c))
		}
		size := s.store().Health(s.ctx).Bytes
		s.trimRound(eventBytes(size / 2)) // each tenant has too much
		if h := s.store().Health(s.ctx); h.Bytes > size/2 {
			s.Fatalf("%d bytes are left, the bound is %d", h.Bytes, size/2)
		}
		s.h.Advance(2 * time.Hour)
		s.trimRound(nothingOlder)
		s.same("events", s.store().Health(s.ctx).Events, int64(0))
		s.same("dedupe keys", s.store().Health(s.ctx).DedupeWindow, time.Duration(0))
	}},
	{name: "names that come and go take no turn from others", opts: Options{ShortTrims: true}, run: func(s *suite) {
		n := Few(many, 200)
		s.oweMany("m", n, state.Waiting, dueLater)
		s.h.Advance(2 * time.Hour)
		r := state.Retention{Waiting: state.WaitingBound{Age: time.Hour}, History: state.HistoryBound{Age: time.Minute}, Dead: state.Bound{Age: time.Minute}}
		overdue := 0
		for call := 0; overdue < n; call++ {
			if call == 100 {
				s.Fatalf("%d of %d destinations had their turn in %d calls", overdue, n, call)
			}
			overdue += s.trim(r).Overdue
			s.oweMany(fmt.Sprintf("%c%02d-", 'a'+call%26, call), 5, state.Delivered, tried(1, s.h.Now(), "delivered", 200))
			s.h.Advance(2 * time.Minute) // their history ends, and with it their names
		}
	}},
	{name: "a holder that starts again after each call completes the round", opts: Options{ShortTrims: true}, run: func(s *suite) {
		few := Few(120, 60) // a start takes a while
		s.oweMany("d", few, state.Waiting, dueLater)
		s.h.Advance(2 * time.Hour)
		overdue := 0
		for call := 0; overdue < few; call++ {
			if call == 300 {
				s.Fatalf("%d of %d destinations had their turn in %d calls", overdue, few, call)
			}
			overdue += s.trim(state.Retention{Waiting: state.WaitingBound{Age: time.Hour}}).Overdue
			s.h.Reopen()
		}
	}},
	{name: "two holders complete a round together", opts: Options{ShortTrims: true}, run: func(s *suite) {
		s.oweMany("d", several(), state.Waiting, dueLater)
		s.h.Advance(2 * time.Hour)
		var holders sync.WaitGroup
		var mu sync.Mutex
		overdue := 0
		for _, st := range []state.Store{s.store(), s.h.Second()} {
			holders.Go(func() {
				for {
					done, err := st.Trim(s.ctx, state.Retention{Waiting: state.WaitingBound{Age: time.Hour}})
					if err != nil {
						s.Error(err)
						return
					}
					mu.Lock()
					overdue += done.Overdue
					all := overdue
					mu.Unlock()
					if all == several() {
						return
					}
				}
			})
		}
		holders.Wait()
		s.same("overdue", overdue, several())
	}},
}

// eventsOfSeveral appends an event of each of several tenants.
func (s *suite) eventsOfSeveral() {
	s.Helper()
	var all []*event.Event
	for i := range several() {
		all = append(all, s.event(fmt.Sprintf("t%04d", i), "k"))
	}
	s.append(all...)
}
