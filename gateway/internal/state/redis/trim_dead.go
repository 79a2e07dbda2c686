package redis

import (
	"cmp"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// dead bounds the bytes of the events that dead letters keep.
func (t *trimming) dead() error {
	if t.r.Dead.Bytes <= 0 {
		return nil
	}
	sums, err := t.measure()
	if err != nil {
		return err
	}
	plans, err := t.plan(t.r.Dead.Bytes, sums, func(m *inShard) int64 { return m.dead }, t.deadUsed)
	if err != nil {
		return err
	}
	for i := range sums {
		if err := t.slices(func() (bool, error) { return t.deadBytes(sums[i].sh, &plans[i]) }); err != nil {
			return err
		}
	}
	return nil
}

// estimateDeadArgs are the arguments of estimatedead.lua.
type estimateDeadArgs struct{ Dests []string }

// dropDeadArgs are the arguments of dropdead.lua.
type dropDeadArgs struct{ Letters []letterRef }

// letterRef is a dead letter: its destination and suffix, and its event's number.
type letterRef struct {
	Dest, Suffix string
	N            uint64
}

// deadUsed returns the bytes that the dead letters of each tenant keep in a shard.
func (t *trimming) deadUsed(sh *shard) (map[string]int64, error) {
	dests, err := t.s.client.SMembers(t.ctx, sh.base+"dests").Result()
	if err != nil {
		return nil, t.s.fault(err)
	}
	counted, err := t.s.client.HGetAll(t.ctx, sh.base+"deadbytes").Result()
	if err != nil {
		return nil, t.s.fault(err)
	}
	uncounted := slices.DeleteFunc(dests, func(dest string) bool { _, ok := counted[dest]; return ok })
	for some := range slices.Chunk(uncounted, shedTenants) {
		if _, err := estimateDeadScript.run(t.ctx, t.s, sh.base, estimateDeadArgs{some}); err != nil {
			return nil, err
		}
	}
	if len(uncounted) > 0 {
		if counted, err = t.s.client.HGetAll(t.ctx, sh.base+"deadbytes").Result(); err != nil {
			return nil, t.s.fault(err)
		}
	}
	used := map[string]int64{}
	for dest, n := range counted {
		tenant, _, _ := strings.Cut(dest, "/")
		used[tenant] += max(asInt(n), 0)
	}
	return used, nil
}

// deadBytes applies the bound: the tenants with most bytes lose their oldest dead letters, over all their destinations.
func (t *trimming) deadBytes(sh *shard, p *shedding) (more bool, err error) {
	if p.bound == 0 {
		return false, nil
	}
	total, err := t.s.client.HGet(t.ctx, sh.base+"meta", "deadbytes").Int64()
	if err != nil && err != goredis.Nil { //nolint:errorlint // go-redis returns it bare
		return false, t.s.fault(err)
	}
	over := total - p.bound
	if over <= 0 {
		return false, nil
	}
	levels := map[string]int64{}
	for _, o := range p.over {
		levels[o.Tenant] = o.Level
	}
	mustLose := func(dest string) (tenant string, ok bool) {
		tenant, _, _ = strings.Cut(dest, "/")
		level, ok := levels[tenant]
		return tenant, ok && p.used[tenant] > level
	}
	dests, err := t.s.client.SMembers(t.ctx, sh.base+"dests").Result()
	if err != nil {
		return false, t.s.fault(err)
	}
	dests = slices.DeleteFunc(dests, func(dest string) bool { _, ok := mustLose(dest); return !ok })
	if len(dests) == 0 {
		return false, nil
	}
	type head struct {
		dest  string
		score float64
		n     uint64
		name  string
		owed  *goredis.StringCmd
	}
	var heads []head
	pipe := t.s.client.Pipeline()
	asked := make([]*goredis.ZSliceCmd, len(dests))
	for i, dest := range dests {
		asked[i] = pipe.ZRangeWithScores(t.ctx, sh.base+"dead:"+dest, 0, sliceEvents-1)
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return false, err
	}
	pipe = t.s.client.Pipeline()
	for i, cmd := range asked {
		for _, z := range cmd.Val() {
			r := readerOf(asText(z.Member))
			h := head{dest: dests[i], score: z.Score, n: r.big(8), name: r.Rest}
			key, field := owedAt(sh, h.n, h.name)
			h.owed = pipe.HGet(t.ctx, key, field)
			heads = append(heads, h)
		}
	}
	if len(heads) == 0 {
		return false, nil
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return false, err
	}
	slices.SortFunc(heads, func(a, b head) int { return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.n, b.n)) })
	var args dropDeadArgs
	for _, h := range heads {
		if over <= 0 || len(args.Letters) >= sliceEvents {
			break
		}
		tenant, ok := mustLose(h.dest)
		if !ok {
			continue
		}
		r := readerOf(h.owed.Val())
		r.Take(2)
		size := int64(r.big(4))
		over -= size
		p.used[tenant] -= size
		args.Letters = append(args.Letters, letterRef{h.dest, h.name, h.n})
	}
	got, err := dropDeadScript.run(t.ctx, t.s, sh.base, args)
	t.done.Dead += int(asInt(got))
	return over > 0 && asInt(got) > 0, err
}
