package embedded

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// busyCount is a minute, hour or day of a destination that delivers a few events each second.
func busyCount(name string, at time.Time) state.Count {
	c := state.Count{Tenant: "acme", Kind: state.DestinationStats, Name: name, At: at}
	c.Counts[state.AttemptsDelivered], c.Counts[state.AttemptsRetry], c.Counts[state.EndedDelivered] = 240, 3, 238
	for i := range 8 {
		c.Took = append(c.Took, state.LatencyCount{Bucket: uint8(24 + i), N: int64(60 - 6*i)})
		c.Age = append(c.Age, state.LatencyCount{Bucket: uint8(26 + i), N: int64(60 - 6*i)})
	}
	return c
}

// BenchmarkAddCounts adds a minute of 500 destinations, each to its minute, hour and day.
func BenchmarkAddCounts(b *testing.B) {
	s := benchStore(b)
	now := time.Now().Truncate(time.Hour)
	all := make([]state.Count, 500)
	for i := range all {
		all[i] = busyCount(fmt.Sprintf("wh_%016x", i), now)
	}
	report := cpu(b)
	for n := 0; b.Loop(); n++ {
		for i := range all {
			all[i].At = now.Add(-time.Duration(n%30) * time.Minute)
		}
		if left, err := s.AddCounts(b.Context(), all); err != nil || len(left) > 0 {
			b.Fatalf("%v, %d left", err, len(left))
		}
	}
	report()
}

// BenchmarkCounts reads what pages show, of destinations that never rest.
func BenchmarkCounts(b *testing.B) {
	s := benchStore(b)
	now := time.Now()
	names := make([]string, scaled(50))
	for i := range names {
		names[i] = fmt.Sprintf("wh_%016x", i)
		var all []state.Count
		for k, step := range state.StatSteps {
			for at := now; now.Sub(at) < step.Kept(); at = at.Add(-step.Length()) {
				if k == 0 || now.Sub(at) >= state.StatSteps[k-1].Kept() { // else it has counts already
					all = append(all, busyCount(names[i], at))
				}
			}
		}
		if left, err := s.AddCounts(b.Context(), all); err != nil || len(left) > 0 {
			b.Fatalf("%v, %d left", err, len(left))
		}
	}
	b.Logf("%d bytes a destination", s.countBytes.Load()/int64(len(names)))
	for _, x := range []struct {
		what string
		q    state.CountQuery
	}{
		{"one/24h-by-minute", state.CountQuery{Names: names[:1], Step: state.ByMinute}},
		{"one/30d-by-hour", state.CountQuery{Names: names[:1], Step: state.ByHour}},
		{"one/400d-by-day", state.CountQuery{Names: names[:1], Step: state.ByDay}},
		{"all/24h-by-hour", state.CountQuery{Names: slices.Clone(names), Step: state.ByHour, Since: now.Add(-24 * time.Hour)}},
	} {
		b.Run(x.what, func(b *testing.B) {
			x.q.Kind = state.DestinationStats
			var n int
			report := cpu(b)
			for b.Loop() {
				got, err := s.Counts(b.Context(), "acme", x.q)
				if err != nil {
					b.Fatal(err)
				}
				n = len(got)
			}
			report()
			b.ReportMetric(float64(n), "counts")
		})
	}
}
