package redis

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
)

// TestChurn: destinations that come and go leave no key in Redis, and no entry of one.
func TestChurn(t *testing.T) {
	t.Parallel()
	srv := start(t)
	h := &harness{t: t, url: srv.url(), shards: 2, prefix: "churn", clock: clock.NewManual(statetest.Begin)}
	h.stores = []*store{h.open()}
	t.Cleanup(func() { _ = h.stores[0].Close() })
	statetest.Churn(t, h, "first-", 100)
	before := entries(t, h.stores[0])
	statetest.Churn(t, h, "second-", statetest.Few(2_000, 300))
	if diff := cmp.Diff(before, entries(t, h.stores[0])); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}

// entries counts the entries of each key of a store.
func entries(t *testing.T, s *store) map[string]int64 {
	t.Helper()
	ctx, n := t.Context(), map[string]int64{}
	it := s.client.Scan(ctx, 0, s.opts.Prefix+"*", 1000).Iterator()
	for it.Next(ctx) {
		key, name := it.Val(), it.Val()[strings.LastIndexByte(it.Val(), '}')+1:]
		if strings.HasPrefix(name, ":index:") || name == ":names" || name == ":trim" {
			continue // indexes leave slice by slice, each 65,536 events; names are shared by all events; trim has one entry a round
		}
		var count int64
		var err error
		switch kind := s.client.Type(ctx, key).Val(); kind {
		case "hash":
			count, err = s.client.HLen(ctx, key).Result()
		case "zset":
			count, err = s.client.ZCard(ctx, key).Result()
		case "set":
			count, err = s.client.SCard(ctx, key).Result()
		case "list":
			count, err = s.client.LLen(ctx, key).Result()
		case "stream":
			count, err = s.client.XLen(ctx, key).Result()
		default:
			count = 1
		}
		if err != nil {
			t.Fatal(err)
		}
		n[name] += count
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}
