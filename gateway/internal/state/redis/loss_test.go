package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Redis restarts from a file without the group: uncommitted events are claimed again, committed ones are not.
func TestRestartedWithoutTheGroup(t *testing.T) {
	t.Parallel()
	srv := start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := gate(t, srv.url())
	accept(t, s, "a", "b", "c", "d")
	c := hold(t, s, 3)
	commit(t, s, decided(c[0]), decided(c[2]))
	if err := s.beat(t.Context(), s.shards[0]); err != nil {
		t.Fatal(err)
	}
	srv.do("XGROUP", "DESTROY", "surveygate:{0}:events", "gateway")
	srv.kill()
	srv.again()
	until(t, "it goes on by itself", func() bool { return s.Health(t.Context()).Err == nil })
	got := hold(t, s, 2)
	same(t, "claimed", keysOf(got), []string{"b", "d"})
	commit(t, s, decided(got[0]), decided(got[1]))
	if h := s.Health(t.Context()); h.Err != nil || h.Pending != 0 {
		t.Fatalf("%d pending, %v", h.Pending, h.Err)
	}
}

// Only the stream is deleted: its events are lost, but later ones are processed, and the lost ones do not count as pending for
// ever.
func TestStreamLost(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a", "b", "c")
	commit(t, s, decided(hold(t, s, 1)[0]))
	srv.do("DEL", "surveygate:{0}:events")
	accept(t, s, "d")
	got := hold(t, s, 1)
	same(t, "claimed", keysOf(got), []string{"d"})
	if n := s.Health(t.Context()).Pending; n != 1 {
		t.Errorf("%d pending, want the one that is there", n)
	}
	commit(t, s, decided(got[0]))
	if h := s.Health(t.Context()); h.Err != nil || h.Pending != 0 {
		t.Errorf("%d pending, %v", h.Pending, h.Err)
	}
}

