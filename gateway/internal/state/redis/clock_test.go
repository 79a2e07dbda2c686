package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ahead starts a server whose clock seems an hour ahead to scripts.
func ahead(t *testing.T) *server {
	t.Helper()
	srv := start(t)
	for _, meta := range []string{"surveygate:{0}:meta", "surveygate:{meta}:meta"} {
		srv.do("HSET", meta, "ahead", time.Hour.Microseconds(), "seen", time.Now().Add(time.Hour).UnixMicro())
	}
	return srv
}

// The clock of Redis steps back by an hour: deliveries are due when they would have been, living holders keep their events and
// leases, and a dead holder is still taken over.
func TestClockOfRedisStepsBack(t *testing.T) {
	t.Parallel()
	srv := ahead(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	accept(t, a, "leased", "retry")
	c := hold(t, a, 2)
	commit(t, a, decided(c[0], owing(c[0], state.Waiting, time.Time{})))
	ask := state.ClaimDue{Max: 10, Lease: time.Hour}
	if due, _, err := a.ClaimDue(t.Context(), ask); err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	commit(t, a, decided(c[1], owing(c[1], state.Waiting, time.Now().Add(time.Second))))
	accept(t, a, "held")
	hold(t, a, 1)

	for _, meta := range []string{"surveygate:{0}:meta", "surveygate:{meta}:meta"} {
		srv.do("HSET", meta, "ahead", 0)
	}
	until(t, "the step is noticed", func() bool {
		return asInt(srv.do("HGET", "surveygate:{0}:meta", "ahead")) > (59 * time.Minute).Microseconds()
	})
	if w := strings.Join(b.Health(t.Context()).Warnings, "\n"); !strings.Contains(w, "the clock of Redis was set back by") {
		t.Errorf("warnings: %s", w)
	}
	until(t, "only the retry is due", func() bool {
		due, _, err := b.ClaimDue(t.Context(), ask)
		if err != nil || len(due) > 0 && (len(due) > 1 || due[0].Event.DedupeKey != "retry") {
			t.Fatalf("%d due, %v", len(due), err)
		}
		return len(due) == 1
	})
	if n, err := a.Lease(t.Context(), "name", "a", time.Minute); err != nil || n != 1 {
		t.Fatalf("fence %d, %v", n, err)
	}
	a.abandon()
	srv.do("ZINCRBY", "surveygate:{0}:holders", -deadAfter.Microseconds(), a.holder) // its last sign of life was that long ago
	same(t, "claimed", keysOf(hold(t, b, 1)), []string{"held"})
	until(t, "the dead holder's lease is due", func() bool {
		due, _, err := b.ClaimDue(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		return len(due) == 1 && due[0].Event.DedupeKey == "leased"
	})
}

// The clock of Redis steps forward by an hour: no living holder is taken for dead, and no lease ends.
func TestClockOfRedisStepsForward(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	accept(t, a, "leased")
	commit(t, a, decided(waits(t, a)))
	ask := state.ClaimDue{Max: 10, Lease: time.Minute}
	if due, _, err := a.ClaimDue(t.Context(), ask); err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	accept(t, a, "held")
	held := hold(t, a, 1)[0]
	if err := b.beat(t.Context(), b.shards[0]); err != nil {
		t.Fatal(err)
	}
	srv.do("EVAL", `
		local base, by = KEYS[1], -3600000000
		redis.call('HINCRBY', base .. 'meta', 'seen', by)
		for _, h in ipairs(redis.call('ZRANGE', base .. 'holders', 0, -1)) do
			redis.call('ZINCRBY', base .. 'holders', by, h)
			for _, m in ipairs(redis.call('ZRANGE', base .. 'leased:' .. h, 0, -1)) do
				redis.call('ZINCRBY', base .. 'leased:' .. h, by, m)
				local cut = string.find(m, '%z')
				redis.call('ZINCRBY', base .. 'due:' .. string.sub(m, 1, cut - 1), by, string.sub(m, cut + 1))
			end
		end
		redis.call('ZADD', base .. 'service', 1, 'acme/crm')
		return 1`, 1, "surveygate:{0}:")
	none := func() {
		t.Helper()
		if due, _, err := b.ClaimDue(t.Context(), ask); err != nil || len(due) > 0 {
			t.Fatalf("%d due, %v", len(due), err)
		}
	}
	none() // before the step is noticed
	if err := b.beat(t.Context(), b.shards[0]); err != nil {
		t.Fatal(err)
	}
	none()
	if all := asList(srv.do("XPENDING", "surveygate:{0}:events", "gateway", "-", "+", 10, a.holder)); len(all) != 1 {
		t.Fatalf("it holds %v", all)
	}
	commit(t, a, decided(held))
}

// Redis was down for a minute, so no holder could give a sign of life: the first that does takes nothing over from others.
func TestNobodyDiesWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	srv := start(t)
	a, b := gate(t, srv.url()), gate(t, srv.url())
	a.cancel() // its background ends: it says nothing by itself
	a.ending.Wait()
	accept(t, a, "leased")
	commit(t, a, decided(waits(t, a)))
	ask := state.ClaimDue{Max: 10, Lease: time.Hour}
	if due, _, err := a.ClaimDue(t.Context(), ask); err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	srv.do("EVAL", `
		redis.call('HINCRBY', KEYS[1] .. 'meta', 'seen', -60000000)
		for _, h in ipairs(redis.call('ZRANGE', KEYS[1] .. 'holders', 0, -1)) do
			redis.call('ZINCRBY', KEYS[1] .. 'holders', -60000000, h)
		end
		return 1`, 1, "surveygate:{0}:")
	b.shards[0].beaten.at(b.clock.Elapsed() - time.Minute)
	if err := b.beat(t.Context(), b.shards[0]); err != nil {
		t.Fatal(err)
	}
	if due, _, err := b.ClaimDue(t.Context(), ask); err != nil || len(due) > 0 {
		t.Fatalf("%d due, %v", len(due), err)
	}
}
