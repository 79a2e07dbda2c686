package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// BenchmarkAddCounts adds a minute of 500 destinations, each to its minute, hour and day.
func BenchmarkAddCounts(b *testing.B) {
	srv, s := benchStore(b)
	now := time.Now().Truncate(time.Hour)
	all := make([]state.Count, 500)
	for i := range all {
		all[i] = busyCount(acme, fmt.Sprintf("wh_%016x", i), now)
	}
	m := begin(b, srv, s)
	for n := 0; b.Loop(); n++ {
		for i := range all {
			all[i].At = now.Add(-time.Duration(n%30) * time.Minute)
		}
		if left, err := s.AddCounts(b.Context(), all); err != nil || len(left) > 0 {
			b.Fatalf("%v, %d left", err, len(left))
		}
	}
	m.end("memory-B/op")
}

// BenchmarkCounts reads what pages show, of destinations that never rest.
func BenchmarkCounts(b *testing.B) {
	srv, s := benchStore(b)
	now := time.Now()
	names := make([]string, scaled(50))
	for i := range names {
		names[i] = fmt.Sprintf("wh_%016x", i)
		alwaysActive(b, s, now, func(state.StatStep) state.Count { return busyCount(acme, names[i], now) })
	}
	for _, x := range []struct {
		what string
		q    state.CountQuery
	}{
		{"one/24h-by-minute", state.CountQuery{Names: names[:1], Step: state.ByMinute}},
		{"one/30d-by-hour", state.CountQuery{Names: names[:1], Step: state.ByHour}},
		{"one/400d-by-day", state.CountQuery{Names: names[:1], Step: state.ByDay}},
		{"all/24h-by-hour", state.CountQuery{Names: names, Step: state.ByHour, Since: now.Add(-24 * time.Hour)}},
	} {
		b.Run(x.what, func(b *testing.B) {
			x.q.Kind = state.DestinationStats
			var n int
			m := begin(b, srv, s)
			for b.Loop() {
				got, err := s.Counts(b.Context(), acme, x.q)
				if err != nil {
					b.Fatal(err)
				}
				n = len(got)
			}
			m.end("memory-B/op")
			b.ReportMetric(float64(n), "counts")
		})
	}
}

// BenchmarkMemoryOfStatistics prints the memory of one destination's statistics, by how many events it has a minute, all the time; 0: a
// few events every third hour. It does not depend on b.N.
func BenchmarkMemoryOfStatistics(b *testing.B) {
	loads := []int{0, 1, 10, 100, 1000, 100_000}
	if testing.Short() {
		loads = loads[:2]
	}
	for _, n := range loads {
		srv := start(b)
		s := gate(b, srv.url())
		now := time.Now()
		if n > 0 {
			alwaysActive(b, s, now, eventsAMinute("wh_0000000000000000", n))
		} else {
			few := eventsAMinute("wh_0000000000000000", 5)
			var all []state.Count
			for at := now; now.Sub(at) < state.ByDay.Kept(); at = at.Add(-3 * time.Hour) {
				c := few(state.ByMinute)
				c.At = at
				all = append(all, c)
			}
			addCounts(b, s, all)
		}
		by, unpacked := statMemory(srv)
		b.ReportMetric(float64(by["m"]+by["h"]+by["d"]), fmt.Sprintf("B/%d-a-minute", n))
		b.ReportMetric(float64(unpacked), fmt.Sprintf("unpacked/%d-a-minute", n))
	}
}
