package redis

import (
	"cmp"
	"slices"

	goredis "github.com/redis/go-redis/v9"
)

// inShard is how much one shard has.
type inShard struct {
	sh                *shard
	bytes             int64 // of events in the stream and in shares
	ids, former, dead int64 // IDs of removed events, those of them in the list of former versions, bytes of dead letters
}

// shares divides a bound among the shards in proportion to what they have. So nothing is removed before the bound is reached,
// however events are spread over the shards.
func shares[T any](bound int64, all []*T, of func(*T) int64) []int64 {
	parts := make([]int64, len(all))
	var total int64
	for i := range all {
		total += of(all[i])
	}
	if bound <= 0 || total <= bound && len(all) > 1 {
		return parts // 0 is no bound
	}
	if len(all) == 1 {
		parts[0] = bound
		return parts
	}
	left := bound
	order := make([]int, len(all))
	rest := make([]float64, len(all))
	for i := range all {
		exact := float64(bound) * float64(of(all[i])) / float64(total)
		parts[i], order[i] = int64(exact), i
		rest[i] = exact - float64(parts[i])
		left -= parts[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest[b], rest[a]) })
	for _, i := range order {
		if left > 0 && of(all[i]) > 0 {
			parts[i]++
			left--
		}
		parts[i] = max(parts[i], 1) // 0 would be no bound
	}
	return parts
}

// measure returns how much the shards have in all.
func (t *trimming) measure() ([]*inShard, error) {
	all := make([]*inShard, len(t.s.shards))
	pipe := t.s.client.Pipeline()
	asked := make([]*goredis.SliceCmd, len(all))
	for i, sh := range t.s.shards {
		all[i] = &inShard{sh: sh}
		asked[i] = pipe.HMGet(t.ctx, sh.base+"meta", "bytes", "sharebytes", "recalled", "ids", "deadbytes")
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return nil, err
	}
	for i, a := range asked {
		v := a.Val()
		all[i].bytes, all[i].ids, all[i].former, all[i].dead = asInt(v[0])+asInt(v[1]), asInt(v[2]), asInt(v[3]), asInt(v[4])
	}
	return all, nil
}
