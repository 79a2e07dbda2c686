package redis

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// losing is a connection that loses the answers to a script after Redis ran it.
type losing struct {
	script atomic.Pointer[goredis.Script] // nil: it loses none. Signs of life read it too
	args   []any                          // of the last lost call
}

var errLost = errors.New("read tcp: connection reset by peer")

func (*losing) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (l *losing) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		args := cmd.Args()
		script := l.script.Load()
		if script != nil && err == nil && len(args) > 1 && args[0] == "evalsha" && args[1] == script.Hash() {
			l.args = args
			cmd.SetErr(errLost)
			return errLost
		}
		return err
	}
}

func (*losing) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// The answer to a lease is lost: the holder gets the deliveries with its next call.
func TestLostAnswerOfALease(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 4} {
		srv := start(t)
		s := gate(t, srv.url(), func(o *Options) { o.Shards = shards })
		ask := state.ClaimDue{Max: 10, Lease: time.Hour}
		claim := func(want int) []state.Due {
			t.Helper()
			due, _, err := s.ClaimDue(t.Context(), ask)
			if err != nil || len(due) != want {
				t.Fatalf("%d due, want %d: %v", len(due), want, err)
			}
			return due
		}
		accept(t, s, "running")
		commit(t, s, decided(waits(t, s)))
		running := claim(1)[0]
		accept(t, s, "a")
		commit(t, s, decided(waits(t, s)))
		accept(t, s, "b")
		commit(t, s, decided(waits(t, s)))

		loses := &losing{}
		s.client.AddHook(loses)
		if _, err := leaseScript.lua.Load(t.Context(), s.client).Result(); err != nil {
			t.Fatal(err)
		}
		loses.script.Store(leaseScript.lua)
		if due, _, err := s.ClaimDue(t.Context(), ask); err == nil || len(due) > 0 {
			t.Fatalf("%d due, %v", len(due), err)
		}
		lost := loses.args
		loses.script.Store(nil)
		found := claim(2)
		claim(0)

		// The lost call arrives once more: it takes nothing.
		accept(t, s, "c")
		commit(t, s, decided(waits(t, s)))
		if _, err := s.client.Do(t.Context(), lost...).Result(); err != nil {
			t.Fatal(err)
		}
		for _, d := range append(append(found, running), claim(1)...) {
			d.Delivery.State = state.Delivered
			done, err := s.Commit(t.Context(), &state.Commit{Due: []state.Settled{{Delivery: d.Delivery, Lease: d.Lease}}})
			if err != nil || !done.Due[0] {
				t.Fatalf("settled %v, %v", done, err)
			}
		}
		if n := srv.do("EXISTS", "surveygate:{0}:leased:"+s.holder); asInt(n) != 0 {
			t.Errorf("leases are listed that are settled: %v", srv.do("ZRANGE", "surveygate:{0}:leased:"+s.holder, 0, -1))
		}
	}
}

// waits claims an event and returns a delivery of it that is due.
func waits(t *testing.T, s *store) (state.Claimed, state.Delivery) {
	t.Helper()
	c := hold(t, s, 1)[0]
	return c, owing(c, state.Waiting, time.Time{})
}

// A holder with leases dies: another one gets them together with its events. A living holder keeps its leases.
func TestLeasesFollowTheirHolder(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	accept(t, a, "a")
	commit(t, a, decided(waits(t, a)))
	ask := state.ClaimDue{Max: 10, Lease: time.Hour}
	due, _, err := a.ClaimDue(t.Context(), ask)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	none := func() {
		t.Helper()
		if err := b.beat(t.Context(), b.shards[0]); err != nil {
			t.Fatal(err)
		}
		if due, _, err := b.ClaimDue(t.Context(), ask); err != nil || len(due) != 0 {
			t.Fatalf("%d due, %v", len(due), err)
		}
	}
	none()
	a.abandon()
	none()
	srv.do("ZADD", "surveygate:{0}:holders", 1, a.holder) // ten seconds later
	if err := b.beat(t.Context(), b.shards[0]); err != nil {
		t.Fatal(err)
	}
	again, _, err := b.ClaimDue(t.Context(), ask)
	if err != nil || len(again) != 1 || again[0].Delivery.Attempts != 0 {
		t.Fatalf("%d due, %v", len(again), err)
	}
	if n := asInt(srv.do("EXISTS", "surveygate:{0}:leased:"+a.holder)); n != 0 {
		t.Error("leases of the dead are listed")
	}
}
