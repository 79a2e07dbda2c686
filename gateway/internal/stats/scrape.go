package stats

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ContentType is that of what Scrape writes: Prometheus' text format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Scrape is everything counted, in Prometheus' text format.
func (s *Stats) Scrape() ([]byte, error) {
	families, err := s.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	var b bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&b, family); err != nil {
			return nil, fmt.Errorf("write metrics: %w", err)
		}
	}
	return b.Bytes(), nil
}

// lookFor bounds how long a scrape waits for the store; the counters never do.
const lookFor = 2 * time.Second

// look collects what is only looked at when somebody scrapes.
type look struct{ stats *Stats }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	storeUp       = desc("surveygate_store_up", "Whether the store can make events durable.")
	waiting       = desc("surveygate_waiting", "What is not done: pending are events without a decision, waiting and dead are deliveries.", "state")
	oldestWaiting = desc("surveygate_oldest_waiting_seconds", "Age of the oldest waiting delivery; 0 when none waits.")
	oldestPending = desc("surveygate_oldest_pending_seconds", "Age of the oldest event without a decision; 0 when there is none.")
	storedEvents  = desc("surveygate_stored_events", "Events kept.")
	storedBytes   = desc("surveygate_stored_bytes", "Bytes that the store takes.")
	dedupeWindow  = desc("surveygate_dedupe_window_seconds", "How far back duplicates are recognised.")
	onHold        = desc("surveygate_destinations_on_hold", "Destinations on hold, by why.", "kind")
	generation    = desc("surveygate_config_generation", "The running configuration's hash.", "generation")
	reloadOK      = desc("surveygate_config_last_reload_successful", "Whether the configuration was taken when it was last read; 0 also while one waits because it takes away much.")
	reloadAt      = desc("surveygate_config_last_reload_success_timestamp_seconds", "When a configuration was last taken, in Unix time.")
	reloadWaits   = desc("surveygate_config_reload_waiting", "Whether a changed configuration waits because it takes away much.")
	buildInfo     = desc("surveygate_build_info", "The program.", "version", "goversion")
	lostMinutes   = desc("surveygate_statistics_lost_total", "Attempts missing in the minutes because the store took none for long.")
)

// Describe tells of all that Collect may send.
func (l *look) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		storeUp, waiting, oldestWaiting, oldestPending, storedEvents, storedBytes, dedupeWindow, onHold, generation, reloadOK, reloadAt, reloadWaits, buildInfo, lostMinutes,
		destinationWaiting, destinationOldest, destinationHeld,
	} {
		c <- d
	}
}

// Collect looks at the store. While it does not answer, the lines stay as they were last.
func (l *look) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookFor)
	defer cancel()
	s := l.stats
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(buildInfo, 1, s.options.Version, runtime.Version())
	if s.options.Generation != nil {
		gauge(generation, 1, s.options.Generation())
	}
	s.reloads.mu.Lock()
	failed, waits, at := s.reloads.failed, s.reloads.waiting, s.reloads.at
	s.reloads.mu.Unlock()
	gauge(reloadOK, number(!failed))
	gauge(reloadAt, float64(at.UnixMilli())/1000)
	gauge(reloadWaits, number(waits))
	s.minutes.mu.Lock()
	lost := s.minutes.lost
	s.minutes.mu.Unlock()
	c <- prometheus.MustNewConstMetric(lostMinutes, prometheus.CounterValue, float64(lost))

	h := s.Health(ctx)
	now := s.options.Clock.Now()
	gauge(storeUp, number(h.Err == nil))
	if !h.Counted { // it was never asked
		return
	}
	gauge(waiting, float64(h.Pending), "pending")
	gauge(waiting, float64(h.Waiting), string(state.Waiting))
	gauge(waiting, float64(h.Dead), string(state.Dead))
	gauge(oldestWaiting, age(now, h.OldestWaiting))
	gauge(oldestPending, age(now, h.Oldest))
	gauge(storedEvents, float64(h.Events))
	gauge(storedBytes, float64(h.Bytes))
	gauge(dedupeWindow, h.DedupeWindow.Seconds())

	holds := s.holds(ctx)
	count := map[state.HoldKind]int{}
	for _, h := range holds {
		if holdsNow(h.Hold, now) {
			count[h.Hold.Kind]++
		}
	}
	for _, kind := range []state.HoldKind{state.HoldCircuit, state.HoldGone, state.HoldPaused, state.HoldRate, state.HoldRevoked} {
		gauge(onHold, float64(count[kind]), string(kind))
	}
	l.collectDestinations(ctx, c, holds, now)
}

// holds are all holds; the last that were found while the store cannot be asked.
func (s *Stats) holds(ctx context.Context) []state.DestinationOnHold {
	found, err := s.options.Store.Holds(ctx, "*")
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	if err == nil {
		s.lastHolds = found
	}
	return s.lastHolds
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func age(now, then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return max(now.Sub(then).Seconds(), 0)
}
