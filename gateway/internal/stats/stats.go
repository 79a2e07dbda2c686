// Package stats counts what the gateway does: for Prometheus, and per destination and minute for the store.
//
// Counting goes through handles that are found without a lock and, but for the first of a kind, without an
// allocation.
package stats

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

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
	// Destinations are the configured ones of each tenant, by name; nil is none.
	Destinations func() map[string][]string
}

// Stats counts. Make it with New; it is safe for concurrent use.
type Stats struct {
	options  Options
	registry *prometheus.Registry

	events, rejected, deliveries *handles[*Counter]
	delivery, accept             prometheus.Histogram
	batches                      *handles[prometheus.Observer]

	minutes minutes

	reloads      reloads
	destinations destinationLook

	healthMu  sync.Mutex
	healthAt  time.Time
	lastHolds []state.DestinationOnHold
	health    state.Health
}

// New is statistics that have counted nothing yet.
func New(o Options) *Stats {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := prometheus.NewRegistry()
	batches := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "surveygate_batch_size", Help: "How many went together, by stage.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
	}, []string{"stage"})
	s := &Stats{
		options:    o,
		registry:   r,
		events:     counters(r, "surveygate_events_total", "Events taken in, by source and what became of them.", "source", "outcome"),
		rejected:   counters(r, "surveygate_rejected_total", "Requests of sources that were refused, by reason.", "source", "reason"),
		deliveries: counters(r, "surveygate_deliveries_total", "Attempts, by destination, its connector and the verdict.", "destination", "connector", "verdict"),
		delivery:   durations(r, "surveygate_delivery_seconds", "How long attempts took."),
		accept:     durations(r, "surveygate_accept_seconds", "From a request's body to its event being durable."),
		batches:    newHandles(0, func(l labels) prometheus.Observer { return batches.WithLabelValues(l[0]) }),
		minutes:    minutes{cells: map[cellKey]*cell{}},
	}
	s.reloads.at = o.Clock.Now() // the start read it
	r.MustRegister(batches, &look{stats: s}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Source is the handles of one source. It is safe for concurrent use.
type Source struct {
	Accepted, Duplicate, Invalid, Unavailable *Counter

	tenant, name string
	stats        *Stats
}

// Source are the handles of a source; the label is its name, with its tenant before it unless that is `default`.
// Callers keep them: names must come from a configuration, never from a request.
func (s *Stats) Source(tenant, name string) *Source {
	of := func(outcome string) *Counter { return s.events.of(labels{tenant, name, outcome}) }
	return &Source{
		Accepted: of("accepted"), Duplicate: of("duplicate"), Invalid: of("invalid"), Unavailable: of("unavailable"),
		tenant: tenant, name: name, stats: s,
	}
}

// Rejected counts a refused request. Reasons are a closed set of the caller's.
func (s *Source) Rejected(reason string) {
	s.stats.rejected.of(labels{s.tenant, s.name, reason}).Add(1)
}

// Accept records how long it took to make a request's events durable.
func (s *Stats) Accept(took time.Duration) { s.accept.Observe(took.Seconds()) }

// Attempt counts one attempt of the deliver loop.
func (s *Stats) Attempt(tenant, destination, connector, verdict string, took time.Duration, at time.Time) {
	s.deliveries.of(labels{tenant, destination, connector, verdict}).Add(1)
	s.delivery.Observe(took.Seconds())
	s.minutes.add(tenant, destination, verdict, took, at)
}

// reloads is what came of the last time that the configuration was read.
type reloads struct {
	mu              sync.Mutex
	failed, waiting bool
	at              time.Time // of the last success
}

// Reloaded records what came of reading the configuration: it is in use, or not, or it waits because it takes away much.
func (s *Stats) Reloaded(ok, waits bool) {
	s.reloads.mu.Lock()
	defer s.reloads.mu.Unlock()
	s.reloads.failed, s.reloads.waiting = !ok, waits
	if ok {
		s.reloads.at = s.options.Clock.Now()
	}
}

// Batch records how many went together: append, claim, commit, due.
func (s *Stats) Batch(stage string, n int) { s.batches.of(labels{stage}).Observe(float64(n)) }

// healthFor is how long the store's health is believed: readiness, scrapes and pages share one look.
const healthFor = time.Second

// Health is the store's, at most a second old. While the store cannot be asked, its numbers are the last that it gave: a
// backlog does not vanish with the store that keeps it.
func (s *Stats) Health(ctx context.Context) state.Health {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	now := s.options.Clock.Now()
	if age := now.Sub(s.healthAt); !s.healthAt.IsZero() && age >= 0 && age < healthFor {
		return s.health
	}
	h := s.options.Store.Health(ctx)
	if !h.Counted {
		last := s.health
		last.Err, last.Warnings = h.Err, h.Warnings
		h = last
	}
	s.health, s.healthAt = h, now
	return h
}
