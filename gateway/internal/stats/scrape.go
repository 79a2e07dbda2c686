package stats

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ContentType is the content type of Scrape: Prometheus' text format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Scrape returns all metrics in Prometheus' text format. If not whole, they name nothing that is not public.
func (s *Stats) Scrape(whole bool) ([]byte, error) {
	families, err := s.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	if !whole {
		families = publicOnly(families, s.public())
	}
	var b bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&b, family); err != nil {
			return nil, fmt.Errorf("write metrics: %w", err)
		}
	}
	return b.Bytes(), nil
}

// storeTimeout limits how long a scrape waits for the store. Counters do not need the store.
const storeTimeout = 2 * time.Second

// collector collects the metrics that are read from the store at each scrape.
type collector struct{ stats *Stats }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	storeUp       = desc("surveygate_store_up", "Whether the store can make events durable.")
	waiting       = desc("surveygate_waiting", "Unfinished work: pending events have no decision yet; waiting and dead are deliveries.", "state")
	oldestWaiting = desc("surveygate_oldest_waiting_seconds", "Age of the oldest waiting delivery; 0 if there is none.")
	oldestPending = desc("surveygate_oldest_pending_seconds", "Age of the oldest event without a decision; 0 if there is none.")
	storedEvents  = desc("surveygate_stored_events", "Events in the store.")
	storedBytes   = desc("surveygate_stored_bytes", "Size of the store in bytes.")
	dedupeWindow  = desc("surveygate_dedupe_window_seconds", "How far back duplicates are recognised.")
	onHold        = desc("surveygate_destinations_on_hold", "Destinations on hold, by kind of hold.", "kind")
	generation    = desc("surveygate_config_generation", "Hash of the running configuration.", "generation")
	reloadOK      = desc("surveygate_config_last_reload_successful", "Whether the last reload of the configuration succeeded; also 0 while one waits because it removes much.")
	reloadAt      = desc("surveygate_config_last_reload_success_timestamp_seconds", "Unix time of the last successful reload.")
	reloadWaits   = desc("surveygate_config_reload_waiting", "Whether a changed configuration waits because it removes much.")
	overlays      = desc("surveygate_overlays", "Tenants with documents in the store.")
	documents     = desc("surveygate_documents", "Documents of tenants by state: broken ones do not compile, shadowed ones have a name that a file has too.", "state")
	unapplied     = desc("surveygate_documents_unapplied_seconds", "Age of the oldest change of a document that is not in use yet; 0 if every change is in use.")
	buildInfo     = desc("surveygate_build_info", "Version of the program.", "version", "goversion")
	overPlans     = desc("surveygate_events_over_plan_total", "Accepted events above the `events_per_minute` of their tenants' plans, of all tenants. Sum it over the replicas.")
	lostCounts    = desc("surveygate_statistics_lost_total", "Counts missing in the statistics because the store was unavailable for too long, or a tenant had too many names.")
)

// Describe implements prometheus.Collector.
func (l *collector) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		storeUp, waiting, oldestWaiting, oldestPending, storedEvents, storedBytes, dedupeWindow, onHold, generation, reloadOK, reloadAt, reloadWaits, buildInfo, lostCounts, overPlans,
		overlays, documents, unapplied,
		destinationWaiting, destinationOldest, destinationOnHold,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector. While the store is unavailable, it sends the last known values.
func (l *collector) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
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
	c <- prometheus.MustNewConstMetric(lostCounts, prometheus.CounterValue, float64(s.cells.lost.Load()))
	c <- prometheus.MustNewConstMetric(overPlans, prometheus.CounterValue, float64(s.overPlan.Load()))

	now := s.options.Clock.Now()
	var d Documents
	if s.options.Documents != nil {
		d = s.options.Documents()
	}
	gauge(overlays, float64(d.Overlays))
	for _, state := range []config.DocumentState{config.Active, config.Disabled, config.Broken, config.Shadowed} {
		gauge(documents, float64(d.ByState[state]), string(state))
	}
	gauge(unapplied, age(now, d.Unapplied))

	h := s.Health(ctx)
	gauge(storeUp, number(h.Err == nil))
	if !h.Counted { // the store has not answered yet
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
		if active(h.Hold, now) {
			count[h.Hold.Kind]++
		}
	}
	for _, kind := range []state.HoldKind{state.HoldCircuit, state.HoldGone, state.HoldPaused, state.HoldRate, state.HoldRevoked} {
		gauge(onHold, float64(count[kind]), string(kind))
	}
	l.collectDestinations(ctx, c, holds, now)
}

// holds returns all holds; while the store is unavailable, the last known ones.
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
