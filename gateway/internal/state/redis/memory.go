package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// The percentages of maxmemory for events, recognised IDs, the waiting deliveries of a destination, and statistics: 68 in all. The
// rest is for history, indexes, dead letters, and Redis itself, which needs memory while it writes a snapshot.
const (
	eventsShare  = 40
	dedupeShare  = 5
	waitingShare = 15
	statsShare   = 8
	// unbounded is the sum of the first three in bytes if Redis has no maxmemory.
	unbounded = 1 << 30
)

// Shares returns the default bounds in bytes, as parts of maxmemory.
func (s *store) Shares(ctx context.Context) (state.Shares, error) {
	if err := s.check(ctx); err != nil {
		return state.Shares{}, err
	}
	memory, err := s.maxMemory(ctx)
	if err != nil {
		return state.Shares{}, fmt.Errorf("shares of memory: %w", err)
	}
	percent := int64(unbounded / (eventsShare + dedupeShare + waitingShare))
	if memory > 0 {
		percent = memory / 100
	}
	of := func(share int64) int64 { return max(percent*share, 1) }
	return state.Shares{Events: of(eventsShare), Dedupe: of(dedupeShare), Waiting: of(waitingShare), Stats: of(statsShare)}, nil
}

// maxMemory returns the maxmemory for all shards; 0: none is set. Events spread evenly over shards, so the node with the
// least memory for each of its shards limits all of them.
func (s *store) maxMemory(ctx context.Context) (int64, error) {
	cluster, ok := s.client.(*goredis.ClusterClient)
	if !ok {
		c, ok := s.client.(*goredis.Client)
		if !ok {
			return 0, nil
		}
		n, err := about(ctx, c, "memory")
		return n.number("maxmemory"), s.fault(err)
	}
	shards := map[string]int64{}
	masters := map[string]*goredis.Client{}
	for _, sh := range s.shards {
		c, err := cluster.MasterForKey(ctx, sh.base+"meta")
		if err != nil {
			return 0, s.fault(err)
		}
		shards[c.Options().Addr]++
		masters[c.Options().Addr] = c
	}
	var least int64
	for addr, c := range masters {
		n, err := about(ctx, c, "memory")
		if err != nil {
			return 0, s.fault(err)
		}
		each := n.number("maxmemory") / shards[addr]
		if each > 0 && (least == 0 || each < least) {
			least = each
		}
	}
	return least * int64(len(s.shards)), nil
}
