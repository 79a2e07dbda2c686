package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// eventsOf makes events of a tenant.
func eventsOf(t testing.TB, tenant, prefix string, n int) []*event.Event {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	all := make([]*event.Event, n)
	for i := range all {
		key := prefix + strconv.Itoa(i)
		e, err := event.New(event.Header{
			ID: event.ID(tenant, "app", key), Tenant: tenant, Source: "app", SourceKind: "api", Type: "response.completed",
			ResponseID: "r-" + key, Time: now, Received: now, DedupeKey: key, Verified: "token",
		}, &event.Data{Response: event.Response{ID: "r-" + key}}, event.Raw{ContentType: "application/json", Body: []byte(`{"key":"` + key + `"}`)})
		if err != nil {
			t.Fatal(err)
		}
		all[i] = e
	}
	return all
}

// decide appends and commits events.
func decide(t testing.TB, s *store, events []*event.Event) {
	t.Helper()
	for some := range slices.Chunk(events, 256) {
		if _, err := s.Append(t.Context(), some); err != nil {
			t.Fatal(err)
		}
		var outcomes []state.Outcome
		for _, c := range hold(t, s, len(some)) {
			outcomes = append(outcomes, decided(c))
		}
		commit(t, s, outcomes...)
	}
}

func trimAll(t testing.TB, s *store, r state.Retention) (all state.Trimmed) {
	t.Helper()
	for {
		done, err := s.Trim(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if done.Nothing() {
			return all
		}
		all.Events += done.Events
		all.Kept += done.Kept
		all.Dedupe += done.Dedupe
		all.Dead += done.Dead
		all.Moved += done.Moved
	}
}

// duplicates checks that events are recognised, and that all but the first ones are still kept.
func duplicates(t testing.TB, s *store, events []*event.Event, gone int) {
	t.Helper()
	results, err := s.Append(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if !r.Duplicate || (r.Position == 0) != (i < gone) {
			t.Fatalf("event %d: %+v", i, r)
		}
	}
}

// formerly changes a shard to the form of a former version: nothing is counted by tenant, and the IDs of removed events are in
// one list.
func formerly(t testing.TB, s *store) {
	t.Helper()
	ctx := context.Background()
	for _, sh := range s.shards {
		var ids []string
		for _, tenant := range s.client.SMembers(ctx, sh.base+"tenants").Val() {
			ids = append(ids, s.client.LRange(ctx, sh.base+"ids:"+tenant, 0, -1).Val()...)
			s.client.Del(ctx, sh.base+"ids:"+tenant)
		}
		pipe := s.client.Pipeline()
		for _, id := range ids {
			pipe.RPush(ctx, sh.base+"ids", id)
		}
		pipe.HIncrBy(ctx, sh.base+"meta", "ids", int64(len(ids)))
		pipe.HDel(ctx, sh.base+"meta", "used", "recalled", "drift", "found", "countedat")
		pipe.Del(ctx, sh.base+"used")
		pipe.Del(ctx, sh.base+"idcount")
		pipe.Del(ctx, sh.base+"idage")
		pipe.Del(ctx, sh.base+"deadbytes")
		if err := s.exec(ctx, pipe); err != nil {
			t.Fatal(err)
		}
	}
}

// The data of a former version: what tenants have is counted, and the IDs of removed events move to their tenants' lists, so
// that no tenant displaces another's.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			hands := clock.NewManual(time.Now())
			s := gate(t, srv.url(), func(o *Options) { o.Shards, o.Clock = shards, hands })
			gone, mine, theirs := eventsOf(t, "quiet", "g", 20), eventsOf(t, "quiet", "q", 40), eventsOf(t, "loud", "l", 2000)
			decide(t, s, gone)
			decide(t, s, theirs[:1500])
			trimAll(t, s, state.Retention{Events: state.Bound{Bytes: 1}})
			decide(t, s, mine)
			decide(t, s, theirs[1500:])
			formerly(t, s)
			bound := s.Health(t.Context()).Bytes / 5
			r := state.Retention{Events: state.Bound{Bytes: bound}, Dedupe: state.Bound{Bytes: 100 * idBytes}}
			done := trimAll(t, s, r)
			if done.Moved < 1520 || done.Dedupe < 1400 {
				t.Errorf("trimmed %+v", done)
			}
			counted(t, s)
			duplicates(t, s, append(slices.Clone(gone), mine...), len(gone))
			if h := s.Health(t.Context()); h.Bytes > bound {
				t.Errorf("%d bytes are kept, the bound is %d", h.Bytes, bound)
			}

			// A replica of the former version goes on beside this one: it counts nothing, and what it appends is counted once
			// it has come to rest.
			former := eventsOf(t, "quiet", "f", 10)
			decide(t, s, former)
			for _, sh := range s.shards {
				sum := s.client.ZScore(t.Context(), sh.base+"used", "quiet").Val() / 2
				s.client.ZIncrBy(t.Context(), sh.base+"used", -sum, "quiet")
				s.client.HIncrBy(t.Context(), sh.base+"meta", "used", -int64(sum))
			}
			hands.Advance(2 * time.Minute)
			decide(t, s, eventsOf(t, "loud", "m", 500))
			trimAll(t, s, r)
			counted(t, s)
			duplicates(t, s, append(slices.Clone(mine), former...), 0)
		})
	}
}

