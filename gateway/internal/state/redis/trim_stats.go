package redis

import (
	"cmp"
	"context"
	"maps"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Statistics expire by themselves. If they exceed their bound in bytes, the largest tenants lose minutes, the oldest hours first, until
// they are at the level of all others (state.Level); then hours, and days at last.
// dropThings is how many hashes of cells one script removes.
const dropThings = 256

// dropCountsArgs are the arguments of dropcounts.lua.
type dropCountsArgs struct {
	Tenant, Period string
	Bytes          int64 // that are no longer counted; 0: other things are still to be removed
	Things         []string
}

// statUse is how many bytes of statistics a shard has in a period.
type statUse struct {
	step   state.StatStep
	period string
	bytes  int64
}

// statUses returns the bytes of statistics that each shard has, the finest step first, and of a step the oldest period first.
func (s *store) statUses(ctx context.Context) ([][]statUse, error) {
	now := s.clock.Now()
	all := make([][]statUse, len(s.shards))
	var asked []*goredis.StringCmd
	pipe := s.client.Pipeline()
	for i, sh := range s.shards {
		for _, step := range state.StatSteps {
			from, _ := step.Cell(now.Add(-step.Kept()))
			to, _ := step.Cell(now)
			for n := from; n <= to+1; n++ { // the clock of another replica may be ahead
				period := statPeriod(step, n)
				all[i] = append(all[i], statUse{step: step, period: period})
				asked = append(asked, pipe.HGet(ctx, sh.base+statBytes(period), ""))
			}
		}
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	for _, uses := range all {
		for i := range uses {
			uses[i].bytes = asInt(asked[0].Val())
			asked = asked[1:]
		}
	}
	return all, nil
}

func sumOf(uses []statUse) (bytes int64) {
	for _, u := range uses {
		bytes += u.bytes
	}
	return bytes
}

// counts bounds the bytes of statistics. Each shard gets the part of the bound that it has of the statistics.
func (t *trimming) counts() error {
	if t.r.Stats <= 0 {
		return nil
	}
	uses, err := t.s.statUses(t.ctx)
	if err != nil {
		return err
	}
	all := make([]*inShard, len(uses))
	for i := range uses {
		all[i] = &inShard{sh: t.s.shards[i], bytes: sumOf(uses[i])}
	}
	for i, part := range shares(t.r.Stats, all, func(m *inShard) int64 { return m.bytes }) {
		over := all[i].bytes - part
		for step := range slices.Values(state.StatSteps[:]) {
			if part <= 0 || over <= 0 {
				break
			}
			of := slices.DeleteFunc(slices.Clone(uses[i]), func(u statUse) bool { return u.step != step })
			freed, err := t.shrinkCounts(all[i].sh, of, over)
			if err != nil {
				return err
			}
			over -= freed
		}
	}
	return nil
}

// shrinkCounts removes statistics of one step from the largest tenants of a shard, their oldest first.
func (t *trimming) shrinkCounts(sh *shard, uses []statUse, over int64) (freed int64, err error) {
	pipe := t.s.client.Pipeline()
	var asked []*goredis.MapStringStringCmd
	for _, u := range uses {
		asked = append(asked, pipe.HGetAll(t.ctx, sh.base+statBytes(u.period)))
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return 0, err
	}
	by := map[string]int64{}
	for _, a := range asked {
		for tenant, bytes := range a.Val() {
			if tenant != "" {
				by[tenant] += asInt(bytes)
			}
		}
	}
	tenants := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b)) })
	sizes := make([]int64, len(tenants))
	for i, tenant := range tenants {
		sizes[i] = by[tenant]
	}
	level, _ := state.Level(sizes, over)
	for _, tenant := range tenants {
		if by[tenant] <= level {
			break
		}
		things, err := t.statThings(sh, tenant)
		if err != nil {
			return freed, err
		}
		for i, u := range uses {
			bytes := asInt(asked[i].Val()[tenant])
			if bytes <= 0 || by[tenant] <= level {
				continue
			}
			if t.budget <= 0 {
				t.done.More = true
				return freed, nil
			}
			t.budget -= (len(things) + dropThings - 1) / dropThings
			if err := t.dropCounts(sh, tenant, u.period, bytes, things); err != nil {
				return freed, err
			}
			by[tenant] -= bytes
			freed += bytes
			t.done.Stats++
		}
	}
	return freed, nil
}

// statThings returns all that a tenant may have statistics of, as in keys.
func (t *trimming) statThings(sh *shard, tenant string) ([]string, error) {
	pipe := t.s.client.Pipeline()
	var asked []*goredis.StringSliceCmd
	for _, kind := range state.StatKinds {
		asked = append(asked, pipe.ZRange(t.ctx, sh.base+statNames(unescape(tenant), kind), 0, -1))
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return nil, err
	}
	var things []string
	for i, kind := range state.StatKinds {
		for _, name := range append(asked[i].Val(), "", state.OtherName) {
			things = append(things, statThing(kind, name))
		}
	}
	return things, nil
}

func (t *trimming) dropCounts(sh *shard, tenant, period string, bytes int64, things []string) error {
	for len(things) > 0 {
		n := min(len(things), dropThings)
		args := dropCountsArgs{Tenant: tenant, Period: period, Things: things[:n]}
		if things = things[n:]; len(things) == 0 {
			args.Bytes = bytes
		}
		if err := t.goOn(); err != nil {
			return err
		}
		if _, err := dropCountsScript.run(t.ctx, t.s, sh.base, args); err != nil {
			return err
		}
	}
	return nil
}

// formerStatsArgs are the arguments of formerstats.lua.
type formerStatsArgs struct {
	Tenant string
	Before int64 // microseconds
	Most   int
}

const (
	formerTenants = 20
	formerMinutes = 1000
)

// minutes removes statistics that former versions kept, once they are older than history. They are read no more. Each call takes
// some tenants at random; a tenant leaves with its last minute.
func (t *trimming) minutes() error {
	if t.r.History.Age <= 0 {
		return nil
	}
	s := t.s
	tenants, err := s.client.SRandMemberN(t.ctx, s.meta+"tenants", formerTenants).Result()
	if err != nil {
		return s.fault(err)
	}
	before := s.clock.Now().Add(-t.r.History.Age).UnixMicro()
	for _, tenant := range tenants {
		if _, err := formerStatsScript.run(t.ctx, s, s.meta, formerStatsArgs{tenant, before, formerMinutes}); err != nil {
			return err
		}
	}
	return nil
}
