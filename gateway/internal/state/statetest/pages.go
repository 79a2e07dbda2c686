package statetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Work is what an engine has done for pages of deliveries so far.
type Work struct {
	Lists    int64 // how often it read a list of a destination
	Entries  int64 // of lists
	Commands int64 // to a server, also for other calls; pipelined ones are counted each
}

// work returns what an engine does for a page, and the page.
func (s *suite) work(q state.DeliveryQuery) (Work, *state.Page[state.Delivery]) {
	s.Helper()
	before := s.h.Work()
	page, err := s.store().Deliveries(s.ctx, acme, q)
	s.ok(err)
	after := s.h.Work()
	return Work{after.Lists - before.Lists, after.Entries - before.Entries, after.Commands - before.Commands}, page
}

// fillDestinations has each of many destinations receive a delivery in each of some rounds, ten a millisecond; every tenth is a
// dead letter. The rule of each is named after it.
func (s *suite) fillDestinations(dests, rounds int) {
	s.Helper()
	for r := range rounds {
		for from := 0; from < dests; from += 250 {
			names := make([]string, 0, 250)
			for d := from; d < min(from+250, dests); d++ {
				names = append(names, fmt.Sprintf("k%d-%d", r, d))
			}
			s.accept(names...)
			var outs []state.Outcome
			for i, c := range s.claim(len(names)) {
				st, change := state.Delivered, tried(1, s.h.Now(), "delivered", 200)
				if i%10 == 0 {
					st, change = state.Dead, tried(1, s.h.Now(), "rejected", 404)
				}
				outs = append(outs, outcome(c, s.owe(c.Event, fmt.Sprintf("d%04d", from+i), st, change)))
			}
			for some := range slices.Chunk(outs, 10) {
				s.commit(some...)
				s.h.Advance(time.Millisecond)
			}
		}
		s.h.Advance(time.Second)
	}
}

