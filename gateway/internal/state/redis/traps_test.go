package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const acme = "acme"

// gate is a store of a test, closed at its end.
func gate(t testing.TB, url string, change ...func(*Options)) *store {
	t.Helper()
	o := Options{URL: url}
	for _, c := range change {
		c(&o)
	}
	s, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // its Redis may be gone by then
	return s
}

func made(t testing.TB, key string) *event.Event {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	e, err := event.New(event.Header{
		ID: event.ID(acme, "app", key), Tenant: acme, Source: "app", SourceKind: "api", Type: "response.completed",
		SurveyID: "s1", ResponseID: "r-" + key, Time: now, Received: now, DedupeKey: key, Verified: "token",
	}, &event.Data{Survey: event.Survey{ID: "s1"}, Response: event.Response{ID: "r-" + key}},
		event.Raw{ContentType: "application/json", Body: []byte(`{"key":"` + key + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func accept(t testing.TB, s *store, keys ...string) []*event.Event {
	t.Helper()
	var all []*event.Event
	for _, k := range keys {
		all = append(all, made(t, k))
	}
	if _, err := s.Append(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return all
}

func hold(t testing.TB, s *store, n int) []state.Claimed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []state.Claimed
	for len(all) < n {
		some, err := s.Claim(ctx, n-len(all), 0)
		if err != nil {
			t.Fatalf("claimed %d of %d: %v", len(all), n, err)
		}
		all = append(all, some...)
	}
	return all
}

func keysOf(all []state.Claimed) []string {
	var keys []string
	for _, c := range all {
		keys = append(keys, c.Event.DedupeKey)
	}
	return keys
}

func decided(c state.Claimed, deliveries ...state.Delivery) state.Outcome {
	return state.Outcome{Position: c.Position, Tenant: acme, EventID: c.Event.ID, Generation: "g", At: c.Event.Received, Deliveries: deliveries}
}

func owing(c state.Claimed, st state.DeliveryState, due time.Time) state.Delivery {
	return state.Delivery{
		ID: "dl_" + c.Event.ID + "_aaaaaaaaaaaaa", Tenant: acme, EventID: c.Event.ID, Origin: state.Origin{Kind: state.Rule, Name: "r"},
		Step: "crm", Destination: "crm", Connector: "hubspot", State: st, Due: due,
	}
}

func commit(t testing.TB, s *store, outcomes ...state.Outcome) {
	t.Helper()
	done, err := s.Commit(t.Context(), &state.Commit{Events: outcomes})
	if err != nil {
		t.Fatal(err)
	}
	for i, held := range done.Events {
		if !held {
			t.Fatalf("the fence of %s was lost", outcomes[i].EventID)
		}
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// The group is gone, as after a restart from an old file: what was committed stays so, what was not comes again, and
// nothing is lost.
func TestGroupLostIsMadeAtTheLowMark(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a", "b", "c", "d")
	c := hold(t, s, 3)
	commit(t, s, decided(c[0]), decided(c[2]))
	srv.do("XGROUP", "DESTROY", "surveygate:{0}:events", "gateway")
	got := hold(t, s, 2)
	same(t, "claimed", keysOf(got), []string{"b", "d"})
	commit(t, s, decided(got[0]), decided(got[1]))
	if h := s.Health(t.Context()); h.Err != nil || h.Pending != 0 {
		t.Fatalf("%d pending, %v", h.Pending, h.Err)
	}
}

// Redis comes back with nothing at all: the gateway goes on by itself.
func TestRestartedWithoutTheStream(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a")
	commit(t, s, decided(hold(t, s, 1)[0]))
	srv.kill()
	srv.again()
	until(t, "events are accepted again", func() bool {
		_, err := s.Append(t.Context(), []*event.Event{made(t, "b")})
		return err == nil
	})
	c := hold(t, s, 1)
	same(t, "claimed", keysOf(c), []string{"b"})
	commit(t, s, decided(c[0], owing(c[0], state.Delivered, time.Time{})))
	r, err := s.Event(t.Context(), acme, c[0].Event.ID)
	if err != nil || r.Outcome.Deliveries[0].Connector != "hubspot" || r.Outcome.Generation != "g" {
		t.Fatalf("the names of records were not written again: %+v, %v", r, err)
	}
}

// load accepts, claims and commits from several goroutines until it is stopped. It counts what was accepted and what
// was committed; errors are waited out, as the gateway does.
func load(t testing.TB, s *store, prefix string) (stop func() (accepted, committed map[string]bool)) {
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	accepted, committed := map[string]bool{}, map[string]bool{}
	var wg sync.WaitGroup
	pause := func() {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	var n atomic.Int64
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				key := fmt.Sprintf("%s%06d", prefix, n.Add(1))
				if _, err := s.Append(ctx, []*event.Event{made(t, key)}); err != nil {
					pause()
					continue
				}
				mu.Lock()
				accepted[key] = true
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			some, err := s.Claim(ctx, 64, 0)
			if err != nil {
				pause()
				continue
			}
			var all []state.Outcome
			for _, c := range some {
				all = append(all, decided(c, owing(c, state.Delivered, time.Time{})))
			}
			for ctx.Err() == nil {
				done, err := s.Commit(ctx, &state.Commit{Events: all})
				if err != nil {
					pause()
					continue
				}
				mu.Lock()
				for i, c := range some {
					if done.Events[i] {
						committed[c.Event.DedupeKey] = true
					}
				}
				mu.Unlock()
				break
			}
		}
	})
	return func() (map[string]bool, map[string]bool) {
		cancel()
		wg.Wait()
		return accepted, committed
	}
}

// finish claims and commits what is left, and says what was accepted and never came.
func finish(t testing.TB, s *store, accepted map[string]bool) (lost int) {
	t.Helper()
	// Whoever was stopped held some: they are given again, as if the answers to their claims had been lost.
	sh := s.shards[0]
	sh.mu.Lock()
	sh.lost, sh.held = true, map[uint64]int{}
	sh.mu.Unlock()
	until(t, "nothing is pending", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if h := s.Health(t.Context()); h.Err == nil && h.Pending <= 0 {
			return true
		}
		some, err := s.Claim(ctx, 256, 0)
		if err != nil {
			return false
		}
		var all []state.Outcome
		for _, c := range some {
			all = append(all, decided(c))
		}
		_, err = s.Commit(t.Context(), &state.Commit{Events: all})
		return err == nil && false
	})
	for key := range accepted {
		r, err := s.Event(t.Context(), acme, event.ID(acme, "app", key))
		if errors.Is(err, state.ErrNotFound) {
			lost++
		} else if err != nil || r.Outcome == nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	return lost
}

// accepts more than this, so that the fault comes under load.
func underLoad(t testing.TB, s *store) {
	t.Helper()
	until(t, "there is load", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return s.Health(ctx).Events > 300
	})
}

func TestKilledWithAOF(t *testing.T) {
	t.Parallel()
	for _, sync := range []string{"always", "everysec"} {
		t.Run(sync, func(t *testing.T) {
			t.Parallel()
			srv := start(t, "--appendonly", "yes", "--appendfsync", sync)
			s := gate(t, srv.url())
			stop := load(t, s, "k")
			underLoad(t, s)
			srv.kill()
			killed := time.Now()
			srv.again()
			until(t, "it goes on by itself", func() bool {
				_, err := s.Append(t.Context(), []*event.Event{made(t, fmt.Sprint("after", time.Now().UnixNano()))})
				return err == nil
			})
			t.Logf("accepted again %v after the kill", time.Since(killed).Round(time.Millisecond))
			accepted, _ := stop()
			lost := finish(t, s, accepted)
			t.Logf("appendfsync %s: %d accepted, %d lost", sync, len(accepted), lost)
			// A killed process loses nothing that it wrote: only the machine's end could, and there everysec's last second.
			if lost > 0 {
				t.Errorf("%d of %d accepted events are lost", lost, len(accepted))
			}
		})
	}
}

// Redis is gone for seconds under load: nothing is accepted, and then it goes on by itself.
func TestGoneUnderLoad(t *testing.T) {
	t.Parallel()
	srv := start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := gate(t, srv.url())
	stop := load(t, s, "g")
	underLoad(t, s)
	srv.kill()
	for i := range 20 {
		if _, err := s.Append(t.Context(), []*event.Event{made(t, fmt.Sprint("while gone", i))}); !errors.Is(err, state.ErrUnavailable) {
			t.Fatalf("append while Redis is gone: %v", err)
		}
		if h := s.Health(t.Context()); !errors.Is(h.Err, state.ErrUnavailable) {
			t.Fatalf("health while Redis is gone: %v", h.Err)
		}
		<-time.After(100 * time.Millisecond) // the outage is what is tested
	}
	srv.again()
	until(t, "it goes on by itself", func() bool {
		_, err := s.Append(t.Context(), []*event.Event{made(t, fmt.Sprint("after", time.Now().UnixNano()))})
		return err == nil
	})
	accepted, committed := stop()
	if lost := finish(t, s, accepted); lost > 0 || len(committed) == 0 {
		t.Errorf("%d of %d accepted events are lost", lost, len(accepted))
	}
}

// A full Redis accepts nothing and can be drained: commits, leases and retention go on.
func TestFullDrains(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a", "b", "c")
	c := hold(t, s, 2)
	srv.config("maxmemory", "1mb")
	_, err := s.Append(t.Context(), []*event.Event{made(t, "d")})
	if !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("append: %v", err)
	}
	if h := s.Health(t.Context()); !errors.Is(h.Err, state.ErrUnavailable) || len(h.Warnings) == 0 {
		t.Fatalf("health: %v, warnings %v", h.Err, h.Warnings)
	}
	now := time.Now()
	commit(t, s, decided(c[0]), decided(c[1], owing(c[1], state.Waiting, now)))
	due, _, err := s.ClaimDue(t.Context(), state.ClaimDue{Max: 5, Lease: time.Minute})
	if err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	due[0].Delivery.State = state.Delivered
	done, err := s.Commit(t.Context(), &state.Commit{Due: []state.Settled{{Delivery: due[0].Delivery, Lease: due[0].Lease}}})
	if err != nil || !done.Due[0] {
		t.Fatalf("settled %v, %v", done, err)
	}
	commit(t, s, decided(hold(t, s, 1)[0]))
	trimmed, err := s.Trim(t.Context(), state.Retention{Events: state.Bound{Bytes: 1}})
	if err != nil || trimmed.Events != 3 {
		t.Fatalf("trimmed %+v, %v", trimmed, err)
	}
	srv.config("maxmemory", "0")
	until(t, "events are accepted again", func() bool {
		_, err := s.Append(t.Context(), []*event.Event{made(t, "d")})
		return err == nil
	})
}

func TestReadOnlyIsUnavailable(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a")
	srv.do("REPLICAOF", "127.0.0.1", "1")
	if _, err := s.Append(t.Context(), []*event.Event{made(t, "b")}); !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("append: %v", err)
	}
	if h := s.Health(t.Context()); !errors.Is(h.Err, state.ErrUnavailable) {
		t.Fatalf("health: %v", h.Err)
	}
	srv.do("REPLICAOF", "NO", "ONE")
	until(t, "events are accepted again", func() bool {
		_, err := s.Append(t.Context(), []*event.Event{made(t, "b")})
		return err == nil
	})
	same(t, "claimed", keysOf(hold(t, s, 2)), []string{"a", "b"})
}

// A slow Redis is waited for, a caller that ends earlier gets its own error, and what was claimed for it is not lost.
func TestSlowIsWaitedFor(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	srv.do("CLIENT", "PAUSE", 700)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.Append(short, []*event.Event{made(t, "a")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("append: %v", err)
	}
	accept(t, s, "b")
	same(t, "claimed", keysOf(hold(t, s, 2)), []string{"a", "b"})
}

func TestEvictionPolicyIsRefused(t *testing.T) {
	t.Parallel()
	srv := start(t, "--maxmemory-policy", "allkeys-lru")
	if _, err := Open(Options{URL: srv.url()}); err == nil || !strings.Contains(err.Error(), "maxmemory-policy noeviction") {
		t.Fatalf("got %v", err)
	}
	srv.config("maxmemory-policy", "noeviction")
	s := gate(t, srv.url())
	h := s.Health(t.Context())
	if h.Err != nil || !strings.Contains(strings.Join(h.Warnings, "\n"), "appendonly yes") {
		t.Fatalf("health %v, warnings %v", h.Err, h.Warnings)
	}
	srv.config("maxmemory-policy", "volatile-ttl")
	if h := s.Health(t.Context()); !errors.Is(h.Err, state.ErrUnavailable) {
		t.Fatalf("changed while running: %v", h.Err)
	}
}

func TestAnotherNumberOfShardsIsRefused(t *testing.T) {
	t.Parallel()
	srv := start(t)
	gate(t, srv.url(), func(o *Options) { o.Shards = 4 })
	if _, err := Open(Options{URL: srv.url(), Shards: 2}); err == nil || !strings.Contains(err.Error(), "made with 4 shards") {
		t.Fatalf("got %v", err)
	}
	if s := gate(t, srv.url()); len(s.shards) != 4 {
		t.Fatalf("%d shards", len(s.shards))
	}
}

// The answer to a claim is lost on its way: what Redis gave us is found again, by us.
func TestLostAnswerOfAClaim(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a", "b", "c")
	first := hold(t, s, 1)
	srv.do("XREADGROUP", "GROUP", "gateway", s.holder, "COUNT", 1, "STREAMS", "surveygate:{0}:events", ">")
	s.shards[0].lost = true
	same(t, "claimed", keysOf(hold(t, s, 2)), []string{"b", "c"})
	commit(t, s, decided(first[0]))
}

// A holder that lives keeps its own however slow it is; a consumer that still holds something is never deleted.
func TestOnlyTheDeadAreTakenOver(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	accept(t, a, "a", "b")
	held := hold(t, a, 2)
	srv.do("XCLAIM", "surveygate:{0}:events", "gateway", a.holder, 0, "1-0", "2-0", "IDLE", 3_600_000, "JUSTID")
	if err := b.beat(t.Context(), b.shards[0]); err != nil {
		t.Fatal(err)
	}
	commit(t, a, decided(held[0]))
	a.abandon()
	srv.do("ZADD", "surveygate:{0}:holders", 1, a.holder)
	again := hold(t, b, 1)
	if again[0].Event.DedupeKey != "b" || again[0].Claims != 2 {
		t.Fatalf("got %s with %d claims", again[0].Event.DedupeKey, again[0].Claims)
	}
	until(t, "the dead consumer is gone", func() bool {
		return !strings.Contains(fmt.Sprint(srv.do("XINFO", "CONSUMERS", "surveygate:{0}:events", "gateway")), a.holder)
	})
	commit(t, b, decided(again[0]))
}

func TestTakeoverWithin15Seconds(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	accept(t, a, "a", "b", "c")
	hold(t, a, 3)
	died := time.Now()
	a.abandon()
	same(t, "claimed", keysOf(hold(t, b, 3)), []string{"a", "b", "c"})
	if took := time.Since(died); took > 15*time.Second {
		t.Fatalf("it took %v", took)
	}
}

func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	stopA, stopB := load(t, a, "a"), load(t, b, "b")
	until(t, "both work", func() bool { return a.Health(t.Context()).Events > 2000 })
	acceptedA, committedA := stopA()
	acceptedB, committedB := stopB()
	for key := range committedA {
		if committedB[key] {
			t.Errorf("%s was committed twice", key)
		}
	}
	if len(committedA) == 0 || len(committedB) == 0 {
		t.Errorf("%d and %d committed: the work is not shared", len(committedA), len(committedB))
	}
	// What either held when it was stopped is its own until it leaves.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for key := range acceptedB {
		acceptedA[key] = true
	}
	if lost := finish(t, a, acceptedA); lost > 0 {
		t.Errorf("%d lost", lost)
	}
}