// Acknowledged events are removed: with retention, the size of the store does not depend on how many pass through it.
func TestMemoryStaysBounded(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	r := state.Retention{
		Events: state.Bound{Bytes: 200 << 10}, Dedupe: state.Bound{Bytes: 500 * idBytes},
		History: state.HistoryBound{PerDestination: 200}, Dead: state.Bound{Bytes: 50 << 10},
	}
	round := func(n int) (keys, entries, memory int64) {
		t.Helper()
		for range 4 {
			names := make([]string, 400)
			for i := range names {
				n++
				names[i] = fmt.Sprint("m", n)
			}
			accept(t, s, names...)
			var all []state.Outcome
			for i, c := range hold(t, s, len(names)) {
				st := state.Delivered
				if i%10 == 0 {
					st = state.Dead
				}
				all = append(all, decided(c, owing(c, st, time.Time{})))
			}
			commit(t, s, all...)
			for {
				done, err := s.Trim(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				if done.Nothing() {
					break
				}
			}
		}
		memory, err := strconv.ParseInt(srv.info("memory", "used_memory_dataset"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return asInt(srv.do("DBSIZE")), asInt(srv.do("XLEN", "surveygate:{0}:events")), memory
	}
	keys, entries, memory := round(0)
	for i := range 3 {
		k, e, m := round(10_000 * (i + 1))
		if k > 2*keys || e > 2*entries || m > 2*memory {
			t.Errorf("after %d rounds %d keys, %d entries, %d bytes; after the first %d, %d, %d", i+2, k, e, m, keys, entries, memory)
		}
	}
}

// No process claims: events are accepted, and health reports how many wait and since when.
func TestNothingConsumesIsSaid(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	first := accept(t, s, "a")[0]
	accept(t, s, "b", "c")
	h := s.Health(t.Context())
	if h.Err != nil || h.Pending != 3 || !h.Oldest.Equal(first.Received) {
		t.Errorf("%d pending since %v, want 3 since %v; %v", h.Pending, h.Oldest, first.Received, h.Err)
	}
	commit(t, s, decided(hold(t, s, 1)[0])) // one that holds and commits does not hide those behind it
	if h := s.Health(t.Context()); h.Pending != 2 || h.Oldest.IsZero() {
		t.Errorf("%d pending since %v", h.Pending, h.Oldest)
	}
}

// The clock of Redis steps back by an hour: history stays in order, leases and due times stay valid.
func TestClockStepsBack(t *testing.T) {
	t.Parallel()
	srv := start(t)
	stepping := clock.NewManual(time.Now())
	s := gate(t, srv.url(), func(o *Options) { o.Clock = stepping }) // scripts are told this time
	accept(t, s, "a", "b", "c")
	c := hold(t, s, 3)
	commit(t, s, decided(c[0], owing(c[0], state.Delivered, time.Time{})))
	stepping.Advance(-time.Hour)
	commit(t, s, decided(c[1], owing(c[1], state.Delivered, time.Time{})), decided(c[2], owing(c[2], state.Waiting, stepping.Now())))
	due, _, err := s.ClaimDue(t.Context(), state.ClaimDue{Max: 5, Lease: time.Minute})
	if err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	stepping.Advance(time.Hour)
	due[0].Delivery.State = state.Delivered
	done, err := s.Commit(t.Context(), &state.Commit{Due: []state.Settled{{Delivery: due[0].Delivery, Lease: due[0].Lease}}})
	if err != nil || !done.Due[0] {
		t.Fatalf("settled %v, %v", done, err)
	}
	page, err := s.Deliveries(t.Context(), acme, state.DeliveryQuery{State: state.Delivered})
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("%d delivered, %v", len(page.Items), err)
	}
}

// A replica with an older configuration leases a delivery of a step that it does not know. It reads it completely and releases
// it unchanged, without counting an attempt; a replica that knows the step sends it.
func TestReplicasWithDifferentConfigurations(t *testing.T) {
	t.Parallel()
	srv := start(t)
	newer, older := gate(t, srv.url()), gate(t, srv.url())
	accept(t, newer, "a")
	c := hold(t, newer, 1)[0]
	owed := owing(c, state.Waiting, time.Now())
	owed.Origin.Name, owed.Step, owed.Destination, owed.Connector = "rule of today", "step of today", "fresh", "product.of.today"
	commit(t, newer, decided(c, owed))
	for i, s := range []*store{older, newer} {
		due, _, err := s.ClaimDue(t.Context(), state.ClaimDue{Max: 1, Lease: time.Minute})
		if err != nil || len(due) != 1 {
			t.Fatalf("replica %d: %d due, %v", i, len(due), err)
		}
		d := due[0].Delivery
		if d.Attempts != 0 || d.Step != owed.Step || d.Origin != owed.Origin || d.Connector != owed.Connector {
			t.Fatalf("replica %d: got %+v", i, d)
		}
		if i == 1 {
			d.State = state.Delivered
		}
		done, err := s.Commit(t.Context(), &state.Commit{Due: []state.Settled{{Delivery: d, Lease: due[0].Lease}}})
		if err != nil || !done.Due[0] {
			t.Fatalf("replica %d: settled %v, %v", i, done, err)
		}
	}
}

// Another program writes into the stream of events: nonsense, and copies of an event under other IDs. No event is lost, nothing
// stays pending, retention continues, and health warns.
func TestForeignEntriesAreNoEvents(t *testing.T) {
	t.Parallel()
	const stream = "surveygate:{0}:events"
	srv := start(t)
	s := gate(t, srv.url())
	a := accept(t, s, "a")[0]
	foreign := func() {
		srv.do("XADD", stream, "*", "nonsense", "1")
		srv.do("XADD", stream, "*", "id", a.ID, "tenant", acme, "received", "1", "event", string(a.Envelope()), "raw", "{}")
	}
	foreign()
	b := accept(t, s, "b")[0]
	foreign()
	accept(t, s, "c")
	seen := map[string]bool{}
	until(t, "all of ours came", func() bool {
		for _, c := range hold(t, s, 1) {
			done, err := s.Commit(t.Context(), &state.Commit{Events: []state.Outcome{decided(c)}})
			if err != nil {
				t.Fatal(err)
			}
			if done.Events[0] {
				if seen[c.Event.DedupeKey] {
					t.Errorf("%s was committed twice", c.Event.DedupeKey)
				}
				seen[c.Event.DedupeKey] = true
			}
		}
		return len(seen) == 3
	})
	if n := asInt(asList(srv.do("XPENDING", stream, "gateway"))[0]); n != 0 {
		t.Errorf("%d stay pending", n)
	}
	h := s.Health(t.Context())
	if h.Err != nil || h.Pending != 0 || h.Events != 3 || !slices.ContainsFunc(h.Warnings, func(w string) bool { return strings.Contains(w, "another program writes") }) {
		t.Errorf("%d pending, %d events, %v, warnings %q", h.Pending, h.Events, h.Err, h.Warnings)
	}
	page, err := s.Events(t.Context(), acme, state.EventQuery{Limit: 10})
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("%d listed, %v", len(page.Items), err)
	}
	if found, err := s.Events(t.Context(), acme, state.EventQuery{Response: b.ResponseID}); err != nil || len(found.Items) != 1 {
		t.Errorf("%d found by response, %v", len(found.Items), err)
	}
	n := 0
	if err := s.Range(t.Context(), acme, 0, func(*state.Record) error { n++; return nil }); err != nil || n != 3 {
		t.Errorf("a range of %d, %v", n, err)
	}
	if _, err := s.Trim(t.Context(), state.Retention{Events: state.Bound{Age: time.Microsecond}, Dedupe: state.Bound{Age: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	if h := s.Health(t.Context()); h.Events != 0 || h.Bytes != 0 || asInt(srv.do("XLEN", stream)) != 0 {
		t.Errorf("%d events with %d bytes and %v entries are left", h.Events, h.Bytes, srv.do("XLEN", stream))
	}
	if r, err := s.Append(t.Context(), []*event.Event{a}); err != nil || !r[0].Duplicate {
		t.Errorf("the id of an event is forgotten with a copy: %+v, %v", r, err)
	}
}

// A kept event that cannot be decoded is logged and blocks no other due delivery.
func TestUnreadableDueHoldsUpNothing(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a", "b")
	for _, c := range hold(t, s, 2) {
		commit(t, s, decided(c, owing(c, state.Waiting, time.Now())))
	}
	if _, err := s.Trim(t.Context(), state.Retention{Events: state.Bound{Bytes: 1}}); err != nil {
		t.Fatal(err)
	}
	srv.do("HSET", "surveygate:{0}:kept:1", "event", "{")
	due, _, err := s.ClaimDue(t.Context(), state.ClaimDue{Max: 5, Lease: time.Minute})
	if err != nil || len(due) != 1 || due[0].Event.DedupeKey != "b" {
		t.Fatalf("%d due, %v", len(due), err)
	}
}

// While Redis is down, the engine's own calls are made about once a second.
func TestGoneIsNotHammered(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	srv.kill()
	before, began := s.calls.Load(), time.Now()
	<-time.After(1500 * time.Millisecond) // the outage is what is tested
	n, took := s.calls.Load()-before, time.Since(began)
	if most := int64(7 * took.Seconds()); n > most {
		t.Errorf("%d calls in %s", n, took)
	}
}
