package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// tally is what a shard keeps of its tenants.
type tally struct {
	Used, Share, Ids           map[string]int64
	ShareFront, IDFront        map[string]int64
	Bytes, ShareBytes, UsedSum int64
	ShareCount, Recalled, Dead int64
	Aside                      []uint64
}

func newTally() *tally {
	return &tally{
		Used: map[string]int64{}, Share: map[string]int64{}, Ids: map[string]int64{},
		ShareFront: map[string]int64{}, IDFront: map[string]int64{},
	}
}

func weighed(s *store, sh *shard, m goredis.XMessage) (tenant string, size, received int64) {
	n, _, _ := strings.Cut(m.ID, "-")
	for k, v := range s.client.HGetAll(context.Background(), sh.base+"revised:"+n).Val() {
		switch k {
		case "bytes":
		case "terms":
			size += int64(len(v))
		default:
			size += int64(len(k) + len(v))
		}
	}
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
	// loose are the events of a list that are in no stream, behind those of the stream.
	loose := func(stream, list string) []goredis.XMessage {
		entries, err := s.client.XRange(ctx, sh.base+stream, "-", "+").Result()
		must(err)
		names, err := s.client.ZRange(ctx, sh.base+list, 0, -1).Result()
		must(err)
		for _, name := range names {
			m := goredis.XMessage{ID: name + "-0", Values: map[string]any{}}
			for k, v := range s.client.HGetAll(ctx, sh.base+"kept:"+name).Val() {
				m.Values[k] = v
			}
			if len(m.Values) == 0 {
				t.Errorf("the loose event %s has no content", name)
			}
			entries = append(entries, m)
		}
		slices.SortStableFunc(entries, func(a, b goredis.XMessage) int {
			x, _, _ := strings.Cut(a.ID, "-")
			y, _, _ := strings.Cut(b.ID, "-")
			return cmp.Compare(number(x), number(y))
		})
		return entries
	}
	entries := loose("events", "loose")
	for _, m := range entries {
		tenant, size, _ := weighed(s, sh, m)
		found.Used[tenant] += size
		found.Bytes += size
	}
	tenants, err := s.client.SMembers(ctx, sh.base+"tenants").Result()
	must(err)
	for _, tenant := range tenants {
		entries := loose("share:"+tenant, "looseshare:"+tenant)
		for i, m := range entries {
			of, size, received := weighed(s, sh, m)
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
			if r := readerOf(id); i == 0 {
				found.IDFront[tenant] = int64(r.big(7))
			}
		}
	}
	slices.Sort(found.Aside)
	found.UsedSum = found.Bytes + found.ShareBytes
	found.Dead = asInt(s.client.HGet(ctx, sh.base+"meta", "deadbytes").Val())
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
	for _, n := range s.client.HGetAll(ctx, sh.base+"deadbytes").Val() {
		counted.Dead += asInt(n)
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
		countedLists(t, s, sh)
	}
}
