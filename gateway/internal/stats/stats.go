// Package stats counts what the gateway does: for Prometheus, and per destination and minute for the store.
//
// Counting takes no lock that a scrape could hold and, but for the first of a kind, no allocation. The text format
// is written here: it is two pages of one standard, and the hot path wants handles, not label maps.
package stats

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Options are what statistics are made from. Store and Clock are required.
type Options struct {
	Store state.Store
	Clock clock.Clock
	// Log takes what goes wrong while writing statistics; nil drops it.
	Log *slog.Logger
	// Generation is the hash of the running configuration.
	Generation func() string
	// Version is the program's.
	Version string
}

// Stats counts. Make it with New; it is safe for concurrent use.
type Stats struct {
	options Options
	started time.Time

	events, rejected, deliveries *counters
	delivery, accept             *histogram

	batchMu sync.RWMutex
	batches map[string]*histogram // by stage: a handful

	minutes minutes

	healthMu sync.Mutex
	healthAt time.Time
	health   state.Health
}

// New is statistics that have counted nothing yet.
func New(o Options) *Stats {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Stats{
		options:    o,
		started:    o.Clock.Now(),
		events:     newCounters("surveygate_events_total", "Events taken in, by source and what became of them.", "source", "outcome"),
		rejected:   newCounters("surveygate_rejected_total", "Requests of sources that were refused, by reason.", "source", "reason"),
		deliveries: newCounters("surveygate_deliveries_total", "Attempts, by connector and verdict.", "connector", "verdict"),
		delivery:   latencies("surveygate_delivery_seconds", "How long attempts took."),
		accept:     latencies("surveygate_accept_seconds", "From a request's body to its event being durable."),
		batches:    map[string]*histogram{},
		minutes:    minutes{cells: map[cellKey]*cell{}},
	}
}

// Source is the handles of one source. It is safe for concurrent use.
type Source struct {
	Accepted, Duplicate, Invalid, Unavailable *Counter

	label string
	stats *Stats
}

// Source are the handles of a source; the label is its name, with its tenant before it unless that is `default`.
// Callers keep them: names must come from a configuration, never from a request.
func (s *Stats) Source(tenant, name string) *Source {
	label := name
	if tenant != "default" {
		label = tenant + "/" + name
	}
	of := func(outcome string) *Counter { return s.events.of(labels{label, outcome}) }
	return &Source{
		Accepted: of("accepted"), Duplicate: of("duplicate"), Invalid: of("invalid"), Unavailable: of("unavailable"),
		label: label, stats: s,
	}
}

// Rejected counts a refused request. Reasons are a closed set of the caller's.
func (s *Source) Rejected(reason string) { s.stats.rejected.of(labels{s.label, reason}).Add(1) }

// Accept records how long it took to make a request's events durable.
func (s *Stats) Accept(took time.Duration) { s.accept.observe(int64(took)) }

// Attempt counts one attempt of the deliver loop.
func (s *Stats) Attempt(tenant, destination, connector, verdict string, took time.Duration, at time.Time) {
	s.deliveries.of(labels{connector, verdict}).Add(1)
	s.delivery.observe(int64(took))
	s.minutes.add(tenant, destination, verdict, took, at)
}

// Batch records how many went together: append, claim, commit, due.
func (s *Stats) Batch(stage string, n int) {
	s.batchMu.RLock()
	h := s.batches[stage]
	s.batchMu.RUnlock()
	if h == nil {
		h = s.stage(stage)
	}
	h.observe(int64(n))
}

func (s *Stats) stage(stage string) *histogram {
	s.batchMu.Lock()
	defer s.batchMu.Unlock()
	if h := s.batches[stage]; h != nil {
		return h
	}
	h := newHistogram("surveygate_batch_size", "How many went together, by stage.", 1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
	s.batches[stage] = h
	return h
}

// healthFor is how long the store's health is believed: readiness, scrapes and pages share one look.
const healthFor = time.Second

// Health is the store's, at most a second old.
func (s *Stats) Health(ctx context.Context) state.Health {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	now := s.options.Clock.Now()
	if age := now.Sub(s.healthAt); !s.healthAt.IsZero() && age >= 0 && age < healthFor {
		return s.health
	}
	s.health = s.options.Store.Health(ctx)
	s.healthAt = now
	return s.health
}
