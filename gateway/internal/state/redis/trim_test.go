package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// A call of Trim stays as short with twice as many tenants and destinations: only the round has more calls.
func TestTrimStaysShort(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	s.trimBudget = shortTrim
	commands := func() int64 { return asInt(srv.info("stats", "total_commands_processed")) }
	r := idle
	r.Waiting.Age = time.Nanosecond
	// mostOf returns how many commands the longest call of a round has, and how many calls there are.
	mostOf := func(destinations int) (most int64, calls int) {
		owingMany(t, s, destinations, state.Waiting)
		var events []*event.Event
		for i := range destinations {
			events = append(events, eventsOf(t, fmt.Sprintf("tenant%d-%d", destinations, i), "k", 1)...)
		}
		decide(t, s, events)
		h := s.Health(t.Context())
		r.Events.Bytes = h.Bytes - 50*h.Bytes/h.Events // as many are too many, however many there are
		for overdue := 0; ; calls++ {
			before := commands()
			done, err := s.Trim(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, commands()-before)
			if overdue += done.Overdue; !done.More {
				same(t, "overdue", overdue, destinations)
				return most, calls + 1
			}
			if calls == 4*destinations {
				t.Fatalf("%d of %d destinations had their turn in %d calls", overdue, destinations, calls)
			}
		}
	}
	few, fewCalls := mostOf(200)
	many, manyCalls := mostOf(400)
	if many > few*5/4 || manyCalls <= fewCalls {
		t.Errorf("the longest of %d calls has %d commands, with half as many destinations it is %d in %d calls", manyCalls, many, few, fewCalls)
	}
}

// What cannot be read of one destination keeps no other from its turn, and no other part of retention from its work.
func TestTrimPassesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	owingMany(t, s, 300, state.Waiting)
	base := s.shards[0].base
	if err := s.client.Del(t.Context(), base+"wait:"+token(acme, "d000000")).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Set(t.Context(), base+"wait:"+token(acme, "d000000"), "another type", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r := idle
	r.Waiting.Age = time.Nanosecond
	overdue, failed := 0, 0
	for overdue < 299 {
		done, err := s.Trim(t.Context(), r)
		overdue += done.Overdue
		if err != nil {
			failed++
		}
		if failed > 1 || err == nil && !done.More && overdue < 299 {
			t.Fatalf("%d of 299 are overdue in this round, %d calls failed, %v", overdue, failed, err)
		}
	}
	if failed == 0 {
		t.Error("Trim did not report what it cannot read")
	}
	if err := s.client.Del(t.Context(), base+"wait:"+token(acme, "d000000")).Err(); err != nil { // tally reads it
		t.Fatal(err)
	}
}

// The order of a list is corrected in a round in which nothing is removed.
func TestIdleTrimCorrectsOrders(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	owingMany(t, s, 3, state.Waiting)
	order := s.shards[0].base + "order:" + acme + ":W"
	at := micros(time.Now().Add(-time.Hour))
	for _, name := range []string{"d000000", "d000001"} { // later than its entry, and without one
		if err := s.client.Do(t.Context(), "ZADD", order, at, name).Err(); err != nil {
			t.Fatal(err)
		}
	}
	key := s.shards[0].base + "wait:" + token(acme, "d000000")
	if err := s.client.Rename(t.Context(), key, key+"-aside").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Trim(t.Context(), idle); err != nil {
		t.Fatal(err)
	}
	left := s.client.ZRange(t.Context(), order, 0, -1).Val()
	same(t, "in the order", left, []string{"d000001", "d000002"})
	if now := s.client.ZScore(t.Context(), order, "d000001").Val(); text(uint64(now)) == at {
		t.Error("a time that no entry has was left")
	}
	if err := s.client.Rename(t.Context(), key+"-aside", key).Err(); err != nil {
		t.Fatal(err)
	}
}

// A long history is trimmed in several slices, exactly to its bound.
func TestLongHistoryIsTrimmedInSlices(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	const entries, bound = 10_000, 123
	key := s.shards[0].base + "h:" + token(acme, "crm")
	pipe := s.client.Pipeline()
	pipe.SAdd(t.Context(), s.shards[0].base+"dests", token(acme, "crm"))
	for range entries {
		pipe.Do(t.Context(), "XADD", key, "*", "d", "entry")
	}
	if err := s.exec(t.Context(), pipe); err != nil {
		t.Fatal(err)
	}
	removed, calls := 0, 0
	for more := true; more; calls++ {
		s.trimBudget = 16 // two slices of trimdest.lua
		done, err := s.Trim(t.Context(), state.Retention{History: state.HistoryBound{PerDestination: bound}})
		if err != nil {
			t.Fatal(err)
		}
		if done.Attempts > 2*8*sliceList {
			t.Errorf("a call removed %d entries", done.Attempts)
		}
		removed, more = removed+done.Attempts, done.More
	}
	same(t, "removed", removed, entries-bound)
	same(t, "left", s.client.XLen(t.Context(), key).Val(), int64(bound))
	if calls < 2 {
		t.Error("one call removed everything")
	}
}

// Slices of the indexes that retention has passed are removed, however many tenants have keys in them, some in each call.
func TestPassedIndexSlicesAreRemoved(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	s.trimBudget = 1
	decide(t, s, eventsOf(t, acme, "a", 3))
	base := s.shards[0].base
	const passed, tenants = 100, 300
	pipe := s.client.Pipeline()
	for i := range tenants {
		pipe.SAdd(t.Context(), base+"tenants", fmt.Sprint("t", i))
	}
	for slice := range passed {
		pipe.Do(t.Context(), "ZADD", base+"slices", slice, slice)
		for i := range tenants {
			pipe.Set(t.Context(), fmt.Sprintf("%sline:t%d:%d", base, i, slice), "12", 0)
		}
	}
	pipe.HSet(t.Context(), base+"meta", "first", passed*sliced, "packed", passed)
	if err := s.exec(t.Context(), pipe); err != nil {
		t.Fatal(err)
	}
	lines := func() int { return len(s.client.Keys(t.Context(), base+"line:t*").Val()) }
	for calls, left := 0, lines(); left > 0; calls++ {
		done, err := s.Trim(t.Context(), state.Retention{Events: state.Bound{Age: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		now := lines()
		if left-now > 2*(2048+tenants) || calls > 2*passed {
			t.Fatalf("call %d removed %d keys, %d are left", calls, left-now, now)
		}
		if left = now; left > 0 && !done.More {
			t.Fatalf("%d keys are left at the end of a round", left)
		}
	}
	same(t, "slices", s.client.ZRange(t.Context(), base+"slices", 0, -1).Val(), []string{})
	if err := s.client.HSet(t.Context(), base+"meta", "first", 1, "packed", 0).Err(); err != nil { // as the events are
		t.Fatal(err)
	}
}
