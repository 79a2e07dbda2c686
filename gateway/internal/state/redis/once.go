package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// onceArgs are the arguments of once.lua.
type onceArgs struct {
	TTL  int64 // microseconds; 0: nothing is reserved
	Keys []onceKeyArgs
}

// freeKeysArgs are keys to give back: the arguments of freekeys.lua, and a part of those of commit.lua.
type freeKeysArgs struct{ Keys []onceKeyArgs }

type onceKeyArgs struct{ Key, Owner string }

func onceKey(tenant, key string) string { return "once:" + escape(tenant) + ":" + key }

func (s *store) onceShard(tenant, key string) *shard {
	return s.shards[shardOf(tenant, key, len(s.shards))]
}

// Once reserves each key for its owner.
func (s *store) Once(ctx context.Context, tenant string, keys []state.OnceKey, ttl time.Duration) ([]string, error) {
	owners := make([]string, len(keys))
	if err := s.check(ctx); err != nil || len(keys) == 0 {
		return owners, err
	}
	args, where := map[*shard][]onceKeyArgs{}, map[*shard][]int{}
	for i, k := range keys {
		sh := s.onceShard(tenant, k.Key)
		args[sh] = append(args[sh], onceKeyArgs{onceKey(tenant, k.Key), k.Owner})
		where[sh] = append(where[sh], i)
	}
	for sh, pairs := range args {
		got, err := onceScript.run(ctx, s, sh.base, onceArgs{ttl.Microseconds(), pairs})
		if err != nil {
			return nil, fmt.Errorf("once: %w", err)
		}
		for i, owner := range asList(got) {
			owners[where[sh][i]] = asText(owner)
		}
	}
	return owners, nil
}

// freeElsewhere gives back keys that are in other shards than their event, after the commit. A crash before it leaves them
// reserved until they expire.
func (s *store) freeElsewhere(ctx context.Context, own *shard, tenant, owner string, keys []string) error {
	args := map[*shard][]onceKeyArgs{}
	for _, k := range keys {
		if sh := s.onceShard(tenant, k); sh != own {
			args[sh] = append(args[sh], onceKeyArgs{onceKey(tenant, k), owner})
		}
	}
	for sh, pairs := range args {
		if _, err := freeKeysScript.run(ctx, s, sh.base, freeKeysArgs{pairs}); err != nil {
			return err
		}
	}
	return nil
}
