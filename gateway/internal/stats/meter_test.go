package stats

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Series of names that reloads removed leave, whose number only the number of reloads would limit. The sum stays, and a counter that
// somebody still has goes on in `other`.
func TestFormerSeriesLeave(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	round := 0
	public := func(l labels) bool { return l[1] == other || l[1][:2] == fmt.Sprintf("%02d", round) }
	h := counters(r, public, "test_total", "Help.", "destination", "verdict")
	total, most := 0, 0
	var first *Counter
	for ; round < 10; round++ {
		for i := range maxSeries {
			c := h.get(labels{"default", fmt.Sprintf("%02d-%d", round, i), "delivered"})
			c.Add(1)
			total++
			if round == 2 && i == 0 {
				first = c
			}
		}
		h.get(labels{"default", other, "delivered"}).Add(1)
		total++
		most = max(most, h.len())
	}
	first.Add(5)
	total += 5
	if most > 4*maxSeries {
		t.Errorf("there were %d series", most)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum, named := 0, map[string]bool{}
	for _, m := range families[0].Metric {
		sum += int(m.GetCounter().GetValue())
		named[m.Label[0].GetValue()] = true
	}
	if sum != total {
		t.Errorf("the series count %d of %d", sum, total)
	}
	if len(named) > 4*maxSeries || named["02-0"] || !named["09-0"] || !named[other] {
		t.Errorf("%d series; the former one is there: %t, the present one: %t", len(named), named["02-0"], named["09-0"])
	}
}

// A new series costs the same however many there are: the map of all is seldom made anew, and every series that is used gets into it.
func TestManySeries(t *testing.T) {
	t.Parallel()
	h := counters(prometheus.NewRegistry(), func(labels) bool { return true }, "test_total", "Help.", "destination", "verdict")
	seen, renewed := h.series.Load(), 0
	use := func(i int) {
		h.get(labels{"default", strconv.Itoa(i), "delivered"}).Add(1)
		if now := h.series.Load(); now != seen {
			seen, renewed = now, renewed+1
		}
	}
	const n = 10 * maxSeries
	for i := range n {
		use(i)
	}
	if renewed > 20 {
		t.Errorf("the map was made anew %d times for %d series", renewed, n)
	}
	for range n {
		use(n - 1)
	}
	if _, found := (*h.series.Load())[labels{"default", strconv.Itoa(n - 1), "delivered"}]; !found {
		t.Error("a series that is used all the time is still looked up with a lock")
	}
}

// Tenants that callers invent cannot make series without bound.
func TestInventedTenants(t *testing.T) {
	t.Parallel()
	s, _ := newStats(&store{})
	for i := range 2 * maxSeries {
		s.Source("t"+strconv.Itoa(i), ownSource).Accepted(1, start)
	}
	s.Source("default", ownSource).Accepted(3, start)
	if n := s.events.len(); n > maxSeries+8 {
		t.Errorf("%d series", n)
	}
	if _, apart := s.events.fresh[labels{"default", ownSource, "accepted"}]; !apart {
		if _, apart = (*s.events.series.Load())[labels{"default", ownSource, "accepted"}]; !apart {
			t.Error("what is published without a tenant is counted as other")
		}
	}
}

// Series that are made and used at the same time count everything.
func TestSeriesAtOnce(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	h := counters(r, func(labels) bool { return true }, "test_total", "Help.", "destination", "verdict")
	const n, users = 500, 4
	var wait sync.WaitGroup
	for range users {
		wait.Go(func() {
			for i := range n {
				for _, j := range []int{i, i / 2, 0} {
					h.get(labels{"default", strconv.Itoa(j), "delivered"}).Add(1)
				}
			}
		})
	}
	wait.Wait()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, m := range families[0].Metric {
		sum += int(m.GetCounter().GetValue())
	}
	if sum != 3*n*users || len(families[0].Metric) != n {
		t.Errorf("%d series count %d, instead of %d that count %d", len(families[0].Metric), sum, n, 3*n*users)
	}
}
