package stats

import (
	"context"
	"os"
	"runtime"
	"runtime/metrics"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ContentType is that of what Scrape writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Scrape is everything counted, in Prometheus' text format. A store that does not answer within ctx leaves its
// own lines out; the counters are always there.
func (s *Stats) Scrape(ctx context.Context) []byte {
	t := &text{b: make([]byte, 0, 16<<10)}
	s.events.write(t)
	s.rejected.write(t)
	s.deliveries.write(t)
	t.head(s.delivery.name, s.delivery.help, "histogram")
	s.delivery.write(t, nil, nil)
	t.head(s.accept.name, s.accept.help, "histogram")
	s.accept.write(t, nil, nil)
	s.writeBatches(t)
	s.writeStore(ctx, t)
	s.writeHolds(ctx, t)

	if s.options.Generation != nil {
		t.head("surveygate_config_generation", "The running configuration's hash.", "gauge")
		t.line("surveygate_config_generation", []string{"generation"}, []string{s.options.Generation()}, 1)
	}
	t.head("surveygate_build_info", "The program.", "gauge")
	t.line("surveygate_build_info", []string{"version", "goversion"}, []string{s.options.Version, runtime.Version()}, 1)
	s.minutes.mu.Lock()
	lost := s.minutes.lost
	s.minutes.mu.Unlock()
	t.head("surveygate_statistics_lost_total", "Attempts missing in the minutes because the store took none for long.", "counter")
	t.line("surveygate_statistics_lost_total", nil, nil, float64(lost))
	writeRuntime(t)
	writeProcess(t, s.started)
	return t.b
}

func (s *Stats) writeBatches(t *text) {
	s.batchMu.RLock()
	defer s.batchMu.RUnlock()
	stages := make([]string, 0, len(s.batches))
	for stage := range s.batches {
		stages = append(stages, stage)
	}
	sort.Strings(stages)
	for i, stage := range stages {
		h := s.batches[stage]
		if i == 0 {
			t.head(h.name, h.help, "histogram")
		}
		h.write(t, []string{"stage"}, []string{stage})
	}
}

func (s *Stats) writeStore(ctx context.Context, t *text) {
	h := s.Health(ctx)
	now := s.options.Clock.Now()
	up := 1.0
	if h.Err != nil {
		up = 0
	}
	t.gauge("surveygate_store_up", "Whether the store can make events durable.", up)

	const waiting = "surveygate_waiting"
	t.head(waiting, "What is not done: pending are events without a decision, waiting and dead are deliveries.", "gauge")
	for _, w := range []struct {
		state string
		n     int64
	}{{"dead", h.Dead}, {"pending", h.Pending}, {"waiting", h.Waiting}} {
		t.line(waiting, []string{"state"}, []string{w.state}, float64(w.n))
	}
	t.gauge("surveygate_oldest_waiting_seconds", "Age of the oldest waiting delivery; 0 when none waits.", age(now, h.OldestWaiting))
	t.gauge("surveygate_oldest_pending_seconds", "Age of the oldest event without a decision; 0 when there is none.", age(now, h.Oldest))
	t.gauge("surveygate_stored_events", "Events kept.", float64(h.Events))
	t.gauge("surveygate_stored_bytes", "Bytes that the store takes.", float64(h.Bytes))
	t.gauge("surveygate_dedupe_window_seconds", "How far back duplicates are recognised.", h.DedupeWindow.Seconds())
}

func age(now, then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return max(now.Sub(then).Seconds(), 0)
}

func (s *Stats) writeHolds(ctx context.Context, t *text) {
	held, err := s.options.Store.Holds(ctx, "*")
	if err != nil {
		return
	}
	count := map[state.HoldKind]int{}
	for _, h := range held {
		count[h.Hold.Kind]++
	}
	t.head("surveygate_held", "Destinations on hold, by why.", "gauge")
	for _, kind := range []state.HoldKind{state.HoldCircuit, state.HoldGone, state.HoldPaused, state.HoldRate, state.HoldRevoked} {
		t.line("surveygate_held", []string{"kind"}, []string{string(kind)}, float64(count[kind]))
	}
}

// runtimeSamples are what the usual Go dashboards show, under the names they know.
var runtimeSamples = []struct{ from, name, help, kind string }{
	{"/sched/goroutines:goroutines", "go_goroutines", "Goroutines.", "gauge"},
	{"/sched/gomaxprocs:threads", "go_sched_gomaxprocs_threads", "GOMAXPROCS.", "gauge"},
	{"/memory/classes/heap/objects:bytes", "go_memstats_alloc_bytes", "Bytes of live and not yet swept objects.", "gauge"},
	{"/memory/classes/total:bytes", "go_memstats_sys_bytes", "Bytes mapped by the Go runtime.", "gauge"},
	{"/gc/heap/allocs:bytes", "go_memstats_alloc_bytes_total", "Bytes allocated.", "counter"},
	{"/gc/heap/allocs:objects", "go_memstats_mallocs_total", "Objects allocated.", "counter"},
	{"/gc/heap/goal:bytes", "go_memstats_next_gc_bytes", "Heap size that the next collection aims at.", "gauge"},
	{"/gc/cycles/total:gc-cycles", "go_gc_cycles_total", "Collections.", "counter"},
}

func writeRuntime(t *text) {
	t.head("go_info", "The Go runtime.", "gauge")
	t.line("go_info", []string{"version"}, []string{runtime.Version()}, 1)
	samples := make([]metrics.Sample, len(runtimeSamples))
	for i := range samples {
		samples[i].Name = runtimeSamples[i].from
	}
	metrics.Read(samples)
	for i, sample := range samples {
		if sample.Value.Kind() != metrics.KindUint64 {
			continue // a runtime that no longer has it
		}
		r := runtimeSamples[i]
		t.head(r.name, r.help, r.kind)
		t.line(r.name, nil, nil, float64(sample.Value.Uint64()))
	}
}

// writeProcess adds what Linux tells of the process; elsewhere only its start.
func writeProcess(t *text, started time.Time) {
	t.gauge("process_start_time_seconds", "When the gateway started, Unix time.", float64(started.UnixMilli())/1000)
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(statm)); len(fields) > 1 {
			if pages, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				t.gauge("process_resident_memory_bytes", "Resident memory.", float64(pages*int64(os.Getpagesize())))
			}
		}
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		t.gauge("process_open_fds", "Open file descriptors.", float64(len(fds)))
	}
}
