package redis

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

const (
	uncountedDests = 128 // destinations in one call of estimatedead.lua
	headDests      = 512 // destinations whose oldest dead letter is read in one round trip
	oldestDests    = 16  // destinations that lose dead letters in one slice
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
	dests := map[*shard][]string{}
	plans, err := t.plan(t.r.Dead.Bytes, sums, func(m *inShard) int64 { return m.dead }, func(sh *shard) (map[string]int64, error) {
		byDest, err := t.deadUsed(sh)
		used := map[string]int64{}
		for dest, n := range byDest {
			used[tenantOf(dest)] += max(n, 0)
		}
		dests[sh] = slices.Collect(maps.Keys(byDest))
		return used, err
	})
	if err != nil {
		return err
	}
	return t.inEach(func(i int, sh *shard) error {
		if plans[i].bound == 0 {
			return nil
		}
		d := &deadShedding{shedding: &plans[i], trimming: t, sh: sh}
		if err := d.readHeads(dests[sh]); err != nil {
			return err
		}
		return t.slices(d.dropOldest)
	})
}

// tenantOf returns the tenant, escaped, of a destination's name in keys.
func tenantOf(dest string) string {
	tenant, _, _ := strings.Cut(dest, "/")
	return tenant
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

// deadUsed returns the bytes that the dead letters of each destination keep in a shard.
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
	estimated := false
	for some := range slices.Chunk(uncounted, uncountedDests) {
		if err := t.goOn(); err != nil {
			return nil, err
		}
		got, err := estimateDeadScript.run(t.ctx, t.s, sh.base, estimateDeadArgs{some})
		if err != nil {
			return nil, err
		}
		estimated = estimated || asInt(got) > 0
	}
	if estimated {
		if counted, err = t.s.client.HGetAll(t.ctx, sh.base+"deadbytes").Result(); err != nil {
			return nil, t.s.fault(err)
		}
	}
	byDest := make(map[string]int64, len(counted))
	for dest, n := range counted {
		byDest[dest] = asInt(n)
	}
	return byDest, nil
}

// deadShedding applies the bound in a shard: the tenants with most bytes lose their oldest dead letters, over all their
// destinations.
type deadShedding struct {
	*shedding
	*trimming
	sh     *shard
	levels map[string]int64
	heads  []deadHead // of destinations that may lose some, those with the oldest dead letter first
}

// deadHead is when the oldest dead letter of a destination ended.
type deadHead struct {
	dest string
	at   float64
}

// deadLetter is one of the oldest dead letters of a destination.
type deadLetter struct {
	letterRef
	at   float64
	owed *goredis.StringCmd
}

// mustLose reports whether a destination's tenant is above its level.
func (d *deadShedding) mustLose(dest string) bool {
	tenant := tenantOf(dest)
	level, ok := d.levels[tenant]
	return ok && d.used[tenant] > level
}

// readHeads reads when the oldest dead letters of destinations ended, and puts them among the heads.
func (d *deadShedding) readHeads(dests []string) error {
	if d.levels == nil {
		d.levels = map[string]int64{}
		for _, o := range d.over {
			d.levels[o.Tenant] = o.Level
		}
	}
	dests = slices.DeleteFunc(dests, func(dest string) bool { return !d.mustLose(dest) })
	for some := range slices.Chunk(dests, headDests) {
		if err := d.goOn(); err != nil {
			return err
		}
		pipe := d.s.client.Pipeline()
		asked := make([]*goredis.ZSliceCmd, len(some))
		for i, dest := range some {
			asked[i] = pipe.ZRangeWithScores(d.ctx, d.sh.base+"dead:"+dest, 0, 0)
		}
		if err := d.s.exec(d.ctx, pipe); err != nil {
			return err
		}
		for i, cmd := range asked {
			for _, z := range cmd.Val() {
				d.heads = append(d.heads, deadHead{some[i], z.Score})
			}
		}
	}
	slices.SortFunc(d.heads, func(a, b deadHead) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.dest, b.dest)) })
	return nil
}

// dropOldest drops the oldest dead letters of the destinations with the oldest ones, and reports whether the bound is still exceeded.
func (d *deadShedding) dropOldest() (more bool, err error) {
	total, err := d.s.client.HGet(d.ctx, d.sh.base+"meta", "deadbytes").Int64()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return false, d.s.fault(err)
	}
	d.heads = slices.DeleteFunc(d.heads, func(h deadHead) bool { return !d.mustLose(h.dest) })
	over := total - d.bound
	if over <= 0 || len(d.heads) == 0 {
		return false, nil
	}
	oldest := d.heads[:min(len(d.heads), oldestDests)]
	letters, err := d.oldestLetters(oldest)
	if err != nil {
		return false, err
	}
	var args dropDeadArgs
	for _, l := range letters {
		if over <= 0 {
			break
		}
		if len(d.heads) > len(oldest) && l.at > d.heads[len(oldest)].at {
			break // another destination has older ones
		}
		if !d.mustLose(l.Dest) {
			continue
		}
		r := readerOf(l.owed.Val())
		r.Take(2)
		size := int64(r.big(4))
		over -= size
		d.used[tenantOf(l.Dest)] -= size
		args.Letters = append(args.Letters, l.letterRef)
	}
	got, err := dropDeadScript.run(d.ctx, d.s, d.sh.base, args)
	if err != nil {
		return false, err
	}
	d.done.Dead += int(asInt(got))
	dests := make([]string, len(oldest))
	for i, h := range oldest {
		dests[i] = h.dest
	}
	d.heads = slices.Delete(d.heads, 0, len(oldest))
	if err := d.readHeads(dests); err != nil {
		return false, err
	}
	return over > 0 && (asInt(got) > 0 || len(letters) == 0), nil // without letters, others dropped them meanwhile
}

// oldestLetters returns the oldest dead letters of some destinations, oldest first, as many as a slice may have.
func (d *deadShedding) oldestLetters(of []deadHead) (letters []deadLetter, err error) {
	pipe := d.s.client.Pipeline()
	asked := make([]*goredis.ZSliceCmd, len(of))
	for i, h := range of {
		asked[i] = pipe.ZRangeWithScores(d.ctx, d.sh.base+"dead:"+h.dest, 0, sliceEvents-1)
	}
	if err := d.s.exec(d.ctx, pipe); err != nil {
		return nil, err
	}
	for i, cmd := range asked {
		for _, z := range cmd.Val() {
			r := readerOf(asText(z.Member))
			n := r.big(8)
			letters = append(letters, deadLetter{letterRef: letterRef{of[i].dest, r.Rest, n}, at: z.Score})
		}
	}
	slices.SortFunc(letters, func(a, b deadLetter) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.N, b.N)) })
	letters = letters[:min(len(letters), sliceEvents)]
	if len(letters) == 0 {
		return nil, nil
	}
	pipe = d.s.client.Pipeline()
	for i := range letters {
		l := &letters[i]
		key, field := owedAt(d.sh, l.N, l.Suffix)
		l.owed = pipe.HGet(d.ctx, key, field)
	}
	return letters, d.s.exec(d.ctx, pipe)
}
