package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Backlogs returns what waits for the named destinations, over all shards.
func (s *store) Backlogs(ctx context.Context, tenant string, destinations []string) ([]state.Backlog, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	all := make([]state.Backlog, len(destinations))
	if len(destinations) == 0 {
		return all, nil
	}
	type part struct {
		waiting *goredis.IntCmd
		oldest  *goredis.ZSliceCmd
	}
	parts := make([][]part, len(destinations))
	pipe := s.client.Pipeline()
	for i, name := range destinations {
		all[i].Destination = name
		for _, sh := range s.shards {
			key := sh.base + "wait:" + token(tenant, name)
			parts[i] = append(parts[i], part{pipe.ZCard(ctx, key), pipe.ZRangeWithScores(ctx, key, 0, 0)})
		}
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, fmt.Errorf("backlogs: %w", err)
	}
	for i := range all {
		for _, p := range parts[i] {
			all[i].Waiting += int(p.waiting.Val())
			for _, z := range p.oldest.Val() {
				all[i].Oldest = earlier(all[i].Oldest, int64(z.Score))
			}
		}
	}
	return all, nil
}
