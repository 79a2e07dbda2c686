package state

// Level divides a bound that all tenants share. used is the usage of the tenants, largest first; excess is by how much all
// of them together exceed the bound. A tenant above the returned level is cut down to it, all others keep everything. So
// only the largest tenants pay, and a tenant within its equal part of the bound never loses anything.
//
// used may be the beginning of the whole list. ok is false if Level needs more of the list: the level may then lie below
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
