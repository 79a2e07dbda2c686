package state

// Level divides a bound that all tenants share. Used is what tenants have, largest first; excess is how much all of them
// have over the bound. Who has more than the level is brought down to it, and all others keep everything: so the bound is
// reached by the largest alone, and a tenant with no more than its equal part of the bound never loses anything.
//
// Used may be a beginning of the whole list. Level says false where it needs more of it: the level it found may lie below
// tenants that were not given.
func Level(used []int64, excess int64) (level int64, ok bool) {
	var sum int64
	for i, n := range used {
		sum += n
		level = max((sum-excess)/int64(i+1), 0)
		if i+1 < len(used) && level >= used[i+1] {
			return level, true
		}
	}
	return level, false
}