var pages = []test{
	{name: "opens the lists that it shows", run: func(s *suite) {
		const dests, rounds = 500, 6
		s.fillDestinations(dests, rounds)
		end := s.h.Now()
		s.work(state.DeliveryQuery{}) // the first page after a start may look at each list once
		for _, test := range []struct {
			what string
			q    state.DeliveryQuery
			rows int
			most Work
		}{
			{"all", state.DeliveryQuery{}, 50, Work{200, 800, 1200}},
			{"failed", state.DeliveryQuery{Failed: true}, 50, Work{100, 400, 700}},
			{"dead", state.DeliveryQuery{State: state.Dead}, 50, Work{100, 400, 700}},
			{"delivered", state.DeliveryQuery{State: state.Delivered}, 50, Work{200, 800, 1200}},
			{"none waits", state.DeliveryQuery{State: state.Waiting}, 0, Work{0, 0, 20}},
			{"since", state.DeliveryQuery{Since: end.Add(-4 * time.Second)}, 50, Work{200, 800, 1200}},
			{"since, none", state.DeliveryQuery{Since: end}, 0, Work{0, 0, 20}},
			// Lists that have newer entries are looked at, each once.
			{"until", state.DeliveryQuery{Until: end.Add(-3 * time.Second)}, 50, Work{1200, 1200, 1200}},
			{"a destination", state.DeliveryQuery{Destination: "d0007"}, rounds, Work{8, 60, 120}},
			{"a rule", state.DeliveryQuery{Rule: "rule-d0007"}, rounds, Work{8, 60, 120}},
			{"a rule's failures", state.DeliveryQuery{Rule: "rule-d0010", Failed: true}, rounds, Work{8, 60, 120}},
			{"no such rule", state.DeliveryQuery{Rule: "rule-d9999"}, 0, Work{0, 0, 20}},
			{"no rule's destination", state.DeliveryQuery{Destination: "d0007", Rule: "rule-d0008"}, 0, Work{0, 0, 20}},
		} {
			did, page := s.work(test.q)
			if len(page.Items) != test.rows || (page.Next != "") != (test.rows == 50) || !page.SearchedBackTo.IsZero() {
				s.Errorf("%s: %d rows, want %d; next %q, searched back to %v", test.what, len(page.Items), test.rows, page.Next, page.SearchedBackTo)
			}
			if did.Lists > test.most.Lists || did.Entries > test.most.Entries || did.Commands > test.most.Commands {
				s.Errorf("%s: it took %+v, want %+v at most", test.what, did, test.most)
			}
		}
		q, rows := state.DeliveryQuery{Limit: 200}, 0
		for {
			did, page := s.work(q)
			if rows += len(page.Items); page.Next == "" {
				break
			}
			if did.Entries > 4000 || did.Commands > 5000 {
				s.Errorf("a page after %d rows took %+v", rows, did)
			}
			q.Cursor = page.Next
		}
		if rows != dests*rounds {
			s.Errorf("%d rows, want %d", rows, dests*rounds)
		}
	}},
	{name: "shows what an entry that left had hidden", run: func(s *suite) {
		old := s.finished("old", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		s.h.Advance(time.Hour)
		middle := s.finished("middle", "mail", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		s.h.Advance(time.Hour)
		newest := s.finished("newest", "crm", state.Dead, tried(1, s.h.Now(), "rejected", 400))
		s.ok(s.store().Drop(s.ctx, acme, id(newest, "crm")))
		for _, limit := range []int{1, 50} {
			s.same("dead", s.deliveryPages(state.DeliveryQuery{State: state.Dead, Limit: limit}, nil), []string{id(middle, "mail"), id(old, "crm")})
		}
		s.trim(state.Retention{Dead: state.Bound{Age: 90 * time.Minute}, History: state.HistoryBound{Age: 90 * time.Minute}})
		s.same("dead", s.deliveryPages(state.DeliveryQuery{State: state.Dead}, nil), []string{id(middle, "mail")})
	}},
	{name: "shows a rule's deliveries of all destinations that they have had", run: func(s *suite) {
		rule := func(name string) func(*state.Delivery) {
			return func(d *state.Delivery) { d.Origin.Name = name }
		}
		first := s.finished("a", "crm", state.Delivered, rule("vip"))
		s.finished("b", "crm", state.Delivered, rule("all"))
		s.h.Advance(time.Second)
		moved := s.event(acme, "c")
		s.append(moved)
		s.commit(outcome(s.claim(1)[0], s.owe(moved, "crm", state.Waiting, rule("vip"))))
		d := s.oneDue()
		d.Delivery.Destination, d.Delivery.State = "mail", state.Dead // its step was changed
		tried(1, s.h.Now(), "rejected", 400)(&d.Delivery)
		s.same("fence", s.settle(state.Settled{Delivery: d.Delivery, Lease: d.Lease}), []bool{true})
		for range 2 {
			s.same("vip", s.deliveryPages(state.DeliveryQuery{Rule: "vip"}, nil), []string{id(moved, "crm"), id(first, "crm")})
			s.same("vip of mail", s.deliveryPages(state.DeliveryQuery{Rule: "vip", Destination: "mail"}, nil), []string{id(moved, "crm")})
			s.same("all of mail", s.deliveryPages(state.DeliveryQuery{Rule: "all", Destination: "mail"}, nil), []string{})
			s.h.Reopen()
		}
	}},
	{name: "a rule of another tenant is another rule", run: func(s *suite) {
		s.waitingOf("other", "a", s.h.Now().Add(time.Hour), "crm")
		s.same("of acme", s.deliveryPages(state.DeliveryQuery{Rule: "rule-crm"}, nil), []string{})
		page, err := s.store().Deliveries(s.ctx, "other", state.DeliveryQuery{Rule: "rule-crm"})
		s.ok(err)
		s.same("of the other", len(page.Items), 1)
	}},
	{name: "are the same as a full scan, whatever happened", run: func(s *suite) { s.compareWithScan(1) }},
	{name: "are the same as a full scan, whatever happened otherwise", run: func(s *suite) { s.compareWithScan(2) }},
	{name: "are the same as a full scan, small caches", opts: Options{Small: true}, run: func(s *suite) { s.compareWithScan(3) }},
}

// history is what a test did at random, and the model that pages are compared with: the ids of all deliveries.
type history struct {
	*suite
	rng     *rand.Rand
	n       int
	ids     []string
	trimmed time.Time // history before it is gone
}

func newHistory(s *suite, seed uint64) *history {
	return &history{suite: s, rng: rand.New(rand.NewPCG(seed, seed))} //nolint:gosec // the same in each run
}

func (s *suite) compareWithScan(seed uint64) {
	h := newHistory(s, seed)
	for range Few(3, 1) {
		for range Few(40, 15) {
			h.step()
		}
		h.check()
	}
}

var (
	someDestinations = []string{"crm", "mail", "alerts", "warehouse", "sheet", "chat", "audit", "board", "lake", "queue", "desk", "list"}
	someRules        = []string{"vip", "all", "detractor", "late", "new"}
)

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func (h *history) step() {
	h.Helper()
	switch h.rng.IntN(12) {
	case 0, 1, 2, 3, 4:
		h.arrive(h.store(), 1+h.rng.IntN(5))
	case 5, 6:
		h.serve()
	case 7:
		if len(h.ids) > 0 {
			_, err := h.store().Schedule(h.ctx, acme, []state.Delivery{{ID: pick(h.rng, h.ids), Due: h.h.Now().Add(time.Minute)}})
			h.ok(err)
		}
	case 8:
		if len(h.ids) > 0 {
			_ = h.store().Drop(h.ctx, acme, pick(h.rng, h.ids)) // it may have ended
		}
	case 9:
		if age := time.Duration(20+h.rng.IntN(100)) * time.Second; h.rng.IntN(3) == 0 {
			for range 2 { // the first round may have begun in a call with other bounds
				h.trimRound(state.Retention{History: state.HistoryBound{Age: age}, Dead: state.Bound{Age: age}})
			}
			if at := h.h.Now().Add(-age); at.After(h.trimmed) {
				h.trimmed = at
			}
		}
	case 10:
		if h.rng.IntN(6) == 0 {
			h.h.Reopen()
		} else {
			h.arrive(h.h.Second(), 2)
		}
	case 11:
		h.h.Advance(time.Duration(h.rng.IntN(90)) * time.Second)
	}
	h.h.Advance(time.Duration(1+h.rng.IntN(999)) * time.Millisecond)
}

// arrive accepts events of acme and of another tenant, and decides them.
func (h *history) arrive(st state.Store, n int) {
	h.Helper()
	for range n {
		h.n++
		tenant := acme
		if h.rng.IntN(5) == 0 {
			tenant = "other"
		}
		_, err := st.Append(h.ctx, []*event.Event{h.event(tenant, fmt.Sprint("n", h.n))})
		h.ok(err)
	}
	commit := &state.Commit{}
	for got := 0; got < n; {
		some, err := st.Claim(h.ctx, n-got, 0)
		h.ok(err)
		for _, c := range some {
			var owed []state.Delivery
			for _, i := range h.rng.Perm(len(someDestinations))[:h.rng.IntN(4)] {
				name, at := someDestinations[i], h.h.Now()
				d := h.owe(c.Event, name, pick(h.rng, []state.DeliveryState{state.Delivered, state.Delivered, state.Waiting, state.Dead, state.Skipped}))
				d.Origin.Name = pick(h.rng, someRules)
				switch d.State {
				case state.Delivered:
					tried(1, at, "delivered", 200)(&d)
				case state.Dead:
					tried(1, at, "rejected", 404)(&d)
				case state.Waiting:
					if h.rng.IntN(2) == 0 {
						tried(1, at, "retry", 503)(&d)
					}
					d.Due = at.Add(time.Duration(h.rng.IntN(60)) * time.Second)
				}
				owed = append(owed, d)
				if c.Event.Tenant == acme {
					h.ids = append(h.ids, d.ID)
				}
			}
			commit.Events = append(commit.Events, outcome(c, owed...))
		}
		got += len(some)
	}
	_, err := st.Commit(h.ctx, commit)
	h.ok(err)
}

// serve settles some of the due deliveries; a step may have been changed to another destination meanwhile.
func (h *history) serve() {
	h.Helper()
	due, _ := h.claimDue(1 + h.rng.IntN(5))
	commit := &state.Commit{}
	for _, d := range due {
		to := d.Delivery
		n := to.Attempts + 1
		switch to.State = pick(h.rng, []state.DeliveryState{state.Delivered, state.Waiting, state.Dead}); to.State {
		case state.Delivered:
			tried(n, h.h.Now(), "delivered", 200)(&to)
		case state.Dead:
			tried(n, h.h.Now(), "rejected", 404)(&to)
		default:
			tried(n, h.h.Now(), "retry", 503)(&to)
			to.Due = h.h.Now().Add(30 * time.Second)
		}
		if h.rng.IntN(4) == 0 {
			to.Destination = pick(h.rng, someDestinations)
		}
		commit.Due = append(commit.Due, state.Settled{Delivery: to, Lease: d.Lease})
	}
	if len(due) > 0 {
		_, err := h.store().Commit(h.ctx, commit)
		h.ok(err)
	}
}

// listed is a delivery and when its place in a list is.
type listed struct {
	id string
	at time.Time
}

// read asks for every delivery by its id.
func (h *history) read() (all []*state.Delivery) {
	h.Helper()
	for _, id := range h.ids {
		all = append(all, h.delivery(id))
	}
	return all
}

// scan returns what the pages of a list must have.
func (h *history) scan(deliveries []*state.Delivery, q state.DeliveryQuery) (all []listed) {
	for _, d := range deliveries {
		l := listed{d.ID, d.Updated}
		if d.State == state.Waiting {
			l.at = d.Created
		}
		if q.Failed {
			l.at = time.Time{}
			for _, a := range d.Log {
				if a.Verdict != "delivered" {
					l.at = a.At
				}
			}
			if l.at.IsZero() {
				continue
			}
		} else if !d.State.Open() && l.at.Before(h.trimmed) {
			continue
		}
		if q.Matches(d) {
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(a, b listed) int { return b.at.Compare(a.at) })
	return all
}

// check compares the pages of all kinds of queries with a scan, and then again while other deliveries arrive between pages.
func (h *history) check() {
	h.Helper()
	now := h.h.Now()
	queries := []state.DeliveryQuery{
		{},
		{Failed: true},
		{State: state.Waiting},
		{State: state.Dead},
		{State: state.Delivered},
		{State: state.Skipped},
		{State: state.Dropped},
		{Destination: pick(h.rng, someDestinations)},
		{Rule: pick(h.rng, someRules)},
		{Rule: "none"},
		{Rule: pick(h.rng, someRules), State: pick(h.rng, []state.DeliveryState{state.Waiting, state.Dead, state.Delivered})},
		{Rule: pick(h.rng, someRules), Failed: true},
		{Rule: pick(h.rng, someRules), Destination: pick(h.rng, someDestinations)},
		{Since: now.Add(-2 * time.Minute)},
		{Until: now.Add(-time.Minute)},
		{Since: now.Add(-3 * time.Minute), Until: now.Add(-time.Minute), Rule: pick(h.rng, someRules)},
		{Since: now.Add(-3 * time.Minute), State: state.Waiting},
		{Until: now.Add(-time.Minute), State: state.Dead},
	}
	deliveries := h.read()
	for _, q := range queries {
		want := h.scan(deliveries, q)
		q.Limit = pick(h.rng, []int{2, 7, 50, 200})
		got := h.deliveryPages(q, nil)
		var ids []string
		at := map[string]time.Time{}
		for _, l := range want {
			ids = append(ids, l.id)
			at[l.id] = l.at
		}
		h.sameSet(fmt.Sprintf("%+v", q), got, ids)
		if !slices.IsSortedFunc(got, func(a, b string) int { return at[b].Compare(at[a]) }) {
			h.Fatalf("%+v: not in the order of time", q)
		}
	}
	want := h.scan(deliveries, state.DeliveryQuery{})
	got := h.deliveryPages(state.DeliveryQuery{Limit: 7}, func() { h.arrive(h.store(), 2); h.h.Advance(time.Millisecond) })
	seen := map[string]int{}
	for _, id := range got {
		if seen[id]++; seen[id] > 1 {
			h.Fatalf("%s is on two pages", id)
		}
	}
	for _, l := range want {
		if seen[l.id] == 0 {
			h.Fatalf("%s is on no page", l.id)
		}
	}
}
