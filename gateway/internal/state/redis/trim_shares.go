package redis

import (
	"cmp"
	"slices"

	goredis "github.com/redis/go-redis/v9"
)

// inShard is how much one shard has: in all, or of one destination.
type inShard struct {
	sh                         *shard
	bytes                      int64 // of events in the stream and in shares; of a destination: of the events of its waiting deliveries
	ids, former, dead          int64 // in all: IDs of removed events, those of them in the list of former versions, bytes of dead letters
	waiting, history, failures int64 // of a destination
}

// shares divides a bound among the shards in proportion to what they have. So nothing is removed before the bound is reached,
// however events are spread over the shards.
func shares(bound int64, all []inShard, of func(*inShard) int64) []int64 {
	parts := make([]int64, len(all))
	var total int64
	for i := range all {
		total += of(&all[i])
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
		exact := float64(bound) * float64(of(&all[i])) / float64(total)
		parts[i], order[i] = int64(exact), i
		rest[i] = exact - float64(parts[i])
		left -= parts[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest[b], rest[a]) })
	for _, i := range order {
		if left > 0 && of(&all[i]) > 0 {
			parts[i]++
			left--
		}
		parts[i] = max(parts[i], 1) // 0 would be no bound
	}
	return parts
}

// measure returns how much the shards have in all.
func (t *trimming) measure() ([]inShard, error) {
	all := make([]inShard, len(t.s.shards))
	pipe := t.s.client.Pipeline()
	asked := make([]*goredis.SliceCmd, len(all))
	for i, sh := range t.s.shards {
		all[i].sh = sh
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

// lists returns how much the shards have of each destination.
func (t *trimming) lists() (map[string][]inShard, error) {
	by := map[string][]inShard{}
	for _, sh := range t.s.shards {
		dests, err := t.s.client.SMembers(t.ctx, sh.base+"dests").Result()
		if err != nil {
			return nil, t.s.fault(err)
		}
		for _, dest := range dests {
			by[dest] = append(by[dest], inShard{sh: sh})
		}
	}
	if len(t.s.shards) == 1 {
		return by, nil
	}
	pipe := t.s.client.Pipeline()
	type lengths struct {
		waiting, history, failures *goredis.IntCmd
		bytes                      *goredis.StringCmd
	}
	asked := map[string][]lengths{}
	for dest, all := range by {
		for i := range all {
			base := all[i].sh.base
			asked[dest] = append(asked[dest], lengths{
				pipe.ZCard(t.ctx, base+"wait:"+dest), pipe.XLen(t.ctx, base+"h:"+dest), pipe.XLen(t.ctx, base+"f:"+dest),
				pipe.HGet(t.ctx, base+"waitbytes", dest),
			})
		}
	}
	if pipe.Len() == 0 {
		return by, nil
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return nil, err
	}
	for dest, all := range by {
		for i := range all {
			a := &asked[dest][i]
			all[i].waiting, all[i].history, all[i].failures = a.waiting.Val(), a.history.Val(), a.failures.Val()
			all[i].bytes = asInt(a.bytes.Val())
		}
	}
	return by, nil
}
