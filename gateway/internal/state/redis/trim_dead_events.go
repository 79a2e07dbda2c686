package redis

// dropEventsArgs are the arguments of dropevents.lua.
type dropEventsArgs struct {
	Age     int64 // microseconds
	Most    int
	Tenants []string // escaped
}

// deadEvents removes events from the dead letters by age, of some tenants at a time. A tenant with more than fit into a slice
// continues in the next round, so that it keeps no other from its turn.
func (t *trimming) deadEvents() error {
	if t.r.Dead.Age <= 0 {
		return nil
	}
	return t.inTurn("gone", "tenants", func(sh *shard, tenants []string) ([]string, error) {
		for len(tenants) > 0 && t.budget > 0 {
			t.budget--
			if err := t.goOn(); err != nil {
				return tenants, err
			}
			got, err := dropEventsScript.run(t.ctx, t.s, sh.base, dropEventsArgs{atLeastOne(t.r.Dead.Age), sliceEvents, tenants})
			if err != nil {
				return tenants[1:], err
			}
			n := asList(got)
			t.done.Dead += int(asInt(n[0]))
			tenants = tenants[asInt(n[1]):]
			if asInt(n[2]) == 1 {
				t.done.More = true
			}
		}
		return tenants, nil
	})
}