// What tenants have is not yet counted: the bound is kept by removing the oldest events of any tenant.
func TestBoundWhileTenantsAreNotCounted(t *testing.T) {
	t.Parallel()
	srv := start(t)
	hands := clock.NewManual(time.Now())
	s := gate(t, srv.url(), func(o *Options) { o.Clock = hands })
	mine := eventsOf(t, "quiet", "q", 40)
	decide(t, s, mine)
	decide(t, s, eventsOf(t, "loud", "l", 360))
	bound := s.Health(t.Context()).Bytes / 4
	wrong := func() { srv.do("HINCRBY", s.shards[0].base+"meta", "used", 1) }
	wrong()
	srv.do("HSET", s.shards[0].base+"meta", "countedat", micros(hands.Now()))
	trimAll(t, s, eventBytes(bound))
	if h := s.Health(t.Context()); h.Bytes > bound/8*9 || h.Bytes < bound {
		t.Fatalf("%d bytes are kept, the bound is %d", h.Bytes, bound)
	}
	hands.Advance(time.Hour)
	mine = eventsOf(t, "quiet", "r", 20)
	decide(t, s, mine)
	decide(t, s, eventsOf(t, "loud", "m", 300))
	trimAll(t, s, eventBytes(bound))
	duplicates(t, s, mine, 0)
	counted(t, s)

	// Entries were taken out of the stream by hand: what is missing since is known when it is found twice.
	last := s.client.XRevRangeN(t.Context(), s.shards[0].base+"events", "+", "-", 1).Val()[0].ID
	srv.do("XDEL", s.shards[0].base+"events", last)
	for range 3 {
		wrong = func() { srv.do("HDEL", s.shards[0].base+"meta", "countedat") }
		wrong()
		srv.do("HINCRBY", s.shards[0].base+"meta", "used", 1)
		trimAll(t, s, eventBytes(bound))
		hands.Advance(time.Hour)
	}
	if v := s.client.HGet(t.Context(), s.shards[0].base+"meta", "drift").Val(); asInt(v) == 0 {
		t.Errorf("the drift is %q", v)
	}
	decide(t, s, eventsOf(t, "loud", "n", 100))
	trimAll(t, s, eventBytes(bound))
	duplicates(t, s, mine, 0)
}

