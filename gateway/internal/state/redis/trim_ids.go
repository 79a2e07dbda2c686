package redis

import (
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// splitIDsArgs are the arguments of splitids.lua.
type splitIDsArgs struct {
	Age  int64 // microseconds; 0: no bound
	Most int
}

// trimIDsArgs are the arguments of trimids.lua.
type trimIDsArgs struct {
	Age    int64 // microseconds; 0: no bound
	Most   int
	Levels []tenantLevel
}

// ids forgets IDs of events that were removed.
func (t *trimming) ids() error {
	if t.r.Dedupe == (state.Bound{}) {
		return nil
	}
	s, age := t.s, t.r.Dedupe.Age.Microseconds()
	if err := t.inEach(func(_ int, sh *shard) error {
		return t.slices(func() (bool, error) {
			got, err := splitIDsScript.run(t.ctx, s, sh.base, splitIDsArgs{age, sliceList})
			if err != nil {
				return false, err
			}
			n := asList(got)
			t.done.Dedupe += int(asInt(n[0]))
			t.done.Moved += int(asInt(n[1]))
			return asInt(n[2]) == 1, nil
		})
	}); err != nil {
		return err
	}
	sums, err := t.measure()
	if err != nil {
		return err
	}
	most := int64(0)
	if t.r.Dedupe.Bytes > 0 {
		most = max(t.r.Dedupe.Bytes/s.idSize(), 1)
	}
	for i := range sums {
		if sums[i].former > 0 {
			most = 0 // some are not yet in the lists of their tenants: the next call continues
		}
	}
	plans, err := t.plan(most, sums, func(m *inShard) int64 { return m.ids }, t.ranked("idcount"))
	if err != nil {
		return err
	}
	return t.inEach(func(i int, sh *shard) error {
		half := t.budget / 2
		forget := func(levels []tenantLevel) error {
			return t.slices(func() (bool, error) {
				got, err := trimIDsScript.run(t.ctx, s, sh.base, trimIDsArgs{age, sliceList, levels})
				if err != nil {
					return false, err
				}
				t.done.Dedupe += int(asInt(asList(got)[0]))
				return asInt(asList(got)[1]) == 1, nil
			})
		}
		if t.r.Dedupe.Age > 0 {
			if err := t.within(half, func() error { return forget(nil) }); err != nil {
				return err
			}
		}
		return t.within(half, func() error {
			for some := range slices.Chunk(plans[i].over, shedTenants) {
				if err := forget(some); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// idSize returns the memory for recognising one ID, with its route if there are several shards.
func (s *store) idSize() int64 {
	if len(s.shards) > 1 {
		return 2 * idBytes
	}
	return idBytes
}
