package redis

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
)

// The answer to a claim is lost: the process finds the events that Redis gave it.
func TestLostAnswerOfAClaim(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a", "b", "c")
	first := hold(t, s, 1)
	srv.do("XREADGROUP", "GROUP", "gateway", s.holder, "COUNT", 1, "STREAMS", "surveygate:{0}:events", ">")
	s.shards[0].lostClaim = true
	same(t, "claimed", keysOf(hold(t, s, 2)), []string{"b", "c"})
	commit(t, s, decided(first[0]))
}

// The answer to a claim of a suspect is lost: it is found, and is still a suspect. So is one that was released by a former
// version, which does not know suspects.
func TestLostAnswerOfASuspect(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a", "b", "c")
	claimed := hold(t, s, 3)
	const stream = "surveygate:{0}:events"
	srv.do("XCLAIM", stream, "gateway", s.holder, 0, "1-0", "RETRYCOUNT", 3, "JUSTID")
	srv.do("XCLAIM", stream, "gateway", "free", 0, "2-0", "RETRYCOUNT", 2, "JUSTID")
	sh := s.shards[0]
	sh.mu.Lock()
	sh.lostClaim, sh.freed, sh.claimed = true, true, map[uint64]int{3: 1}
	sh.mu.Unlock()
	none := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if some, err := s.Claim(ctx, 10, 0); err == nil {
			t.Fatalf("%s was claimed in company", some[0].Event.DedupeKey)
		}
	}
	for _, want := range []string{"a3", "b3"} {
		none()
		c, err := s.ClaimSuspect(t.Context())
		if err != nil || c == nil {
			t.Fatalf("no suspect: %v", err)
		}
		same(t, "suspect", fmt.Sprint(c.Event.DedupeKey, c.Claims), want)
		if again, err := s.ClaimSuspect(t.Context()); err != nil || again != nil {
			t.Fatalf("a second suspect: %v, %v", again, err)
		}
		commit(t, s, decided(*c))
	}
	commit(t, s, decided(claimed[2]))
}

// A living holder keeps its events however slow it is. A consumer with pending events is never deleted.
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
	a.abandon()
	srv.do("ZINCRBY", "surveygate:{0}:holders", -deadAfter.Microseconds(), a.holder) // its last sign of life was that long ago
	same(t, "claimed", keysOf(hold(t, b, 3)), []string{"a", "b", "c"})
	if bound := deadAfter + 2*beatEvery; bound > 15*time.Second {
		t.Errorf("a holder that died is taken over after %v", bound)
	}
}

// One of two replicas is killed under load: the other one gets its events, and no accepted event is lost.
func TestReplicaKilledUnderLoad(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	stopA, stopB := load(t, a, "a"), load(t, b, "b")
	until(t, "both work", func() bool { return b.Health(t.Context()).Events > int64(statetest.Few(2000, 500)) })
	a.abandon()
	acceptedA, committedA := stopA()
	srv.do("ZADD", "surveygate:{0}:holders", 1, a.holder) // ten seconds later
	accepted, committed := stopB()
	maps.Copy(accepted, acceptedA)
	for key := range committedA {
		if committed[key] {
			t.Errorf("%s was committed twice", key)
		}
	}
	if lost := finish(t, b, accepted); len(lost) > 0 {
		t.Errorf("%d of %d lost", len(lost), len(accepted))
	}
}

func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	stopA, stopB := load(t, a, "a"), load(t, b, "b")
	until(t, "both work", func() bool { return a.Health(t.Context()).Events > int64(statetest.Few(2000, 500)) })
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
	maps.Copy(acceptedA, acceptedB)
	if lost := finish(t, a, acceptedA); len(lost) > 0 {
		t.Errorf("%d lost", len(lost))
	}
}

// Replicas soon learn of each other's settings, also when messages are lost.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	heard, err := b.Watch(t.Context(), "*")
	if err != nil {
		t.Fatal(err)
	}
	srv.do("CLIENT", "KILL", "TYPE", "pubsub")
	if _, err := a.Put(t.Context(), acme, "rule", "x", nil, 0); err != nil {
		t.Fatal(err)
	}
	select { // within a second, with room for a busy machine
	case c := <-heard:
		same(t, "change", c, state.Change{Tenant: acme, Kind: "rule", Name: "x"})
	case <-time.After(3 * time.Second):
		t.Fatal("not told")
	}
}

// A replica that missed more changes than are kept is told of every setting.
func TestMoreChangesThanAreRemembered(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url(), func(o *Options) { o.Prefix = "odd*[x]?" }), gate(t, srv.url(), func(o *Options) { o.Prefix = "odd*[x]?" })
	b.cancel() // what it does by itself ends here
	b.ending.Wait()
	heard, err := b.Watch(t.Context(), "*")
	if err != nil {
		t.Fatal(err)
	}
	a.recent = 3
	want := map[state.Change]bool{}
	for i := range 10 {
		c := state.Change{Tenant: "a:b", Kind: "rule/{x}", Name: fmt.Sprint("n:", i)}
		if _, err := a.Put(t.Context(), c.Tenant, c.Kind, c.Name, nil, 0); err != nil {
			t.Fatal(err)
		}
		want[c] = true
	}
	if n := asInt(srv.do("ZCARD", a.meta+"changed")); n != 3 {
		t.Errorf("%d changes are remembered, want 3", n)
	}
	if err := b.changed(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(want) > 0 {
		select {
		case c := <-heard:
			delete(want, c)
		case <-time.After(time.Minute):
			t.Fatalf("not told of %v", want)
		}
	}
}

// Entries of other programs and entries that cannot be decoded block no others.
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

// The caller's clock is an hour ahead of that of Redis: its times are passed as durations.
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
	if wait := next.Sub(ahead.Now()); wait < 20*time.Second || wait > time.Minute {
		t.Fatalf("next in %v", wait)
	}
	due[0].Delivery.State = state.Delivered
	done, err := s.Commit(t.Context(), &state.Commit{Due: []state.Settled{{Delivery: due[0].Delivery, Lease: due[0].Lease}}})
	if err != nil || !done.Due[0] {
		t.Fatalf("settled %v, %v", done, err)
	}
}

// A replay of many deliveries takes a few round trips in all.
func TestScheduleManyAtOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url(), func(o *Options) { o.Shards = 4 })
	names := make([]string, 600)
	for i := range names {
		names[i] = fmt.Sprint("s", i)
	}
	accept(t, s, names...)
	var all []state.Delivery
	for _, c := range hold(t, s, len(names)) {
		d := owing(c, state.Delivered, time.Time{})
		commit(t, s, decided(c, d))
		d.State = state.Waiting
		all = append(all, d)
	}
	all = append(all, all[0]) // twice in one call
	sent := watch(s)
	done, err := s.Schedule(asked(t.Context()), acme, all)
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range done {
		if !ok {
			t.Errorf("delivery %d was not scheduled", i)
		}
	}
	if n := sent.scripts(); n > 3*4+2 {
		t.Errorf("%d scripts for %d deliveries in four shards", n, len(all))
	}
	if h := s.Health(t.Context()); h.Waiting != int64(len(names)) {
		t.Errorf("%d wait", h.Waiting)
	}
}