// A few kept events do not keep the index entries of the removed ones.
func TestIndexesOfWhatIsGone(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	base := s.shards[0].base
	srv.do("HSET", base+"meta", "next", 2*sliced-600)
	mine := eventsOf(t, "quiet", "q", 20)
	decide(t, s, mine)
	waits := eventsOf(t, "other", "w", 1)
	if _, err := s.Append(t.Context(), waits); err != nil {
		t.Fatal(err)
	}
	held := hold(t, s, 1)[0]
	d := owing(held, state.Waiting, time.Now().Add(time.Hour))
	d.Tenant = "other"
	commit(t, s, decided(held, d))
	decide(t, s, eventsOf(t, "loud", "l", 1200))
	bound := s.Health(t.Context()).Bytes / 10
	entries := func() (lines, terms int) {
		t.Helper()
		for _, tenant := range []string{"quiet", "other", "loud"} {
			lines += int(s.client.StrLen(t.Context(), base+"line:"+tenant+":1").Val()) / 2
		}
		for bucket := range buckets {
			terms += int(s.client.StrLen(t.Context(), fmt.Sprint(base, "index:1:", bucket)).Val()) / (tagSize + 2)
		}
		return lines, terms
	}
	if lines, terms := entries(); lines != 600 || terms != 600 {
		t.Fatalf("%d lines, %d terms", lines, terms)
	}
	srv.config("maxmemory", "1mb") // a full one must be able to drain
	trimAll(t, s, eventBytes(bound))
	trimAll(t, s, eventBytes(bound))
	if lines, terms := entries(); lines != 21 || terms != 21 {
		t.Fatalf("%d lines, %d terms are left", lines, terms)
	}
	counted(t, s)
	srv.config("maxmemory", "0")
	until(t, "events are accepted again", func() bool { return !s.full.Load() })
	duplicates(t, s, mine, 0)
	duplicates(t, s, waits, 0)
	for _, e := range append(slices.Clone(mine), waits...) {
		page, err := s.Events(t.Context(), e.Tenant, state.EventQuery{Response: e.ResponseID})
		if err != nil || len(page.Items) != 1 || page.Items[0].Event.ID != e.ID {
			t.Fatalf("event %s is not found by its response: %+v, %v", e.DedupeKey, page, err)
		}
	}
	if page, err := s.Events(t.Context(), "quiet", state.EventQuery{}); err != nil || len(page.Items) != len(mine) {
		t.Fatalf("%d of %d are listed, %v", len(page.Items), len(mine), err)
	}

	// The last of them leaves, and the slice with it.
	trimAll(t, s, eventBytes(1))
	if n := srv.do("EXISTS", base+"aside:1"); n != int64(1) {
		t.Errorf("the slice of an event that waits is gone: %v", n)
	}
	if err := s.Drop(t.Context(), "other", d.ID); err != nil {
		t.Fatal(err)
	}
	trimAll(t, s, eventBytes(1))
	for _, key := range []string{"aside:1", "line:quiet:1", "line:other:1", "index:1:0"} {
		if n := srv.do("EXISTS", base+key); n != int64(0) {
			t.Errorf("%s is left", key)
		}
	}
}

// The bytes of dead letters of a former version are estimated, so that no tenant's displace another's.
func TestDeadLettersOfAFormerVersion(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	dead := func(tenant string, n int) {
		t.Helper()
		for some := range slices.Chunk(eventsOf(t, tenant, "d", n), 100) {
			if _, err := s.Append(t.Context(), some); err != nil {
				t.Fatal(err)
			}
			var outcomes []state.Outcome
			for _, c := range hold(t, s, len(some)) {
				d := owing(c, state.Dead, time.Time{})
				d.Tenant = tenant
				outcomes = append(outcomes, decided(c, d))
			}
			commit(t, s, outcomes...)
		}
	}
	dead("quiet", 20)
	dead("loud", 500)
	base := s.shards[0].base
	srv.do("DEL", base+"deadbytes")
	total := asInt(srv.do("HGET", base+"meta", "deadbytes"))
	trimAll(t, s, state.Retention{Dead: state.Bound{Bytes: total / 5}})
	if n := srv.do("ZCARD", base+"dead:"+token("quiet", "crm")); n != int64(20) {
		t.Errorf("the quiet has %v dead letters, want 20", n)
	}
	if left := asInt(srv.do("HGET", base+"meta", "deadbytes")); left > total/5 || left < total/6 {
		t.Errorf("dead letters keep %d bytes, the bound is %d", left, total/5)
	}
	dead("other", 20) // counted from its first
	trimAll(t, s, state.Retention{Dead: state.Bound{Bytes: total / 8}})
	if n := srv.do("ZCARD", base+"dead:"+token("other", "crm")); n != int64(20) {
		t.Errorf("the other has %v dead letters, want 20", n)
	}
}

