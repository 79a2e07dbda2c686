package redis

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// spread opens a store of four shards and makes events for each. One node, which has the broken shards, can be made to refuse
// writes.
func spread(t *testing.T) (s *store, events []*event.Event, broken map[int]bool, breakIt, mend func()) {
	t.Helper()
	url, nodes := startCluster(t)
	s = gate(t, url)
	seen := map[int]int{}
	for i := 0; len(events) < 40; i++ {
		e := made(t, fmt.Sprint("e", i))
		if n := shardOf(acme, e.ResponseID, len(s.shards)); seen[n] < 10 {
			seen[n]++
			events = append(events, e)
		}
	}
	node := nodes[0]
	broken = map[int]bool{}
	for _, sh := range s.shards {
		broken[sh.n] = node.try("EXISTS", sh.base+"events") != nil // elsewhere it is MOVED
	}
	if !slices.Contains(slices.Collect(maps.Values(broken)), true) {
		t.Fatal("the first node has no shard")
	}
	set := func(to string) func() { return func() { t.Helper(); node.config("min-replicas-to-write", to) } }
	return s, events, broken, set("1"), set("0")
}

// The script of one shard fails in an Append: the whole call is refused, and its repeat accepts every event exactly once.
func TestAppendWhereOneShardFails(t *testing.T) {
	t.Parallel()
	s, events, broken, breakIt, mend := spread(t)
	breakIt()
	if _, err := s.Append(t.Context(), events); !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("append: %v", err)
	}
	mend()
	results, err := s.Append(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		in := shardOf(acme, e.ResponseID, len(s.shards))
		if results[i].Duplicate == broken[in] {
			t.Errorf("event %d of shard %d: %+v", i, in, results[i])
		}
		if results[i].Position == 0 {
			t.Errorf("event %d has no position", i)
		}
	}
	times := map[string]int{}
	for _, c := range hold(t, s, len(events)) {
		times[c.Event.DedupeKey]++
		commit(t, s, decided(c))
	}
	if len(times) != len(events) {
		t.Errorf("%d of %d events came", len(times), len(events))
	}
	if h := s.Health(t.Context()); h.Err != nil || h.Pending != 0 || h.Events != int64(len(events)) {
		t.Errorf("%d pending, %d events, %v", h.Pending, h.Events, h.Err)
	}
}

// The script of one shard fails in a Commit: the call is refused. Its repeat applies the rest, nothing twice, and returns that
// every fence held.
func TestCommitWhereOneShardFails(t *testing.T) {
	t.Parallel()
	s, events, _, breakIt, mend := spread(t)
	if _, err := s.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &state.Commit{}
	var keys []state.OnceKey
	for i, held := range hold(t, s, len(events)) {
		d := owing(held, state.Delivered, time.Time{})
		if i%2 == 0 {
			d.State, d.Due, d.Reason = state.Waiting, now, "retry"
		}
		d.Attempts, d.Log = 1, []state.Attempt{{N: 1, At: now, Verdict: "retry", Status: 503}}
		o := decided(held, d)
		key := fmt.Sprint("once", i) // of any shard
		o.Free = []string{key}
		keys = append(keys, state.OnceKey{Key: key, Owner: held.Event.ID})
		c.Events = append(c.Events, o)
	}
	if _, err := s.Once(t.Context(), acme, keys, time.Hour); err != nil {
		t.Fatal(err)
	}
	twice := func(c *state.Commit) *state.Committed {
		t.Helper()
		breakIt()
		for range 2 {
			if _, err := s.Commit(t.Context(), c); !errors.Is(err, state.ErrUnavailable) {
				t.Fatalf("commit: %v", err)
			}
		}
		mend()
		done, err := s.Commit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for i, held := range append(done.Events, done.Due...) {
			if !held {
				t.Errorf("fence %d was lost to the call itself", i)
			}
		}
		return done
	}
	twice(c)
	if h := s.Health(t.Context()); h.Err != nil || h.Pending != 0 || h.Waiting != int64(len(events)/2) {
		t.Fatalf("%d pending, %d waiting, %v", h.Pending, h.Waiting, h.Err)
	}
	var again []state.OnceKey
	for _, k := range keys {
		again = append(again, state.OnceKey{Key: k.Key, Owner: "next"})
	}
	owners, err := s.Once(t.Context(), acme, again, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range owners {
		if o != "next" {
			t.Errorf("key %d was not given back", i)
		}
	}

	// What is due now, in the same way.
	settle := &state.Commit{}
	for len(settle.Due) < len(events)/2 {
		due, _, err := s.ClaimDue(t.Context(), state.ClaimDue{Max: 100, Lease: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range due {
			d.Delivery.State, d.Delivery.Attempts = state.Delivered, 2
			d.Delivery.Log = []state.Attempt{{N: 2, At: now, Verdict: "delivered", Status: 200}}
			settle.Due = append(settle.Due, state.Settled{Delivery: d.Delivery, Lease: d.Lease})
		}
	}
	twice(settle)
	for i, o := range c.Events {
		d, err := s.Delivery(t.Context(), acme, o.Deliveries[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := 2 - i%2; d.State != state.Delivered || len(d.Log) != want || d.Attempts != want {
			t.Errorf("delivery %d is %s with %d of %d attempts, want %d", i, d.State, len(d.Log), d.Attempts, want)
		}
		for _, a := range d.Log {
			if a.Repeat {
				t.Errorf("an attempt of delivery %d is a repeat", i)
			}
		}
	}
}
