package redis

import (
	"context"
	"fmt"
	"slices"

	goredis "github.com/redis/go-redis/v9"
)

// Weed removes items of a list.
func (s *store) Weed(ctx context.Context, tenant, list string, drop func(item []byte) bool) (int, error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	n, err := s.weed(ctx, s.meta+listKey(tenant, list), drop)
	if err != nil {
		return n, fmt.Errorf("weed %s: %w", list, err)
	}
	return n, nil
}

const weedChunk = 32

func (s *store) weed(ctx context.Context, key string, drop func(item []byte) bool) (int, error) {
	var dropped []string
	for from := int64(0); ; from += weedChunk {
		// An item that is added meanwhile moves the others, so that one may be seen twice and none is missed.
		some, err := s.client.LRange(ctx, key, from, from+weedChunk-1).Result()
		if err != nil {
			return 0, s.fault(err)
		}
		for _, item := range some {
			if len(item) >= 8 && drop([]byte(item[8:])) {
				dropped = append(dropped, item)
			}
		}
		if len(some) < weedChunk {
			break
		}
	}
	n := 0
	for some := range slices.Chunk(dropped, weedChunk) {
		pipe := s.client.Pipeline()
		removed := make([]*goredis.IntCmd, len(some))
		for i, item := range some {
			removed[i] = pipe.LRem(ctx, key, 0, item)
		}
		if err := s.exec(ctx, pipe); err != nil {
			return n, err
		}
		for _, r := range removed {
			n += int(r.Val())
		}
	}
	return n, nil
}
