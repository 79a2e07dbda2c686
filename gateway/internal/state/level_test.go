package state

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLevel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		used   []int64
		excess int64
		level  int64
		ok     bool
	}{
		{[]int64{100}, 40, 60, false},
		{[]int64{100, 10}, 40, 60, true},
		{[]int64{100, 80, 10}, 40, 70, true},
		{[]int64{100, 80, 75, 10}, 60, 65, true},
		{[]int64{100, 80}, 60, 60, false},
		{[]int64{5, 5, 5}, 1, 4, false},
		{[]int64{5}, 9, 0, false},
		{nil, 9, 0, false},
	} {
		if level, ok := Level(c.used, c.excess); level != c.level || ok != c.ok {
			t.Errorf("Level(%v, %d) is %d, %v, want %d, %v", c.used, c.excess, level, ok, c.level, c.ok)
		}
	}
}

// What is left is no more than the bound and less than it by a rounding, and a tenant's equal part is its own.
func TestLevelFillsTheBound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		used := make([]int64, 1+r.IntN(20))
		var total int64
		for i := range used {
			used[i] = 1 + r.Int64N(1000)
			total += used[i]
		}
		slices.Sort(used)
		slices.Reverse(used)
		bound := r.Int64N(total)
		level, _ := Level(used, total-bound)
		var left int64
		for _, n := range used {
			left += min(n, level)
		}
		if left > bound || left < bound-int64(len(used)) {
			t.Fatalf("%v with a bound of %d: %d are left at level %d", used, bound, left, level)
		}
		if level < bound/int64(len(used)) {
			t.Fatalf("%v with a bound of %d: level %d is below the equal part", used, bound, level)
		}
	}
}
