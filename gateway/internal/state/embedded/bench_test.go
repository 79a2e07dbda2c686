package embedded

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// All benchmarks write indexes, outcomes and history as in production, to the machine's disk, with events of the size that
// platforms send: about 700 bytes raw, 2 KB in all.

const benchSuffix = "_aaaaaaaaaaaaa"

// scaled is n, or with -short a tenth of it: CI only sees that each benchmark runs.
func scaled(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

var filler = func() []byte {
	b := make([]byte, 640)
	for i := range b {
		b[i] = 'a' + byte(i*7%26)
	}
	return b
}()

func benchEvents(tb testing.TB, from, n int) []*event.Event {
	tb.Helper()
	now := time.Now().UTC()
	all := make([]*event.Event, n)
	for i := range all {
		key := fmt.Sprintf("k%09d", from+i)
		e, err := event.New(event.Header{
			ID: event.ID("default", "app", key), Tenant: "default", Source: "app", SourceKind: "pollqr", Type: "response.completed",
			Time: now, Received: now, DedupeKey: key, Verified: "hmac", OrigType: "response.created",
		}, &event.Data{
			Survey:     event.Survey{ID: "550e8400-e29b-41d4-a716-446655440000", Title: "Onboarding"},
			Response:   event.Response{ID: "r-" + key, Feedback: string(filler[:400])},
			Respondent: event.Respondent{Email: key + "@example.com"},
		}, event.Raw{ContentType: "application/json", Body: append([]byte(`{"response":"`+key+`","text":"`), append(filler, `"}`...)...)})
		if err != nil {
			tb.Fatal(err)
		}
		all[i] = e
	}
	return all
}

func benchStore(tb testing.TB) *store {
	tb.Helper()
	s, err := open(Options{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// cpu reports the process's CPU time per operation, which varies less than the rate.
func cpu(b *testing.B) func() {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	runtime.GC()
	before := used()
	b.ResetTimer()
	return func() {
		b.StopTimer()
		b.ReportMetric(float64((used()-before).Microseconds())/float64(b.N), "cpu-us/op")
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, w := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("callers=%d", w), func(b *testing.B) {
			s := benchStore(b)
			events := benchEvents(b, 0, b.N)
			b.ReportAllocs()
			done := cpu(b)
			defer done()
			each(b.N, w, func(i int) {
				if _, err := s.Append(context.Background(), events[i:i+1]); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func each(n, workers int, do func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

func appendAll(tb testing.TB, s *store, events []*event.Event) {
	tb.Helper()
	for len(events) > 0 {
		n := min(len(events), 256)
		if _, err := s.Append(context.Background(), events[:n]); err != nil {
			tb.Fatal(err)
		}
		events = events[n:]
	}
}

func BenchmarkClaim(b *testing.B) {
	s := benchStore(b)
	appendAll(b, s, benchEvents(b, 0, b.N))
	b.ReportAllocs()
	defer cpu(b)()
	for n := 0; n < b.N; {
		c, err := s.Claim(context.Background(), 256, 0)
		if err != nil {
			b.Fatal(err)
		}
		n += len(c)
	}
}

func benchOutcome(c state.Claimed, st state.DeliveryState, due time.Time) state.Outcome {
	now := c.Event.Received
	d := state.Delivery{
		ID: "dl_" + c.Event.ID + benchSuffix, Tenant: "default", EventID: c.Event.ID,
		Origin: state.Origin{Kind: state.Webhook, Name: "warehouse"}, Step: "warehouse", Destination: "warehouse", Connector: "webhook",
		State: st, Attempts: 1, Created: now, Due: due,
		Log: []state.Attempt{{N: 1, At: now, Took: 3 * time.Millisecond, Verdict: "delivered", Status: 200, Sent: 700, Received: 12}},
	}
	return state.Outcome{
		Position: c.Position, Tenant: "default", EventID: c.Event.ID, Generation: "g", At: now,
		Rules: []state.RuleOutcome{{Origin: d.Origin}}, Deliveries: []state.Delivery{d},
	}
}

func BenchmarkCommit256(b *testing.B) {
	s := benchStore(b)
	appendAll(b, s, benchEvents(b, 0, b.N))
	var outcomes []state.Outcome
	for len(outcomes) < b.N {
		c, err := s.Claim(context.Background(), 256, 0)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range c {
			outcomes = append(outcomes, benchOutcome(c, state.Delivered, time.Time{}))
		}
	}
	b.ReportAllocs()
	defer cpu(b)()
	for n := 0; n < b.N; n += 256 {
		done, err := s.Commit(context.Background(), &state.Commit{Events: outcomes[n:min(n+256, b.N)]})
		if err != nil || slices.Contains(done.Events, false) {
			b.Fatal("a fence was lost", err)
		}
	}
}

// BenchmarkCycle measures the whole life of an event: appended singly by many callers, claimed, committed with one delivery,
// and trimmed beyond 100,000 events.
func BenchmarkCycle(b *testing.B) {
	for _, w := range []int{16, 256} {
		b.Run(fmt.Sprintf("callers=%d", w), func(b *testing.B) {
			s := benchStore(b)
			events := benchEvents(b, 0, b.N)
			b.ReportAllocs()
			done := cpu(b)
			defer done()
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := 0; n < b.N; {
					claimed, err := s.Claim(context.Background(), 256, 0)
					if err != nil {
						b.Error(err)
						return
					}
					commit := &state.Commit{Events: make([]state.Outcome, len(claimed))}
					for i, c := range claimed {
						commit.Events[i] = benchOutcome(c, state.Delivered, time.Time{})
					}
					if _, err := s.Commit(context.Background(), commit); err != nil {
						b.Error(err)
						return
					}
					n += len(claimed)
				}
				cancel()
			})
			wg.Go(func() {
				retention := state.Retention{Events: state.Bound{Bytes: 200 << 20}, History: state.HistoryBound{PerDestination: 10000}}
				for {
					select {
					case <-ctx.Done():
						return
					case <-time.After(200 * time.Millisecond):
					}
					if _, err := s.Trim(context.Background(), retention); err != nil {
						b.Error(err)
					}
				}
			})
			each(b.N, w, func(i int) {
				if _, err := s.Append(context.Background(), events[i:i+1]); err != nil {
					b.Error(err)
				}
			})
			wg.Wait()
		})
	}
}

// waitingDeliveries schedules n deliveries over a number of destinations.
func waitingDeliveries(tb testing.TB, s *store, n, destinations int) {
	tb.Helper()
	due := time.Now().Add(-time.Hour)
	for from := 0; from < n; from += 1024 {
		m := min(1024, n-from)
		appendAll(tb, s, benchEvents(tb, from, m))
		commit := &state.Commit{}
		for got := 0; got < m; {
			claimed, err := s.Claim(context.Background(), 1024, 0)
			if err != nil {
				tb.Fatal(err)
			}
			got += len(claimed)
			for i, c := range claimed {
				o := benchOutcome(c, state.Waiting, due)
				o.Deliveries[0].Destination = fmt.Sprintf("d%d", (from+i)%destinations)
				o.Deliveries[0].Log = nil
				commit.Events = append(commit.Events, o)
			}
		}
		if _, err := s.Commit(context.Background(), commit); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkDue claims 256 due deliveries and makes them wait again, with a backlog behind them.
func BenchmarkDue(b *testing.B) {
	for _, c := range []struct{ waiting, destinations int }{{scaled(100_000), 1}, {scaled(100_000), scaled(10_000)}} {
		b.Run(fmt.Sprintf("waiting=%d/destinations=%d", c.waiting, c.destinations), func(b *testing.B) {
			s := benchStore(b)
			waitingDeliveries(b, s, c.waiting, c.destinations)
			b.ReportAllocs()
			defer cpu(b)()
			for n := 0; n < b.N; {
				due, _, err := s.ClaimDue(context.Background(), state.ClaimDue{Max: 256, Lease: time.Hour})
				if err != nil {
					b.Fatal(err)
				}
				if len(due) == 0 {
					b.Fatal("nothing is due")
				}
				commit := &state.Commit{}
				for _, d := range due {
					d.Delivery.Due = time.Now().Add(-time.Minute)
					d.Delivery.Reason = "retry"
					commit.Due = append(commit.Due, state.Settled{Delivery: d.Delivery, Lease: d.Lease})
				}
				if _, err := s.Commit(context.Background(), commit); err != nil {
					b.Fatal(err)
				}
				n += len(due)
			}
		})
	}
}

// BenchmarkDeliveries reads pages of 50 of 100,000 deliveries to 500 destinations; each tenth is dead. `lists/op` and `entries/op`
// count what of them it reads.
func BenchmarkDeliveries(b *testing.B) {
	dests, n := 500, scaled(100_000)
	s := benchStore(b)
	for done := 0; done < n; {
		if _, err := s.Append(context.Background(), benchEvents(b, done, 250)); err != nil {
			b.Fatal(err)
		}
		some, err := s.Claim(context.Background(), 250, 0)
		if err != nil {
			b.Fatal(err)
		}
		c := &state.Commit{}
		now := time.Now()
		for i, x := range some {
			name := fmt.Sprintf("d%04d", (done+i)*7%dests)
			d := state.Delivery{
				ID: "dl_" + x.Event.ID + benchSuffix, Tenant: x.Event.Tenant, EventID: x.Event.ID, Step: name, Destination: name,
				Origin: state.Origin{Kind: state.Rule, Name: "rule-" + name}, Connector: "webhook", State: state.Delivered, Attempts: 1,
				Log: []state.Attempt{{N: 1, At: now, Took: 12 * time.Millisecond, Verdict: "delivered", Status: 200, Sent: 2100, Received: 2}},
			}
			if (done+i)%10 == 0 {
				d.State = state.Dead
				d.Log[0].Verdict, d.Log[0].Status, d.Log[0].Response = "rejected", 404, filler
			}
			c.Events = append(c.Events, state.Outcome{Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID, At: now, Deliveries: []state.Delivery{d}})
		}
		if _, err := s.Commit(context.Background(), c); err != nil {
			b.Fatal(err)
		}
		done += len(some)
	}
	deep := state.DeliveryQuery{Limit: 200}
	rows := scaled(20_000)
	for range rows / deep.Limit {
		page, err := s.Deliveries(context.Background(), "default", deep)
		if err != nil {
			b.Fatal(err)
		}
		deep.Cursor = page.Next
	}
	deep.Limit = 0
	for _, test := range []struct {
		name string
		q    state.DeliveryQuery
	}{
		{"all", state.DeliveryQuery{}},
		{"failed", state.DeliveryQuery{Failed: true}},
		{"dead", state.DeliveryQuery{State: state.Dead}},
		{"delivered", state.DeliveryQuery{State: state.Delivered}},
		{"skipped", state.DeliveryQuery{State: state.Skipped}},
		{"rule", state.DeliveryQuery{Rule: "rule-d0007"}},
		{"destination", state.DeliveryQuery{Destination: "d0007"}},
		{fmt.Sprintf("rows=%d", rows), deep},
		{fmt.Sprintf("rows=%d/failed", rows), state.DeliveryQuery{Failed: true, Cursor: deep.Cursor}},
	} {
		b.Run(test.name, func(b *testing.B) {
			lists, entries := s.reads.lists.Load(), s.reads.entries.Load()
			for b.Loop() {
				if _, err := s.Deliveries(context.Background(), "default", test.q); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.reads.lists.Load()-lists)/float64(b.N), "lists/op")
			b.ReportMetric(float64(s.reads.entries.Load()-entries)/float64(b.N), "entries/op")
		})
	}
}
