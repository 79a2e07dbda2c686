package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// tally is what a shard keeps of its tenants.
type tally struct {
	Used, Share, Ids           map[string]int64
	ShareFront, IDFront        map[string]int64
	Bytes, ShareBytes, UsedSum int64
	ShareCount, Recalled       int64
	Aside                      []uint64
}

func newTally() *tally {
	return &tally{
		Used: map[string]int64{}, Share: map[string]int64{}, Ids: map[string]int64{},
		ShareFront: map[string]int64{}, IDFront: map[string]int64{},
	}
}

func weighed(m goredis.XMessage) (tenant string, size, received int64) {
	for k, v := range m.Values {
		size += int64(len(k) + len(asText(v)))
	}
	return escape(asText(m.Values["tenant"])), size, asInt(m.Values["received"]) * 1000
}

// there goes through all that a shard keeps.
func there(t testing.TB, s *store, sh *shard) *tally {
	t.Helper()
	ctx := context.Background()
	found := newTally()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	entries, err := s.client.XRange(ctx, sh.base+"events", "-", "+").Result()
	must(err)
	for _, m := range entries {
		tenant, size, _ := weighed(m)
		found.Used[tenant] += size
		found.Bytes += size
	}
	tenants, err := s.client.SMembers(ctx, sh.base+"tenants").Result()
	must(err)
	for _, tenant := range tenants {
		entries, err := s.client.XRange(ctx, sh.base+"share:"+tenant, "-", "+").Result()
		must(err)
		for i, m := range entries {
			of, size, received := weighed(m)
			if of != tenant {
				t.Errorf("an event of %s is in the share of %s", of, tenant)
			}
			found.Used[tenant] += size
			found.Share[tenant] += size
			found.ShareBytes += size
			found.ShareCount++
			if i == 0 {
				found.ShareFront[tenant] = received
			}
			var n uint64
			_, err := fmt.Sscanf(m.ID, "%d-0", &n)
			must(err)
			found.Aside = append(found.Aside, n)
		}
		ids, err := s.client.LRange(ctx, sh.base+"ids:"+tenant, 0, -1).Result()
		must(err)
		for i, id := range ids {
			found.Ids[tenant]++
			found.Recalled++
			if r := (reader{b: id}); i == 0 {
				found.IDFront[tenant] = int64(r.big(7))
			}
		}
	}
	slices.Sort(found.Aside)
	found.UsedSum = found.Bytes + found.ShareBytes
	return found
}

// said is what a shard's counters say of it.
func said(t testing.TB, s *store, sh *shard) *tally {
	t.Helper()
	ctx := context.Background()
	counted := newTally()
	for key, to := range map[string]map[string]int64{
		"used": counted.Used, "idcount": counted.Ids, "shares": counted.ShareFront, "idage": counted.IDFront,
	} {
		all, err := s.client.ZRangeWithScores(ctx, sh.base+key, 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, z := range all {
			to[asText(z.Member)] = int64(z.Score)
		}
	}
	for tenant, n := range s.client.HGetAll(ctx, sh.base+"sharebytes").Val() {
		counted.Share[tenant] = asInt(n)
	}
	v := s.client.HMGet(ctx, sh.base+"meta", "bytes", "sharebytes", "used", "share", "recalled").Val()
	counted.Bytes, counted.ShareBytes, counted.UsedSum, counted.ShareCount, counted.Recalled = asInt(v[0]), asInt(v[1]), asInt(v[2]), asInt(v[3]), asInt(v[4])
	for _, slice := range s.client.ZRange(ctx, sh.base+"slices", 0, -1).Val() {
		bits := s.client.Get(ctx, sh.base+"aside:"+slice).Val()
		for offset := range uint64(8 * len(bits)) {
			if bit(bits, offset) {
				counted.Aside = append(counted.Aside, number(slice)*sliced+offset)
			}
		}
	}
	slices.Sort(counted.Aside)
	return counted
}

// counted compares what counters say of tenants with what there is.
func counted(t testing.TB, s *store) {
	t.Helper()
	for _, sh := range s.shards {
		same(t, fmt.Sprintf("what tenants have in shard %d", sh.n), said(t, s, sh), there(t, s, sh))
	}
}

// eventsOf are events of a tenant.
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

// decide has events appended and committed.
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
		if *done == (state.Trimmed{}) {
			return all
		}
		all.Events += done.Events
		all.Kept += done.Kept
		all.Dedupe += done.Dedupe
		all.Dead += done.Dead
		all.Moved += done.Moved
	}
}

// duplicates says that events are recognised, and are still kept but for the first of them.
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

// formerly makes a shard what a former version leaves: nothing is counted by tenant, and the ids of events that are gone
// are in one list.
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

// What a former version kept: what tenants have is counted, and the ids of events that are gone become their tenants' own,
// so that one tenant pushes nothing out of another's.
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
