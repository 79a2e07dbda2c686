package statetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// aloneMost is how many claims alone an event gets in this suite before it becomes a dead letter, as in the gateway.
const aloneMost = 5

var suspects = []test{
	{name: "an event that kills its holder is isolated, and no other is counted", ordered: true, run: poison},
	{name: "an event that kills its holder is isolated, read back", ordered: true, run: poison, opts: Options{Small: true}},
	{name: "suspects are claimed alone", ordered: true, run: func(s *suite) {
		s.suspected("a", "b", "c")
		c := s.suspect()
		s.same("the first", fmt.Sprint(c.Event.DedupeKey, c.Claims), "a3")
		s.noSuspect()
		s.accept("healthy")
		s.same("beside it", keysOf(s.claim(1)), []string{"healthy"})
		s.claimsNothing(s.store())
		s.noSuspect()
		s.commit(outcome(c))
		for _, want := range []string{"b3", "c3"} {
			c := s.suspect()
			s.same("the next", fmt.Sprint(c.Event.DedupeKey, c.Claims), want)
			s.commit(outcome(c))
		}
		s.noSuspect()
	}},
	{name: "of suspects the one with the fewest claims comes first", ordered: true, run: func(s *suite) {
		s.suspected("a", "b", "c")
		for _, want := range []string{"a3", "b3", "c3", "a4", "b4"} {
			c := s.suspect()
			s.same("claimed", fmt.Sprint(c.Event.DedupeKey, c.Claims), want)
			s.same("record", s.record(c.Event.ID).Claims, c.Claims)
			s.h.Crash()
		}
	}},
	{name: "a released suspect stays a suspect, uncounted", ordered: true, run: func(s *suite) {
		s.suspected("a", "b")
		for range 3 {
			c := s.suspect()
			s.same("claimed", fmt.Sprint(c.Event.DedupeKey, c.Claims), "a3")
			s.commit(state.Outcome{Position: c.Position, Tenant: acme, EventID: c.Event.ID, Release: true})
			s.claimsNothing(s.store())
		}
	}},
	{name: "closing counts no claim", ordered: true, run: func(s *suite) {
		s.accept("a", "b")
		for range 4 {
			for _, c := range s.claim(2) {
				s.same("claims", c.Claims, 1)
			}
			s.h.Reopen()
		}
		s.claim(2)
		s.h.Crash()
		s.claim(2)
		s.h.Crash()
		for range 4 {
			c := s.suspect()
			s.same("claimed", fmt.Sprint(c.Event.DedupeKey, c.Claims), "a3")
			s.h.Reopen()
		}
	}},
	{name: "a suspect is committed by its holder", ordered: true, run: func(s *suite) {
		s.suspected("a")
		c := s.suspect()
		s.h.Crash()
		again := s.suspect()
		s.same("claims", again.Claims, c.Claims+1)
		s.commit(outcome(again, s.owe(again.Event, "crm", state.Delivered)))
		s.same("pending", s.store().Health(s.ctx).Pending, int64(0))
		s.noSuspect()
	}},
}

// poison appends ten events, the third of which kills the process whenever it is handed out, and then healthy ones.
func poison(s *suite) {
	keys := numbered(10)
	culprit := keys[2]
	s.accept(keys...)
	seen, committed, deaths, healthy := map[string]int{}, map[string]bool{}, 0, 0
	for {
		// As the gateway does: it claims what it can, and one suspect besides.
		batch := s.claimSome()
		c, err := s.store().ClaimSuspect(s.ctx)
		s.ok(err)
		if c != nil {
			batch = append(batch, *c)
		}
		for _, c := range batch {
			seen[c.Event.DedupeKey] = c.Claims
		}
		if seen[culprit] > state.MaxBatchClaims+aloneMost {
			for _, c := range batch {
				if c.Event.DedupeKey != culprit {
					s.commit(outcome(c))
					committed[c.Event.DedupeKey] = true
				}
			}
			break
		}
		if slices.ContainsFunc(batch, func(c state.Claimed) bool { return c.Event.DedupeKey == culprit }) {
			deaths++
			healthy++
			s.h.Crash()
			s.accept(fmt.Sprint("healthy", healthy))
			continue
		}
		for _, c := range batch {
			s.commit(outcome(c))
			committed[c.Event.DedupeKey] = true
		}
	}
	s.same("deaths and claims of the culprit", []int{deaths, seen[culprit]}, []int{7, 8})
	for key, n := range seen {
		if key != culprit && n > 4 {
			s.Errorf("%s was claimed %d times", key, n)
		}
	}
	o := state.Outcome{Tenant: acme, EventID: s.event(acme, culprit).ID, Dead: "it kills", At: s.h.Now()}
	o.Position = s.record(o.EventID).Position
	s.commit(o)
	for n := s.store().Health(s.ctx).Pending; n > 0; n = s.store().Health(s.ctx).Pending {
		for _, c := range s.claim(1) {
			s.commit(outcome(c))
			committed[c.Event.DedupeKey] = true
		}
	}
	s.same("committed", len(committed), len(keys)-1+healthy)
	dead, err := s.store().Events(s.ctx, acme, state.EventQuery{Dead: true})
	s.ok(err)
	s.same("dead letters", len(dead.Items), 1)
}

// suspected appends events, and has the process die twice while it has claimed them.
func (s *suite) suspected(keys ...string) {
	s.Helper()
	s.accept(keys...)
	for n := range state.MaxBatchClaims {
		for _, c := range s.claim(len(keys)) {
			s.same("claims in company", c.Claims, n+1)
		}
		s.h.Crash()
	}
}

// claimSome claims what can be claimed at once. That a call keeps waiting can only be seen by waiting.
func (s *suite) claimSome() []state.Claimed {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Millisecond)
	defer cancel()
	some, err := s.store().Claim(ctx, 100, 0)
	if err != nil && ctx.Err() == nil {
		s.Fatal(err)
	}
	return some
}

// suspect claims the next suspect. Claim must not hand one out.
func (s *suite) suspect() state.Claimed {
	s.Helper()
	for {
		if some := s.claimSome(); len(some) > 0 {
			s.Fatalf("%s was claimed in company, at its claim %d", some[0].Event.DedupeKey, some[0].Claims)
		}
		c, err := s.store().ClaimSuspect(s.ctx)
		s.ok(err)
		if c != nil {
			return *c
		}
	}
}

func (s *suite) noSuspect() {
	s.Helper()
	c, err := s.store().ClaimSuspect(s.ctx)
	s.ok(err)
	if c != nil {
		s.Fatalf("%s is claimed as a suspect at its claim %d, want none", c.Event.DedupeKey, c.Claims)
	}
}
