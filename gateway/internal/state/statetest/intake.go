package statetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

var intake = []test{
	{name: "accepted events are read back unchanged", run: func(s *suite) {
		e := s.event(acme, "a", func(_ *event.Header, d *event.Data) { d.Respondent.Email = "jo@example.com" })
		s.append(e)
		for from, got := range map[string]*event.Event{"claim": s.claim(1)[0].Event, "look-up": s.record(e.ID).Event} {
			s.same(from+": header", got.Header, e.Header)
			s.same(from+": envelope", string(got.Envelope()), string(e.Envelope()))
			if !bytes.Equal(got.Raw.Body, e.Raw.Body) {
				s.Errorf("%s: raw is %q, want %q", from, got.Raw.Body, e.Raw.Body)
			}
			s.same(from+": e-mail", got.Data().Respondent.Email, "jo@example.com")
		}
	}},
	{name: "positions rise in the order of the call", ordered: true, run: func(s *suite) {
		var last uint64
		for range 3 {
			for i, r := range s.append(s.event(acme, fmt.Sprint("a", last)), s.event(acme, fmt.Sprint("b", last))) {
				if r.Duplicate || r.Position <= last {
					s.Fatalf("event %d: position %d behind %d, duplicate %v", i, r.Position, last, r.Duplicate)
				}
				last = r.Position
			}
		}
	}},
	{name: "two events of one id within a call are duplicates", run: func(s *suite) {
		e := s.event(acme, "a")
		r := s.append(e, e, s.event(acme, "b"))
		if r[0].Duplicate || !r[1].Duplicate || r[2].Duplicate || r[1].Position != r[0].Position {
			s.Fatalf("got %+v", r)
		}
		s.sameSet("claimed", keysOf(s.claim(2)), []string{"a", "b"})
		s.claimsNothing(s.store())
	}},
	{name: "a duplicate names the position of the first", run: func(s *suite) {
		first := s.append(s.event(acme, "a"))[0]
		again, err := s.h.Second().Append(s.ctx, []*event.Event{s.event(acme, "a")})
		s.ok(err)
		s.same("again", again[0], state.Appended{Duplicate: true, Position: first.Position})
		s.commit(outcome(s.claim(1)[0]))
		s.same("after its commit", s.append(s.event(acme, "a"))[0], state.Appended{Duplicate: true, Position: first.Position})
		s.claimsNothing(s.store())
	}},
	{name: "of concurrent duplicates one is accepted", run: func(s *suite) {
		const callers, keys = 16, 20
		var mu sync.Mutex
		accepted := map[string]int{}
		var wg sync.WaitGroup
		for range callers {
			var all []*event.Event
			for _, k := range numbered(keys) {
				all = append(all, s.event(acme, k))
			}
			wg.Go(func() {
				for _, e := range all {
					r, err := s.store().Append(s.ctx, []*event.Event{e})
					if err != nil {
						s.Error(err)
						return
					}
					mu.Lock()
					if !r[0].Duplicate {
						accepted[e.DedupeKey]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for _, k := range numbered(keys) {
			if accepted[k] != 1 {
				s.Errorf("%s was accepted %d times", k, accepted[k])
			}
		}
		s.claim(keys)
		s.claimsNothing(s.store())
	}},
	{name: "an id of another tenant is no duplicate", run: func(s *suite) {
		mine := s.event(acme, "a")
		other := s.event("zeta", "a")
		other.ID = mine.ID
		if r := s.append(mine, other); r[1].Duplicate {
			s.Fatal("an event was swallowed for another tenant's")
		}
		s.claim(2)
	}},
	{name: "an event without tenant is refused", run: func(s *suite) {
		e := s.event(acme, "a")
		e.Tenant = ""
		if _, err := s.store().Append(s.ctx, []*event.Event{s.event(acme, "b"), e}); err == nil {
			s.Fatal("accepted")
		}
		s.claimsNothing(s.store()) // the call kept none of its events
	}},
	{name: "an empty append does nothing", run: func(s *suite) { s.append() }},
	{name: "a closed store refuses", run: func(s *suite) {
		e := s.event(acme, "a")
		closed := s.store()
		s.h.Reopen()
		if _, err := closed.Append(s.ctx, []*event.Event{e}); !errors.Is(err, state.ErrClosed) {
			s.Errorf("append: %v", err)
		}
		if _, err := closed.Claim(s.ctx, 1, 0); !errors.Is(err, state.ErrClosed) {
			s.Errorf("claim: %v", err)
		}
		if _, err := closed.Event(s.ctx, acme, e.ID); !errors.Is(err, state.ErrClosed) {
			s.Errorf("event: %v", err)
		}
		if _, _, err := closed.ClaimDue(s.ctx, state.ClaimDue{Max: 1, Lease: time.Second}); !errors.Is(err, state.ErrClosed) {
			s.Errorf("claim due: %v", err)
		}
		if _, err := closed.Trim(s.ctx, state.Retention{}); !errors.Is(err, state.ErrClosed) {
			s.Errorf("trim: %v", err)
		}
		s.ok(closed.Close()) // a second time
	}},
}

var claims = []test{
	{name: "oldest first", ordered: true, run: oldestFirst},
	{name: "oldest first, read back", ordered: true, run: oldestFirst, opts: Options{Small: true}},
	{name: "each response's in order", run: func(s *suite) {
		const responses, each = 40, 10
		for n := range each {
			var all []*event.Event
			for r := range responses {
				all = append(all, s.event(acme, fmt.Sprint(r, "/", n), func(h *event.Header, d *event.Data) {
					h.ResponseID, d.Response.ID = fmt.Sprint(r), fmt.Sprint(r)
				}))
			}
			s.append(all...)
		}
		got := map[string]int{}
		for _, c := range s.claim(responses * each) {
			r := c.Event.ResponseID
			s.same("next of response "+r, c.Event.DedupeKey, fmt.Sprint(r, "/", got[r]))
			got[r]++
		}
		s.claimsNothing(s.store())
	}},
	{name: "for all tenants", run: func(s *suite) {
		s.append(s.event(acme, "a"), s.event("zeta", "b"))
		s.sameSet("claimed", keysOf(s.claim(2)), []string{"a", "b"})
	}},
	{name: "an event never has two holders", run: func(s *suite) {
		const n, holders = 400, 4
		s.accept(numbered(n)...)
		var mu sync.Mutex
		times := map[string]int{}
		all := make(chan struct{})
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		var wg sync.WaitGroup
		for i := range holders {
			st := s.store()
			if i%2 == 1 {
				st = s.h.Second()
			}
			wg.Go(func() {
				for {
					some, err := st.Claim(ctx, 7, 0)
					if err != nil {
						return
					}
					mu.Lock()
					for _, c := range some {
						times[c.Event.DedupeKey]++
					}
					if len(times) == n {
						select {
						case <-all:
						default:
							close(all)
						}
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-all:
		case <-s.ctx.Done():
			s.Error("not all were claimed")
		}
		cancel()
		wg.Wait()
		for k, n := range times {
			if n != 1 {
				s.Errorf("%s was claimed %d times", k, n)
			}
		}
	}},
	{name: "bounded in bytes", ordered: true, run: func(s *suite) {
		s.accept(numbered(10)...)
		some, err := s.store().Claim(s.ctx, 10, 1)
		s.ok(err)
		if len(some) != 1 {
			s.Fatalf("%d events for one byte, want the first that exceeds it", len(some))
		}
		size := some[0].Event.Size()
		some, err = s.store().Claim(s.ctx, 10, 3*size)
		s.ok(err)
		if len(some) != 3 {
			s.Fatalf("%d events for the bytes of three", len(some))
		}
	}},
	{name: "waits for an event", run: func(s *suite) {
		got := make(chan []state.Claimed, 1)
		go func() {
			some, err := s.store().Claim(s.ctx, 10, 0)
			if err != nil {
				s.Error(err)
			}
			got <- some
		}()
		s.accept("a")
		select {
		case some := <-got:
			s.same("claimed", keysOf(some), []string{"a"})
		case <-s.ctx.Done():
			s.Fatal("nothing was claimed")
		}
	}},
	{name: "ends with its context", run: func(s *suite) {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		if _, err := s.store().Claim(ctx, 1, 0); !errors.Is(err, context.Canceled) {
			s.Fatalf("got %v", err)
		}
	}},
	{name: "a released event is claimed again, uncounted", ordered: true, run: released},
	{name: "a released event is claimed again, uncounted, read back", ordered: true, run: released, opts: Options{Small: true}},
	{name: "new events come while old ones are claimed", run: func(s *suite) {
		s.accept("a")
		claimed := s.claim(1)[0]
		s.accept("b")
		b := s.claim(1)[0]
		s.commit(outcome(b))
		s.commit(outcome(claimed))
		s.accept("c")
		s.same("claimed", keysOf(s.claim(1)), []string{"c"})
	}},
	{name: "pending is counted", run: func(s *suite) {
		s.accept("a", "b", "c")
		s.h.Advance(time.Second)
		health := s.store().Health(s.ctx)
		s.ok(health.Err)
		if health.Pending != 3 || !health.Oldest.Equal(Begin) {
			s.Fatalf("%d pending since %v", health.Pending, health.Oldest)
		}
		c := s.claim(3)
		s.commit(outcome(c[0]), outcome(c[1]))
		if n := s.store().Health(s.ctx).Pending; n != 1 {
			s.Fatalf("%d pending after two commits of three", n)
		}
		s.commit(outcome(c[2]))
		if h := s.store().Health(s.ctx); h.Pending != 0 || h.Events != 3 || h.Bytes == 0 {
			s.Fatalf("%d pending, %d events, %d bytes", h.Pending, h.Events, h.Bytes)
		}
	}},
}

func oldestFirst(s *suite) {
	keys := numbered(500)
	s.accept(keys[:200]...)
	got := keysOf(s.claim(150))
	s.accept(keys[200:]...)
	got = append(got, keysOf(s.claim(350))...)
	s.same("order", got, keys)
}

func released(s *suite) {
	s.accept("a", "b", "c")
	c := s.claim(2)
	if c[0].Claims != 1 {
		s.Fatalf("claims is %d at first", c[0].Claims)
	}
	for i := range 3 {
		s.commit(state.Outcome{Position: c[0].Position, Tenant: acme, EventID: c[0].Event.ID, Release: true})
		again := s.claim(1)[0]
		if again.Event.DedupeKey != "a" || again.Claims != 1 || again.Position != c[0].Position {
			s.Fatalf("round %d: got %s at %d with %d claims", i, again.Event.DedupeKey, again.Position, again.Claims)
		}
	}
	s.same("the rest", keysOf(s.claim(1)), []string{"c"})
	s.commit(outcome(c[0]))
	s.claimsNothing(s.store())
}

var onces = []test{
	{name: "a ttl of zero reserves nothing", run: func(s *suite) {
		ask := func(owner string, ttl time.Duration) []string {
			owners, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "a", Owner: owner}}, ttl)
			s.ok(err)
			return owners
		}
		s.same("nobody has it", ask("e1", 0), []string{""})
		s.same("nobody has it still", ask("e2", 0), []string{""})
		s.same("the first to ask", ask("e2", time.Minute), []string{"e2"})
		s.same("looked up", ask("e1", 0), []string{"e2"})
		s.h.Advance(time.Hour)
		s.same("over", ask("e1", 0), []string{""})
		s.same("and somebody else's", ask("e1", time.Minute), []string{"e1"})
	}},
	{name: "the first to ask owns it", run: func(s *suite) {
		ask := func(owner string, keys ...string) []string {
			var all []state.OnceKey
			for _, k := range keys {
				all = append(all, state.OnceKey{Key: k, Owner: owner})
			}
			owners, err := s.store().Once(s.ctx, acme, all, time.Hour)
			s.ok(err)
			return owners
		}
		s.same("first", ask("e1", "a", "b", "a"), []string{"e1", "e1", "e1"})
		s.same("second", ask("e2", "a", "c"), []string{"e1", "e2"})
		s.same("one's own again", ask("e1", "a"), []string{"e1"})
		owners, err := s.store().Once(s.ctx, "zeta", []state.OnceKey{{Key: "a", Owner: "z"}}, time.Hour)
		s.ok(err)
		s.same("another tenant", owners, []string{"z"})
		s.h.Advance(time.Hour + time.Second)
		s.same("when its time is over", ask("e2", "a"), []string{"e2"})
	}},
	{name: "commit frees unused keys", run: func(s *suite) {
		e := s.accept("a")[0]
		c := s.claim(1)[0]
		once := func(owner string) string {
			owners, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "k", Owner: owner}, {Key: "other", Owner: "x"}}, time.Hour)
			s.ok(err)
			return owners[0]
		}
		once(e.ID)
		o := outcome(c)
		o.Free = []string{"k", "other"}
		s.commit(o)
		s.same("owner", once("next"), "next")
		owners, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "other", Owner: "y"}}, time.Hour)
		s.ok(err)
		s.same("another's key is not given back", owners, []string{"x"})
	}},
	{name: "a due delivery frees unused keys", run: func(s *suite) {
		e := s.waiting("a", s.h.Now(), "crm")
		_, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "k", Owner: e.ID}}, time.Hour)
		s.ok(err)
		d := s.oneDue()
		d.Delivery.State = state.Skipped
		s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease, Free: []string{"k"}})
		owners, err := s.store().Once(s.ctx, acme, []state.OnceKey{{Key: "k", Owner: "next"}}, time.Hour)
		s.ok(err)
		s.same("owner", owners, []string{"next"})
	}},
}