// Replicas hear of each other's settings within a second, also where messages are cut off.
func TestReplicasAgreeWithinASecond(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	heard, err := b.Watch(t.Context(), "*")
	if err != nil {
		t.Fatal(err)
	}
	srv.do("CLIENT", "KILL", "TYPE", "pubsub")
	began := time.Now()
	if _, err := a.Put(t.Context(), acme, "rule", "x", nil, 0); err != nil {
		t.Fatal(err)
	}
	same(t, "change", <-heard, state.Change{Tenant: acme, Kind: "rule", Name: "x"})
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Fatalf("it took %v", took)
	}
}

// What somebody else wrote into the stream, or what became unreadable, holds nobody up.
func TestMalformedEntryIsBuried(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a")
	srv.do("XADD", "surveygate:{0}:events", "2-0", "nonsense", "1")
	srv.do("XADD", "surveygate:{0}:events", "3-0", "tenant", acme, "event", "{", "raw", "")
	accept(t, s, "b")
	same(t, "claimed", keysOf(hold(t, s, 2)), []string{"a", "b"})
	if n := asInt(asList(srv.do("XPENDING", "surveygate:{0}:events", "gateway"))[0]); n != 2 {
		t.Fatalf("%d pending, want the two that can be read", n)
	}
}

// The caller's clock is an hour ahead of Redis': what it means by times are durations.
func TestClocksMayDiffer(t *testing.T) {
	t.Parallel()
	srv := start(t)
	ahead := clock.NewManual(time.Now().Add(time.Hour))
	s := gate(t, srv.url(), func(o *Options) { o.Clock = ahead })
	s.manual = false
	accept(t, s, "a", "b")
	c := hold(t, s, 2)
	commit(t, s, decided(c[0], owing(c[0], state.Waiting, ahead.Now())), decided(c[1], owing(c[1], state.Waiting, ahead.Now().Add(time.Minute))))
	due, next, err := s.ClaimDue(t.Context(), state.ClaimDue{Max: 5, Lease: 2 * time.Minute})
	if err != nil || len(due) != 1 || due[0].Event.DedupeKey != "a" {
		t.Fatalf("%d due, %v", len(due), err)
	}
	if wait := next.Sub(ahead.Now()); wait < 50*time.Second || wait > time.Minute {
		t.Fatalf("next in %v", wait)
	}
	due[0].Delivery.State = state.Delivered
	done, err := s.Commit(t.Context(), &state.Commit{Due: []state.Settled{{Delivery: due[0].Delivery, Lease: due[0].Lease}}})
	if err != nil || !done.Due[0] {
		t.Fatalf("settled %v, %v", done, err)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "localhost", "http://x", "redis://", "redis://a:1,b:2", "redis://a/x", "redis://a?pool=1", "redis://a?timeout=x",
		"redis://a?unknown=1", "redis://a?sentinel=m&cluster=true", "redis://a/1?cluster=true", "redis://:secret@a:b",
	} {
		if _, _, err := parse(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	o, k, err := parse("rediss://u:p@a,b:7?sentinel=main&sentinel_password=q")
	if err != nil || k != sentinel || o.MasterName != "main" || o.Username != "u" || o.Password != "p" || o.SentinelPassword != "q" || o.TLSConfig == nil {
		t.Fatalf("%+v, %v", o, err)
	}
	same(t, "hosts", o.Addrs, []string{"a:26379", "b:7"})
}
