package embedded

import (
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// BenchmarkTrimRound measures a round of retention over 10,000 destinations: one in which nothing is to be removed, and one in
// which a delivery of each destination becomes overdue.
func BenchmarkTrimRound(b *testing.B) {
	destinations := scaled(10_000)
	for name, age := range map[string]time.Duration{"nothing": 1000 * time.Hour, "overdue": time.Nanosecond} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b)
			waitingDeliveries(b, s, destinations, destinations)
			r := state.Retention{
				Events: state.Bound{Age: 1000 * time.Hour, Bytes: 1 << 40}, Dedupe: state.Bound{Age: 1000 * time.Hour, Bytes: 1 << 40},
				History: state.HistoryBound{Age: 1000 * time.Hour, PerDestination: 10_000}, Dead: state.Bound{Age: 1000 * time.Hour, Bytes: 1 << 40},
				Waiting: state.WaitingBound{Age: age, Count: 100_000, Bytes: 1 << 40},
			}
			calls, longest := 0, time.Duration(0)
			b.ResetTimer()
			for range b.N { // only the first removes something
				for more := true; more; calls++ {
					began := time.Now()
					done, err := s.Trim(b.Context(), r)
					if err != nil {
						b.Fatal(err)
					}
					longest, more = max(longest, time.Since(began)), done.More
				}
			}
			b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
			b.ReportMetric(float64(longest.Microseconds())/1000, "longest-call-ms")
		})
	}
}
