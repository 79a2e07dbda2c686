package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// The benchmarks correspond to those of the embedded engine: the same events (about 700 bytes raw, 2 KB in all), nothing is
// removed, and the AOF is written every second as in production. For each event, `rt/op` counts round trips, `cmd/op` commands
// that Redis ran, in scripts too, `net-B/op` bytes to and from Redis, `cpu-us/op` our CPU time and `redis-us/op` that of Redis.

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

// measured is the cost of a part of a benchmark.
type measured struct {
	b      *testing.B
	srv    *server
	s      *store
	calls  int64
	own    time.Duration
	redis  float64
	memory int64
	full   bool // it is at full load, where round trips are bounded
	cmds   int64
	net    int64
}

func ownCPU(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (m *measured) redisCPU() float64 {
	user, _ := strconv.ParseFloat(m.srv.info("cpu", "used_cpu_user"), 64)
	system, _ := strconv.ParseFloat(m.srv.info("cpu", "used_cpu_sys"), 64)
	return (user + system) * 1e6
}

func begin(b *testing.B, srv *server, s *store) *measured {
	b.Helper()
	m := &measured{b: b, srv: srv, s: s, calls: s.calls.Load(), own: ownCPU(b), memory: asInt(srv.info("memory", "used_memory"))}
	m.redis = m.redisCPU()
	m.cmds, m.net = m.traffic()
	b.ResetTimer()
	return m
}

func (m *measured) traffic() (commands, bytes int64) {
	number := func(name string) int64 { return asInt(m.srv.info("stats", name)) }
	return number("total_commands_processed"), number("total_net_input_bytes") + number("total_net_output_bytes")
}

func (m *measured) end(name string) {
	m.b.Helper()
	m.b.StopTimer()
	n := float64(m.b.N)
	m.b.ReportMetric(n/m.b.Elapsed().Seconds(), "op/s")
	cmds, net := m.traffic()
	m.b.ReportMetric(float64(cmds-m.cmds)/n, "cmd/op")
	m.b.ReportMetric(float64(net-m.net)/n, "net-B/op")
	rt := float64(m.s.calls.Load()-m.calls) / n
	m.b.ReportMetric(rt, "rt/op")
	if m.full && m.b.N > 10_000 && rt > 0.2 {
		m.b.Errorf("%.3f round trips per event at full load, want 0.2 or less", rt)
	}
	m.b.ReportMetric(float64((ownCPU(m.b)-m.own).Microseconds())/n, "cpu-us/op")
	m.b.ReportMetric((m.redisCPU()-m.redis)/n, "redis-us/op")
	m.b.ReportMetric(float64(asInt(m.srv.info("memory", "used_memory"))-m.memory)/n, name)
}

func benchStore(b *testing.B) (*server, *store) {
	b.Helper()
	srv := start(b, "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
	return srv, gate(b, srv.url())
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

func BenchmarkAppend(b *testing.B) {
	for _, w := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("callers=%d", w), func(b *testing.B) {
			srv, s := benchStore(b)
			events := benchEvents(b, 0, b.N)
			m := begin(b, srv, s)
			each(b.N, w, func(i int) {
				if _, err := s.Append(context.Background(), events[i:i+1]); err != nil {
					b.Error(err)
				}
			})
			m.end("B/event")
		})
	}
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

func benchDelivery(ev *event.Event, i int, st state.DeliveryState, now time.Time) state.Delivery {
	d := state.Delivery{
		ID: "dl_" + ev.ID + "_aaaaaaaaaaaaa", Tenant: ev.Tenant, EventID: ev.ID, Origin: state.Origin{Kind: state.Webhook, Name: "warehouse"},
		Step: "warehouse", Destination: fmt.Sprint("warehouse", i%10), Connector: "webhook", State: st, Created: now,
	}
	if st == state.Waiting {
		d.Reason, d.Due = "retry", now.Add(time.Hour)
	} else {
		d.Attempts = 1
		d.Log = []state.Attempt{{N: 1, At: now, Took: 12 * time.Millisecond, Verdict: "delivered", Status: 200, Sent: 2100, Received: 2}}
	}
	return d
}

// BenchmarkCommit claims and commits events with one delivery each, which ended or waits.
func BenchmarkCommit(b *testing.B) {
	for _, st := range []state.DeliveryState{state.Delivered, state.Waiting} {
		b.Run(string(st), func(b *testing.B) {
			srv, s := benchStore(b)
			appendAll(b, s, benchEvents(b, 0, b.N))
			m := begin(b, srv, s)
			for done := 0; done < b.N; {
				some, err := s.Claim(context.Background(), 256, 0)
				if err != nil {
					b.Fatal(err)
				}
				c := &state.Commit{}
				now := time.Now()
				for i, x := range some {
					c.Events = append(c.Events, state.Outcome{
						Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID, Generation: "4f1c", At: now,
						Rules:      []state.RuleOutcome{{Origin: state.Origin{Kind: state.Webhook, Name: "warehouse"}}},
						Deliveries: []state.Delivery{benchDelivery(x.Event, i, st, now)},
					})
				}
				if _, err := s.Commit(context.Background(), c); err != nil {
					b.Fatal(err)
				}
				done += len(some)
			}
			m.end("B/delivery")
		})
	}
}

// BenchmarkWhole measures the whole path: 256 callers append while events are claimed and committed.
func BenchmarkWhole(b *testing.B) {
	srv, s := benchStore(b)
	events := benchEvents(b, 0, b.N)
	m := begin(b, srv, s)
	m.full = true
	var wg sync.WaitGroup
	wg.Go(func() {
		each(b.N, 256, func(i int) {
			if _, err := s.Append(context.Background(), events[i:i+1]); err != nil {
				b.Error(err)
			}
		})
	})
	commits := make(chan []state.Claimed, 4)
	for range 2 {
		wg.Go(func() {
			for some := range commits {
				c := &state.Commit{}
				now := time.Now()
				for i, x := range some {
					c.Events = append(c.Events, state.Outcome{
						Position: x.Position, Tenant: x.Event.Tenant, EventID: x.Event.ID, Generation: "4f1c", At: now,
						Rules:      []state.RuleOutcome{{Origin: state.Origin{Kind: state.Webhook, Name: "warehouse"}}},
						Deliveries: []state.Delivery{benchDelivery(x.Event, i, state.Delivered, now)},
					})
				}
				if _, err := s.Commit(context.Background(), c); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for done := 0; done < b.N; {
		some, err := s.Claim(context.Background(), 256, 0)
		if err != nil {
			b.Fatal(err)
		}
		done += len(some)
		commits <- some
	}
	close(commits)
	wg.Wait()
	m.end("B/event")
}

// BenchmarkDeliveries reads pages of 50 of 100,000 deliveries to 500 destinations; each tenth is dead. `lists/op` and `entries/op`
// count what of them it reads.
func BenchmarkDeliveries(b *testing.B) {
	dests, n := 500, scaled(100_000)
	srv, s := benchStore(b)
	events := benchEvents(b, 0, n)
	appendAll(b, s, events)
	for done := 0; done < n; {
		some, err := s.Claim(context.Background(), 256, 0)
		if err != nil {
			b.Fatal(err)
		}
		c := &state.Commit{}
		now := time.Now()
		for i, x := range some {
			st := state.Delivered
			if (done+i)%10 == 0 {
				st = state.Dead
			}
			d := benchDelivery(x.Event, i, st, now)
			d.Destination = fmt.Sprintf("d%04d", (done+i)*7%dests)
			d.Origin.Name, d.Step = "rule-"+d.Destination, d.Destination
			if st == state.Dead {
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
			lists, entries := s.read.lists.Load(), s.read.entries.Load()
			m := begin(b, srv, s)
			for b.Loop() {
				if _, err := s.Deliveries(context.Background(), "default", test.q); err != nil {
					b.Fatal(err)
				}
			}
			m.end("B/op")
			b.ReportMetric(float64(s.read.lists.Load()-lists)/float64(b.N), "lists/op")
			b.ReportMetric(float64(s.read.entries.Load()-entries)/float64(b.N), "entries/op")
		})
	}
}
