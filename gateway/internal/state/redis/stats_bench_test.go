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
	names := make([]string, 50)
	var counts []state.Count
	for i := range names {
		names[i] = fmt.Sprintf("wh_%016x", i)
		counts = append(counts, busyCount(acme, names[i], now))
	}
	alwaysActive(b, s, now, counts...)
	for _, x := range []struct {
		what string
		q    state.CountQuery
	}{
		{"one/24h-by-minute", state.CountQuery{Names: names[:1], Step: state.ByMinute}},
		{"one/30d-by-hour", state.CountQuery{Names: names[:1], Step: state.ByHour}},
		{"one/400d-by-day", state.CountQuery{Names: names[:1], Step: state.ByDay}},
		{"fifty/24h-by-hour", state.CountQuery{Names: names, Step: state.ByHour, Since: now.Add(-24 * time.Hour)}},
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

// BenchmarkMemoryOfStatistics prints the memory of one destination that never rests, by how busy it is: with the counts of a minute
// (one day's are 1,440 times as many) and their spread. It does not depend on b.N.
func BenchmarkMemoryOfStatistics(b *testing.B) {
	for _, times := range []int64{1, 60, 1440} {
		srv := start(b)
		s := gate(b, srv.url())
		now := time.Now()
		c := busyCount(acme, "wh_0000000000000000", now)
		for i := range c.Counts {
			c.Counts[i] *= times
		}
		for _, l := range []state.Latencies{c.Took, c.Age} {
			for i := range l {
				l[i].N *= times
			}
		}
		if times > 1 { // many events spread more
			for i := range 8 {
				c.Took = append(c.Took, state.LatencyCount{Bucket: uint8(32 + i), N: 5 * times})
				c.Age = append(c.Age, state.LatencyCount{Bucket: uint8(34 + i), N: 5 * times})
			}
		}
		alwaysActive(b, s, now, c)
		var sum int64
		for _, key := range statKeys(srv) {
			sum += asInt(srv.do("MEMORY", "USAGE", key, "SAMPLES", "0"))
		}
		b.ReportMetric(float64(sum), fmt.Sprintf("B/x%d", times))
		b.ReportMetric(float64(len(state.AppendCount(nil, &c))), fmt.Sprintf("cell-B/x%d", times))
	}
}
