package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// owingMany commits deliveries of acme to many destinations, and returns when the last of them was created.
func owingMany(tb testing.TB, s *store, n int, st state.DeliveryState) {
	tb.Helper()
	const each = 500
	for from := 0; from < n; from += each {
		events := eventsOf(tb, acme, fmt.Sprint("m", time.Now().UnixNano(), "-"), 1)
		if _, err := s.Append(tb.Context(), events); err != nil {
			tb.Fatal(err)
		}
		c := hold(tb, s, 1)[0]
		var all []state.Delivery
		for i := from; i < min(from+each, n); i++ {
			d := owing(c, st, time.Now().Add(1000*time.Hour))
			d.ID = state.JoinDeliveryID(c.Event.ID, fmt.Sprintf("%013d", i))
			d.Step, d.Destination, d.Created = fmt.Sprintf("d%06d", i), fmt.Sprintf("d%06d", i), time.Now()
			all = append(all, d)
		}
		commit(tb, s, decided(c, all...))
	}
}

var idle = state.Retention{
	Events: state.Bound{Age: 1000 * time.Hour, Bytes: 1 << 40}, Dedupe: state.Bound{Age: 1000 * time.Hour, Bytes: 1 << 40},
	History: state.HistoryBound{Age: 1000 * time.Hour, PerDestination: 10_000}, Dead: state.Bound{Age: 1000 * time.Hour, Bytes: 1 << 40},
	Waiting: state.WaitingBound{Age: 1000 * time.Hour, Count: 100_000, Bytes: 1 << 40},
}

// round trims as the gateway does, without pauses, and returns the calls and the longest of them.
func round(tb testing.TB, s *store, r state.Retention, pause func(took time.Duration)) (calls int, longest time.Duration) {
	tb.Helper()
	for {
		began := time.Now()
		done, err := s.Trim(tb.Context(), r)
		if err != nil {
			tb.Fatal(err)
		}
		took := time.Since(began)
		calls, longest = calls+1, max(longest, took)
		if !done.More {
			return calls, longest
		}
		if pause != nil {
			pause(took)
		}
	}
}

// BenchmarkTrimRound measures a round of retention over 10,000 destinations: one in which nothing is to be removed, and one in
// which a delivery of each destination becomes overdue.
func BenchmarkTrimRound(b *testing.B) {
	for _, shards := range []int{1, 4} {
		for _, name := range []string{"nothing", "overdue"} {
			b.Run(fmt.Sprintf("%s/shards=%d", name, shards), func(b *testing.B) {
				srv := start(b, "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
				s := gate(b, srv.url(), func(o *Options) { o.Shards = shards })
				srv.config("slowlog-log-slower-than", "1000")
				r := idle
				if name == "overdue" {
					r.Waiting.Age = time.Nanosecond
				}
				var calls int
				var longest time.Duration
				m := &measured{b: b, srv: srv, s: s}
				var busy float64
				for range b.N {
					b.StopTimer()
					if name == "overdue" || calls == 0 {
						owingMany(b, s, scaled(10_000), state.Waiting)
					}
					m.redis = m.redisCPU()
					srv.do("SLOWLOG", "RESET")
					b.StartTimer()
					n, l := round(b, s, r, nil)
					calls, longest = calls+n, max(longest, l)
					b.StopTimer()
					busy += m.redisCPU() - m.redis
					b.StartTimer()
				}
				slowest := int64(0)
				for _, e := range asList(srv.do("SLOWLOG", "GET", 100)) {
					slowest = max(slowest, asInt(asList(e)[2]))
				}
				n := float64(b.N)
				b.ReportMetric(float64(calls)/n, "calls/op")
				b.ReportMetric(busy/n/1000, "redis-ms/op")
				b.ReportMetric(float64(longest.Microseconds())/1000, "longest-call-ms")
				b.ReportMetric(float64(slowest), "slowest-cmd-us")
			})
		}
	}
}

// BenchmarkAppendWhileTrimming measures how much longer appends take during a round of retention, with the pauses of the
// gateway, than without one: the ratio of their 99th percentiles.
func BenchmarkAppendWhileTrimming(b *testing.B) {
	_, s := benchStore(b)
	took := func(during func(ctx context.Context)) time.Duration {
		var all []time.Duration
		ctx, cancel := context.WithCancel(b.Context())
		var ending sync.WaitGroup
		ending.Go(func() { during(ctx) })
		for i := range scaled(2000) {
			e := eventsOf(b, "intake", fmt.Sprint(time.Now().UnixNano(), "-", i, "-"), 1)
			began := time.Now()
			if _, err := s.Append(b.Context(), e); err != nil {
				b.Fatal(err)
			}
			all = append(all, time.Since(began))
			time.Sleep(time.Millisecond)
		}
		cancel()
		ending.Wait()
		slices.Sort(all)
		return all[len(all)*99/100]
	}
	owingMany(b, s, scaled(10_000), state.Delivered)
	owingMany(b, s, scaled(10_000), state.Waiting)
	r := idle
	var alone, beside, without time.Duration
	rounds := 0
	b.ResetTimer()
	for range b.N {
		alone += took(func(context.Context) {})
		trims := func(pause func(time.Duration)) func(context.Context) {
			return func(ctx context.Context) {
				for ctx.Err() == nil {
					rounds++
					_, _ = round(b, s, r, pause)
					pause(20 * time.Millisecond)
				}
			}
		}
		r.Waiting.Age = time.Nanosecond
		beside += took(trims(func(took time.Duration) { time.Sleep(max(took, 20*time.Millisecond)) }))
		without += took(trims(func(time.Duration) {}))
		r.Waiting.Age = idle.Waiting.Age
	}
	b.ReportMetric(float64(alone.Microseconds())/float64(b.N), "p99-alone-us")
	b.ReportMetric(float64(beside)/float64(alone), "p99-ratio")
	b.ReportMetric(float64(without)/float64(alone), "p99-ratio-no-pauses")
}