// A former version does not find events in shares. While such a replica lives, no event is moved there; afterwards none can start.
func TestNoSharesWhileAFormerVersionRuns(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	base := s.shards[0].base
	sign := func(at time.Time) {
		t.Helper()
		srv.do("ZADD", base+"holders", micros(at), "former")
	}
	mine := eventsOf(t, "quiet", "q", 20)
	decide(t, s, mine)
	decide(t, s, eventsOf(t, "loud", "l", 300))
	bound := s.Health(t.Context()).Bytes * 15 / 16
	sign(time.Now().Add(time.Hour))
	trimAll(t, s, eventBytes(bound))
	duplicates(t, s, mine, 0)
	decide(t, s, eventsOf(t, "loud", "m", 300))
	trimAll(t, s, eventBytes(bound))
	if h := s.Health(t.Context()); h.Bytes > bound/8*9 {
		t.Errorf("%d bytes are kept, the bound is %d", h.Bytes, bound)
	}
	if v := srv.do("HGET", s.meta+"layout", "version"); srv.do("EXISTS", base+"share:quiet") != int64(0) || v != layoutVersion {
		t.Fatalf("an event is in a share, the layout is %v", v)
	}
	sign(time.Now().Add(-time.Hour))
	mine = eventsOf(t, "quiet", "r", 20)
	decide(t, s, mine)
	decide(t, s, eventsOf(t, "loud", "n", 300))
	trimAll(t, s, eventBytes(bound))
	duplicates(t, s, mine, 0)
	if v := srv.do("HGET", s.meta+"layout", "version"); srv.do("EXISTS", base+"share:quiet") != int64(1) || v != sharedLayout {
		t.Fatalf("nothing is in a share, the layout is %v", v)
	}
	counted(t, s)
	same(t, "pending", gate(t, srv.url()).Health(t.Context()).Pending, int64(0))
}

func eventBytes(n int64) state.Retention { return state.Retention{Events: state.Bound{Bytes: n}} }

// Another replica trims while one plans: no tenant with less than an equal part loses anything.
func TestPlanWhileAnotherTrims(t *testing.T) {
	t.Parallel()
	url, _ := startCluster(t)
	s, other := gate(t, url), gate(t, url)
	small := eventsOf(t, "small", "s", 20)
	decide(t, s, small)
	decide(t, s, eventsOf(t, "large", "l", 400))
	trim := &trimming{s: s, ctx: t.Context()}
	sums, err := trim.measure()
	if err != nil {
		t.Fatal(err)
	}
	all := func(m *inShard) int64 { return m.bytes }
	bound := sum(sums, all) / 2
	trim.r.Events.Bytes = bound
	trimAll(t, other, trim.r)
	plans, err := trim.plan(bound, sums, all, trim.ranked("used"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range plans {
		for _, o := range plans[i].over {
			if o.Tenant == "small" {
				t.Fatalf("the small tenant is to have %d bytes in shard %d", o.Level, i)
			}
		}
	}
}

// One replica trims at a time.
func TestOneTrims(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s, other := gate(t, srv.url()), gate(t, srv.url())
	decide(t, s, eventsOf(t, acme, "a", 40))
	r := state.Retention{Events: state.Bound{Bytes: 1}}
	if _, err := other.Lease(t.Context(), "trim", other.holder, time.Minute); err != nil {
		t.Fatal(err)
	}
	if done, err := s.Trim(t.Context(), r); err != nil || !done.Nothing() {
		t.Fatalf("trimmed %+v while another replica trims, %v", done, err)
	}
	for _, st := range []*store{other, s} { // and each gives the lease back
		decide(t, s, eventsOf(t, acme, "b"+st.holder, 40))
		if done, err := st.Trim(t.Context(), r); err != nil || done.Events == 0 {
			t.Fatalf("trimmed %+v, %v", done, err)
		}
	}
}
