package statetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// as proves an event otherwise: its key stays, its id is another.
func as(verified string) func(*event.Header, *event.Data) {
	return func(h *event.Header, _ *event.Data) { h.Verified = verified }
}

// answering makes an event of another response.
func answering(response string) func(*event.Header, *event.Data) {
	return func(h *event.Header, d *event.Data) { h.ResponseID, d.Response.ID = response, response }
}

var identities = []test{
	{name: "a better proved event is accepted after a weaker one", run: func(s *suite) {
		for _, verified := range []string{"none", event.VerifiedAPI, "hmac"} {
			if r := s.append(s.event(acme, "a", as(verified)))[0]; r.Duplicate {
				s.Fatalf("verified by %s: %+v", verified, r)
			}
		}
		for _, c := range s.claim(3) {
			s.commit(outcome(c))
		}
		// And each is kept.
		for _, verified := range []string{"none", event.VerifiedAPI, "hmac"} {
			e := s.event(acme, "a", as(verified))
			s.same("kept", s.record(e.ID).Event.Verified, verified)
			if r := s.append(e)[0]; !r.Duplicate {
				s.Errorf("verified by %s, again: %+v", verified, r)
			}
		}
		s.claimsNothing(s.store())
	}},
	{name: "a weaker event is a duplicate of a better proved one", run: func(s *suite) {
		strong := s.event(acme, "a", as("hmac"))
		first := s.append(strong)[0]
		for _, verified := range []string{event.VerifiedAPI, "none"} {
			s.same("verified by "+verified, s.append(s.event(acme, "a", as(verified)))[0],
				state.Appended{Duplicate: true, Position: first.Position, OriginalID: strong.ID})
		}
		vouched := s.event(acme, "b", as(event.VerifiedAPI))
		first = s.append(vouched)[0]
		s.same("none behind vouched", s.append(s.event(acme, "b", as("none")))[0],
			state.Appended{Duplicate: true, Position: first.Position, OriginalID: vouched.ID})
		s.same("its own id", s.append(vouched)[0], state.Appended{Duplicate: true, Position: first.Position})
		s.claim(2)
		s.claimsNothing(s.store())
	}},
	{name: "proofs of one key within one call", run: func(s *suite) {
		strong, weak := s.event(acme, "a", as("hmac")), s.event(acme, "a", as("none"))
		if r := s.append(weak, strong, weak); r[0].Duplicate || r[1].Duplicate || !r[2].Duplicate || r[2].OriginalID != strong.ID {
			s.Errorf("weak, strong, weak: %+v", r)
		}
		strong, weak = s.event(acme, "b", as("hmac")), s.event(acme, "b", as("none"))
		if r := s.append(strong, weak); r[0].Duplicate || !r[1].Duplicate || r[1].Position != r[0].Position || r[1].OriginalID != strong.ID {
			s.Errorf("strong, weak: %+v", r)
		}
		s.claim(3)
		s.claimsNothing(s.store())
	}},
	{name: "of concurrent proofs of one key the best is never a duplicate", run: func(s *suite) {
		var wg sync.WaitGroup
		for _, key := range numbered(20) {
			for _, verified := range []string{"none", event.VerifiedAPI, "hmac"} {
				for range 2 {
					e := s.event(acme, key, as(verified))
					wg.Go(func() {
						if _, err := s.store().Append(s.ctx, []*event.Event{e}); err != nil {
							s.Error(err)
						}
					})
				}
			}
		}
		wg.Wait()
		for _, key := range numbered(20) {
			s.same(key, s.record(s.event(acme, key, as("hmac")).ID).Event.Verified, "hmac")
		}
	}},
	{name: "a better proved event that was removed still makes weaker ones duplicates", run: func(s *suite) {
		strong := s.event(acme, "a", as("hmac"))
		s.append(strong)
		s.commit(outcome(s.claim(1)[0]))
		s.h.Advance(2 * time.Hour)
		s.trim(state.Retention{Events: state.Bound{Age: time.Hour}, Dedupe: state.Bound{Age: 4 * time.Hour}})
		s.gone(strong.ID)
		weak := s.event(acme, "a", as(event.VerifiedAPI))
		s.same("while it is known", s.append(weak)[0], state.Appended{Duplicate: true, OriginalID: strong.ID})
		s.h.Advance(3 * time.Hour)
		s.trim(state.Retention{Events: state.Bound{Age: time.Hour}, Dedupe: state.Bound{Age: 4 * time.Hour}})
		if r := s.append(weak)[0]; r.Duplicate {
			s.Errorf("after that: %+v", r)
		}
	}},
	{name: "a better proved event of another tenant makes no duplicate", run: func(s *suite) {
		s.append(s.event("zeta", "a", as("hmac")))
		if r := s.append(s.event(acme, "a", as("none")))[0]; r.Duplicate {
			s.Fatal("an event was swallowed for another tenant's")
		}
	}},
	{name: "one id of many responses is accepted once", run: func(s *suite) {
		var accepted atomic.Int32
		var wg sync.WaitGroup
		for i := range 50 {
			e := s.event(acme, "a", answering(fmt.Sprint("r", i)))
			store := s.store()
			if i%2 == 1 {
				store = s.h.Second()
			}
			wg.Go(func() {
				r, err := store.Append(s.ctx, []*event.Event{e})
				switch {
				case err != nil:
					s.Error(err)
				case !r[0].Duplicate:
					accepted.Add(1)
				}
			})
		}
		wg.Wait()
		s.same("accepted", int(accepted.Load()), 1)
		s.claim(1)
		s.claimsNothing(s.store())
	}},
	{name: "one id of many responses within a call is accepted once", run: func(s *suite) {
		var all []*event.Event
		for i := range 20 {
			all = append(all, s.event(acme, "a", answering(fmt.Sprint("r", i))))
		}
		for i, r := range s.append(all...) {
			if r.Duplicate != (i > 0) {
				s.Errorf("event %d: %+v", i, r)
			}
		}
		s.claim(1)
		s.claimsNothing(s.store())
	}},
	{name: "proofs of one key of many responses", run: func(s *suite) {
		strong := s.event(acme, "a", as("hmac"), answering("r0"))
		s.append(strong)
		for i := range 20 {
			r := s.append(s.event(acme, "a", as("none"), answering(fmt.Sprint("r", i))))[0]
			if !r.Duplicate || r.OriginalID != strong.ID {
				s.Fatalf("response %d: %+v", i, r)
			}
		}
		s.claim(1)
		s.claimsNothing(s.store())
	}},
}
