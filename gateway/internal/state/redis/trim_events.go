package redis

import (
	"cmp"
	"maps"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A bound that all tenants share takes from the tenants that have most (state.Level). The stream can only be trimmed from its
// oldest entry on. So an older event of another tenant is moved to that tenant's share, a stream of its own. It is removed from
// there when it is too old or when its tenant has most.

const (
	countBudget  = 200  // slices of counting in one Trim
	usedChunk    = 1000 // tenants read in one command
	shedTenants  = 16   // tenants in one call of trimshares.lua
	namedTenants = 128  // tenants with a level in one call of trim.lua
	everybody    = "-"  // as trimArgs.Rest: every tenant has more than its level
)

// retainArgs are the arguments of trim.lua and trimshares.lua that retain.lua takes. Ages are microseconds; 0: no bound.
type retainArgs struct {
	Age, Bound, IDAge int64 // Bound: bytes of events in the shard
	Most              int   // events
}

// trimArgs are the arguments of trim.lua.
type trimArgs struct {
	retainArgs
	Rest   string // the level of tenants that have none
	Levels []tenantLevel
}

// trimSharesArgs are the arguments of trimshares.lua.
type trimSharesArgs struct {
	retainArgs
	Levels []tenantLevel
}

// countArgs are the arguments of count.lua.
type countArgs struct{ Most int }

// formerHoldersArgs are the arguments of formerholders.lua.
type formerHoldersArgs struct {
	DeadAfter int64 // microseconds
}

// setFieldArgs are the arguments of setfield.lua.
type setFieldArgs struct{ Hash, Name, Value string }

// shedding is what one shard must remove for a bound that all tenants share.
type shedding struct {
	bound int64         // what the shard may keep; 0: nothing is removed
	over  []tenantLevel // tenants above their level, those with most first
	rest  string        // the level of all others, if it is known
	used  map[string]int64
}

// plan returns what each shard must remove for a bound: tenants are reduced to one level over all shards, in each shard by
// its part of their data.
func (t *trimming) plan(bound int64, sums []*inShard, of func(*inShard) int64, usedIn func(*shard) (map[string]int64, error)) ([]shedding, error) {
	plans := make([]shedding, len(sums))
	if bound <= 0 || sum(sums, of) <= bound {
		return plans, nil
	}
	all := map[string]int64{}
	for i := range sums {
		var err error
		if plans[i].used, err = usedIn(sums[i].sh); err != nil {
			return nil, err
		}
		for tenant, n := range plans[i].used {
			all[tenant] += n
		}
	}
	// Data that was removed while the tenants were read does not exceed the bound: the smaller excess counts.
	later, err := t.measure()
	if err != nil {
		return nil, err
	}
	total := min(sum(sums, of), sum(later, of))
	if total <= bound {
		return make([]shedding, len(sums)), nil
	}
	largest := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(a, b))
	})
	used := make([]int64, len(largest))
	for i, tenant := range largest {
		used[i] = all[tenant]
	}
	level, _ := state.Level(used, total-bound)
	for i := range plans {
		p := &plans[i]
		p.bound = of(sums[i])
		for _, tenant := range largest {
			if all[tenant] <= level {
				break
			}
			if n := p.used[tenant]; n > 0 {
				part := int64(float64(n) / float64(all[tenant]) * float64(level))
				p.over = append(p.over, tenantLevel{tenant, part})
				p.bound -= n - part
			}
		}
		p.bound = max(p.bound, 1) // 0 would be no bound
		if len(plans) == 1 {
			p.rest = text(uint64(level))
		}
	}
	return plans, nil
}

func sum(all []*inShard, of func(*inShard) int64) (n int64) {
	for i := range all {
		n += of(all[i])
	}
	return n
}

// ranked returns a function that reads what tenants have in a shard.
func (t *trimming) ranked(key string) func(*shard) (map[string]int64, error) {
	return func(sh *shard) (map[string]int64, error) { return t.ranks(sh.base + key) }
}

func (t *trimming) ranks(key string) (map[string]int64, error) {
	all := map[string]int64{}
	for from := int64(0); ; from += usedChunk {
		some, err := t.s.client.ZRevRangeWithScores(t.ctx, key, from, from+usedChunk-1).Result()
		if err != nil {
			return nil, t.s.fault(err)
		}
		for _, z := range some {
			if z.Score > 0 {
				all[asText(z.Member)] = int64(z.Score)
			}
		}
		if len(some) < usedChunk {
			return all, nil
		}
	}
}

// events removes events by age and bytes.
func (t *trimming) events() error {
	counted, err := t.count()
	if err != nil {
		return err
	}
	sums, err := t.measure()
	if err != nil {
		return err
	}
	plans, err := t.planEvents(counted, sums)
	if err != nil {
		return err
	}
	return t.inEach(func(i int, _ *shard) error { return t.shardEvents(sums[i], &plans[i]) })
}

