package tenantmap

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// TestChange compares a map with a plain one through many changes, and looks that earlier maps stay as they were.
func TestChange(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var m Map[int]
	want := map[string]int{}
	type moment struct {
		m    Map[int]
		want map[string]int
	}
	var all []moment
	for i := range 300 {
		m = m.Change(func(set func(string, int), remove func(string)) {
			for range random.IntN(5) {
				tenant := fmt.Sprint("t", random.IntN(400))
				if random.IntN(3) == 0 {
					remove(tenant)
					delete(want, tenant)
				} else {
					set(tenant, i)
					want[tenant] = i
				}
			}
		})
		all = append(all, moment{m, maps.Clone(want)})
	}
	for _, each := range all {
		if got := maps.Collect(each.m.All()); !maps.Equal(got, each.want) || each.m.Len() != len(each.want) {
			t.Fatalf("%d tenants, want %d", each.m.Len(), len(each.want))
		}
		for tenant, v := range each.want {
			if each.m.Get(tenant) != v {
				t.Fatalf("%s: %d, want %d", tenant, each.m.Get(tenant), v)
			}
		}
	}
}

func BenchmarkChange(b *testing.B) {
	for _, tenants := range []int{1000, 10_000} {
		m := Map[*int]{}.Change(func(set func(string, *int), _ func(string)) {
			for i := range tenants {
				set(fmt.Sprint("tenant", i), new(int))
			}
		})
		b.Run(fmt.Sprint(tenants), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Change(func(set func(string, *int), _ func(string)) { set("tenant5", nil) })
			}
		})
	}
}
