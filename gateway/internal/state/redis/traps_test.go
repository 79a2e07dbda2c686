package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

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

// everysec is what a kill may take with appendfsync everysec: Redis writes before it answers, but puts that off for at
// most two seconds where the disk still works on the sync of the second before.
const everysec = 2 * time.Second

func TestKilledWithAOF(t *testing.T) {
	t.Parallel()
	for _, sync := range []string{"always", "everysec"} {
		t.Run(sync, func(t *testing.T) {
			t.Parallel()
			srv := start(t, "--appendonly", "yes", "--appendfsync", sync)
			s := gate(t, srv.url())
			stop := load(t, s, "k")
			underLoad(t, s)
			killed := time.Now()
			srv.kill()
			srv.again()
			until(t, "it goes on by itself", func() bool {
				_, err := s.Append(t.Context(), []*event.Event{made(t, fmt.Sprint("after", time.Now().UnixNano()))})
				return err == nil
			})
			t.Logf("accepted again %v after the kill", time.Since(killed).Round(time.Millisecond))
			accepted, _ := stop()
			lost := finish(t, s, accepted)
			var oldest time.Duration
			for _, key := range lost {
				oldest = max(oldest, killed.Sub(accepted[key]))
			}
			t.Logf("appendfsync %s: %d accepted, %d lost, the oldest %v before the kill", sync, len(accepted), len(lost), oldest)
			switch {
			case sync == "always" && len(lost) > 0:
				t.Errorf("%d of %d accepted events are lost", len(lost), len(accepted))
			case oldest > everysec:
				t.Errorf("an event is lost that was accepted %v before the kill", oldest)
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
	if lost := finish(t, s, accepted); len(lost) > 0 || len(committed) == 0 {
		t.Errorf("%d of %d accepted events are lost", len(lost), len(accepted))
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
	srv.do("CLIENT", "PAUSE", 4000)
	short, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // enough for it to be sent
	defer cancel()
	if _, err := s.Append(short, []*event.Event{made(t, "a")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("append: %v", err)
	}
	accept(t, s, "b")
	same(t, "claimed", slices.Sorted(slices.Values(keysOf(hold(t, s, 2)))), []string{"a", "b"}) // Redis went on with either first
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