func (t *trimming) planEvents(counted bool, sums []*inShard) ([]shedding, error) {
	all := func(m *inShard) int64 { return m.bytes }
	if counted {
		plans, err := t.plan(t.r.Events.Bytes, sums, all, t.ranked("used"))
		if err != nil {
			return nil, err
		}
		tenants, over := map[string]bool{}, false
		for i := range plans {
			over = over || plans[i].bound > 0
			for tenant := range plans[i].used {
				tenants[tenant] = true
			}
		}
		if !over {
			return plans, nil
		}
		if len(tenants) == 1 {
			for i := range plans {
				plans[i].rest = everybody
			}
			return plans, nil
		}
		may, begins, err := t.mayShare()
		if begins || err != nil {
			return make([]shedding, len(sums)), err
		}
		if may {
			return plans, nil
		}
	}
	// What tenants have is soon counted, and replicas of a former version soon end. If that takes long, the oldest events are
	// removed, of any tenant.
	plans := make([]shedding, len(sums))
	for i, part := range shares(t.r.Events.Bytes/8*9, sums, all) {
		plans[i] = shedding{bound: part, rest: everybody}
	}
	return plans, nil
}

// mayShare reports whether events may be moved to shares. A former version does not find them there, and would remove their
// deliveries from the due-queue. So no replica of one may be alive, and the layout keeps others from starting. begins means
// that the layout was just written: the next call checks again for replicas that started before.
func (t *trimming) mayShare() (may, begins bool, err error) {
	s := t.s
	for _, sh := range s.shards {
		got, err := formerHoldersScript.run(t.ctx, s, sh.base, formerHoldersArgs{deadAfter.Microseconds()})
		if err != nil || asInt(got) > 0 {
			return false, false, err
		}
	}
	version, err := s.client.HGet(t.ctx, s.meta+"layout", "version").Result()
	if err != nil || version == sharedLayout {
		return err == nil, false, s.fault(err)
	}
	if _, err := setFieldScript.run(t.ctx, s, s.meta, setFieldArgs{"layout", "version", sharedLayout}); err != nil {
		return false, false, err
	}
	t.done.More = true // the next call moves events
	return false, true, nil
}

// count counts what tenants have, if a former version did not, and reports whether it is known.
func (t *trimming) count() (known bool, err error) {
	budget := countBudget
	known = true
	for _, sh := range t.s.shards {
		state := int64(2)
		for state == 2 && budget > 0 {
			if err := t.s.check(t.ctx); err != nil {
				return false, err
			}
			got, err := countScript.run(t.ctx, t.s, sh.base, countArgs{sliceEvents})
			if err != nil {
				return false, err
			}
			if state = asInt(got); state == 2 {
				if budget--; budget == 0 {
					t.done.More = true
				}
			}
		}
		known = known && state == 1
	}
	return known, nil
}

// shardEvents removes a shard's events: those in shares that are too old, those in shares of the largest tenants, and those in
// the stream. Each has slices of its own.
func (t *trimming) shardEvents(m *inShard, p *shedding) error {
	s, sh := t.s, m.sh
	left := m.bytes // events appended since the measurement are left to the next call
	bounds := func() retainArgs {
		args := retainArgs{t.r.Events.Age.Microseconds(), p.bound, t.r.Dedupe.Age.Microseconds(), sliceEvents}
		if left <= p.bound {
			args.Bound = 0
		}
		return args
	}
	ended := func(got any, err error) ([]any, error) {
		if err != nil {
			return nil, err
		}
		n := asList(got)
		t.done.Events += int(asInt(n[0]))
		t.done.Kept += int(asInt(n[1]))
		t.done.Dedupe += int(asInt(n[2]))
		left -= asInt(n[len(n)-1])
		return n, nil
	}
	slices4 := t.budget / 4
	if t.r.Events.Age > 0 {
		if err := t.within(slices4, func() error {
			return t.slices(func() (bool, error) {
				n, err := ended(trimSharesScript.run(t.ctx, s, sh.base, trimSharesArgs{retainArgs: bounds()}))
				return err == nil && asInt(n[3]) == 1, err
			})
		}); err != nil {
			return err
		}
	}
	if err := t.within(slices4, func() error {
		over, err := t.withShare(sh, p.over)
		for some := range slices.Chunk(over, shedTenants) {
			if err == nil {
				err = t.slices(func() (bool, error) {
					n, err := ended(trimSharesScript.run(t.ctx, s, sh.base, trimSharesArgs{bounds(), some}))
					return err == nil && asInt(n[3]) == 1, err
				})
			}
		}
		return err
	}); err != nil {
		return err
	}
	if err := t.pack(sh); err != nil {
		return err
	}
	levels := p.over[:min(len(p.over), namedTenants)]
	return t.within(2*slices4, func() error {
		return t.slices(func() (bool, error) {
			n, err := ended(trimScript.run(t.ctx, s, sh.base, trimArgs{bounds(), p.rest, levels}))
			if err != nil {
				return false, err
			}
			t.done.Moved += int(asInt(n[4]))
			return asInt(n[3]) == 1, nil
		})
	})
}

// withShare returns the tenants whose share has events.
func (t *trimming) withShare(sh *shard, over []tenantLevel) (some []tenantLevel, err error) {
	for chunk := range slices.Chunk(over, usedChunk) {
		names := make([]string, len(chunk))
		for i, o := range chunk {
			names[i] = o.Tenant
		}
		sizes, err := t.s.client.HMGet(t.ctx, sh.base+"sharebytes", names...).Result()
		if err != nil {
			return nil, t.s.fault(err)
		}
		for i, size := range sizes {
			if size != nil {
				some = append(some, chunk[i])
			}
		}
	}
	return some, nil
}
