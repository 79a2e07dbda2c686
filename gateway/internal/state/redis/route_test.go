package redis

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
	"github.com/surveygate/surveygate/rules/event"
)

// variant makes an event of a key, with a response and a proof.
func variant(t testing.TB, key, response, verified string) *event.Event {
	t.Helper()
	h := made(t, key).Header
	h.ResponseID, h.Verified = response, verified
	e, err := event.New(h, &event.Data{Survey: event.Survey{ID: "s1"}, Response: event.Response{ID: response}}, event.Raw{ContentType: "application/json", Body: []byte(`{"key":"` + key + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// sharded opens a store of four shards with a manual clock.
func sharded(t testing.TB, url, prefix string) (*store, *clock.Manual) {
	t.Helper()
	c := clock.NewManual(time.Now().UTC().Truncate(time.Second))
	return gate(t, url, func(o *Options) { o.Shards, o.Clock, o.Prefix = 4, c, prefix }), c
}

// responses returns response IDs, each of another shard.
func responses(s *store) []string {
	names := make([]string, len(s.shards))
	for found, i := 0, 0; found < len(names); i++ {
		name := fmt.Sprint("r", i)
		if n := shardOf(acme, name, len(names)); names[n] == "" {
			names[n] = name
			found++
		}
	}
	return names
}

func appendOne(t testing.TB, s *store, e *event.Event) state.Appended {
	t.Helper()
	r, err := s.Append(t.Context(), []*event.Event{e})
	if err != nil {
		t.Fatal(err)
	}
	return r[0]
}

// routed returns the number of routes: as counted, listed, and kept.
func routed(t testing.TB, s *store) (counted, listed, kept int64) {
	t.Helper()
	for _, sh := range s.shards {
		n, _ := s.client.HGet(t.Context(), sh.base+"meta", "routes").Int64()
		l, err := s.client.LLen(t.Context(), sh.base+"routes").Result()
		if err != nil {
			t.Fatal(err)
		}
		counted, listed = counted+n, listed+l
	}
	pipe := s.client.Pipeline()
	var lengths []*goredis.IntCmd
	for slot := range slots {
		for _, sh := range s.shards {
			lengths = append(lengths, pipe.HLen(t.Context(), fmt.Sprint(sh.base, "route:", slot)))
		}
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range lengths {
		kept += n.Val()
	}
	return counted, listed, kept
}

// On a Cluster, two replicas append one ID with fifty responses and three proofs: it is accepted once.
func TestOneIDOnAClusterIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	url, _ := startCluster(t)
	stores := []*store{gate(t, url), gate(t, url)}
	accepted := map[string]*atomic.Int32{"hmac": {}, "none": {}}
	var wg sync.WaitGroup
	for i := range 50 {
		for verified, n := range accepted {
			e := variant(t, "a", fmt.Sprint("r", i), verified)
			wg.Go(func() {
				r, err := stores[i%2].Append(t.Context(), []*event.Event{e})
				if err != nil {
					t.Error(err)
				} else if !r[0].Duplicate {
					n.Add(1)
				}
			})
		}
	}
	wg.Wait()
	// The weaker one is accepted only where it was first.
	if strong, weak := accepted["hmac"].Load(), accepted["none"].Load(); strong != 1 || weak > 1 {
		t.Errorf("accepted %d proved and %d unproved", strong, weak)
	}
}

// A process dies between a route and its event: the event is accepted once when it is sent again, with any response.
func TestKilledBetweenRouteAndAppend(t *testing.T) {
	t.Parallel()
	url, _ := startCluster(t)
	dying := gate(t, url)
	names := responses(dying)
	e := variant(t, "a", names[2], "hmac")
	where := []int{2}
	if err := dying.follow(t.Context(), []*event.Event{e}, where); err != nil || where[0] != 2 {
		t.Fatalf("routed to %d, %v", where[0], err)
	}
	dying.abandon()

	s := gate(t, url)
	for i, name := range names {
		for _, verified := range []string{"hmac", "none"} {
			r := appendOne(t, s, variant(t, "a", name, verified))
			if first := i == 0 && verified == "hmac"; r.Duplicate == first {
				t.Errorf("response %d, %s: %+v", i, verified, r)
			}
			if sh, _ := s.at(r.Position); sh.n != 2 {
				t.Errorf("response %d is in shard %d", i, sh.n)
			}
		}
	}
	same(t, "claimed", keysOf(hold(t, s, 1)), []string{"a"})
}

// An event from before routes existed is found by its repeat, which makes the route.
func TestEventFromBeforeRoutesIsKnown(t *testing.T) {
	t.Parallel()
	s, _ := sharded(t, start(t).url(), "before")
	e := made(t, "a")
	appendOne(t, s, e)
	for _, sh := range s.shards { // as it was
		s.client.Del(t.Context(), sh.base+"route:"+slotOf(e.ID), sh.base+"routes")
	}
	if r := appendOne(t, s, e); !r.Duplicate {
		t.Fatalf("%+v", r)
	}
	for i, name := range responses(s) {
		if r := appendOne(t, s, variant(t, "a", name, "hmac")); !r.Duplicate {
			t.Errorf("response %d: %+v", i, r)
		}
	}
}

// Routes are removed with their IDs: by age and by bytes.
func TestRoutesLeaveWithTheirIDs(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for name, r := range map[string]state.Retention{
		"age":   {Events: state.Bound{Age: time.Hour}, Dedupe: state.Bound{Age: 2 * time.Hour}},
		"bytes": {Events: state.Bound{Age: time.Hour}, Dedupe: state.Bound{Bytes: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := sharded(t, srv.url(), name)
			n := int64(statetest.Few(3000, 1000))
			var all []*event.Event
			for i := range n {
				all = append(all, made(t, fmt.Sprint("k", i)))
			}
			for part := range slices.Chunk(all, 500) {
				if _, err := s.Append(t.Context(), part); err != nil {
					t.Fatal(err)
				}
			}
			if counted, listed, kept := routed(t, s); counted != n || listed != n || kept != n {
				t.Fatalf("%d counted, %d listed, %d kept of %d routes", counted, listed, kept, n)
			}
			for _, held := range hold(t, s, int(n)) {
				o := decided(held)
				if held.Event.ID == all[0].ID { // waits, and so stays known
					o = decided(held, owing(held, state.Waiting, c.Now().Add(100*time.Hour)))
				}
				commit(t, s, o)
			}
			if _, err := s.Trim(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if counted, _, _ := routed(t, s); counted != n {
				t.Fatalf("%d of %d routes while all are known", counted, n)
			}
			c.Advance(3 * time.Hour)
			for range 20 {
				if _, err := s.Trim(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			counted, listed, kept := routed(t, s)
			if counted != listed || counted != kept || counted < 1 {
				t.Fatalf("%d counted, %d listed, %d kept", counted, listed, kept)
			}
			// By bytes alone as many stay as a crash may leave.
			if most := map[string]int64{"age": 1, "bytes": routeBatch + 2}[name]; counted > most {
				t.Errorf("%d routes are left, want %d at most", counted, most)
			}
			for i, response := range responses(s) {
				if r := appendOne(t, s, variant(t, "k0", response, "hmac")); !r.Duplicate {
					t.Errorf("response %d of the one that waits: %+v", i, r)
				}
			}
		})
	}
}

// A route that was used lately is kept: its event may be on its way to the shard.
func TestRouteInUseStays(t *testing.T) {
	t.Parallel()
	s, c := sharded(t, start(t).url(), "use")
	names := responses(s)
	ask := func(response string) int {
		t.Helper()
		where := []int{shardOf(acme, response, len(s.shards))}
		if err := s.follow(t.Context(), []*event.Event{variant(t, "a", response, "hmac")}, where); err != nil {
			t.Fatal(err)
		}
		return where[0]
	}
	trim := func() {
		t.Helper()
		if _, err := s.Trim(t.Context(), state.Retention{Dedupe: state.Bound{Age: time.Hour}}); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "first", ask(names[3]), 3)
	c.Advance(2 * time.Hour)
	same(t, "asked again", ask(names[1]), 3)
	trim()
	same(t, "after the first trim", ask(names[1]), 3)
	c.Advance(2 * time.Hour)
	trim()
	same(t, "asked for no more", ask(names[1]), 1)
}

// While the shards of the IDs do not answer, the others accept the events of their responses.
func TestSickShardStopsNoRoutes(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(n *server) error{
		"killed": func(n *server) error { n.kill(); return nil },
		"hangs":  func(n *server) error { return n.cmd.Process.Signal(syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, node, sick := sickable(t)
			var events []*event.Event
			leads := 0
			for i := 0; len(events) < 40; i++ {
				if e := made(t, fmt.Sprint("e", i)); !sick[shardOf(acme, e.ResponseID, len(s.shards))] {
					events = append(events, e)
					if sick[shardOf(acme, e.ID, len(s.shards))] {
						leads++
					}
				}
			}
			if leads == 0 {
				t.Fatal("no id leads to a sick shard")
			}
			if err := end(node); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = node.cmd.Process.Signal(syscall.SIGCONT) })
			accepted := map[string]bool{}
			for _, e := range events {
				until(t, "it is accepted", func() bool {
					_, err := s.Append(t.Context(), []*event.Event{e})
					if err != nil && !errors.Is(err, state.ErrUnavailable) {
						t.Fatal(err)
					}
					return err == nil
				})
				accepted[e.DedupeKey] = true
			}
			for _, c := range hold(t, s, len(events)) {
				if !accepted[c.Event.DedupeKey] {
					t.Errorf("%s came twice", c.Event.DedupeKey)
				}
				delete(accepted, c.Event.DedupeKey)
			}
		})
	}
}

// With one shard an append is one call, without routes.
func TestOneShardAsksForNoRoutes(t *testing.T) {
	t.Parallel()
	s := gate(t, start(t).url())
	appendOne(t, s, made(t, "first")) // loads the script
	sent := watch(s)
	appendOne(t, s, made(t, "a"))
	appendOne(t, s, variant(t, "a", "r-b", "none"))
	if calls := sent.ran(appendScript.lua); calls != 2 {
		t.Errorf("two appends are %d calls", calls)
	}
	if counted, listed, kept := routed(t, s); counted+listed+kept != 0 {
		t.Errorf("%d counted, %d listed, %d kept", counted, listed, kept)
	}
}
