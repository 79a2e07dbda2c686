// Package stats counts events, decisions, attempts and deliveries: as Prometheus metrics, and in the store, where each tenant finds
// those of its destinations, sources, rules and surveys. It also says what the figures mean that are made of the counts (Rates).
//
// Counters are looked up without a lock and, except for the first use of a series, without an allocation. Counts for the store take a
// short lock that tenants share only by chance.
package stats

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Options configure Stats. Store and Clock are required.
type Options struct {
	Store state.Store
	Clock clock.Clock
	// Log receives errors of writing statistics; nil discards them.
	Log *slog.Logger
	// Generation returns the hash of the running configuration.
	Generation func() string
	// Version is the program's.
	Version string
	// Destinations returns the names of the configured destinations of each tenant; nil means that there are none.
	Destinations func() map[string][]string
	// Documents returns how the documents of tenants stand; nil means that there are none.
	Documents func() Documents
	// EventsPerMinute returns how many events a tenant's plan allows in a minute, less than 0: any number; nil means that no plan has a limit.
	EventsPerMinute func(tenant string) int
	// Public returns what everybody may know the names of; nil means nothing.
	Public func() *config.Public
}

// Documents is how the documents of all tenants stand together.
type Documents struct {
	// Overlays is how many tenants have documents.
	Overlays int
	// ByState counts the documents.
	ByState map[config.DocumentState]int
	// Unapplied is when the oldest change was noticed that is not in use yet; zero: every change is in use.
	Unapplied time.Time
}

// Stats holds the counters. Create it with New; it is safe for concurrent use.
type Stats struct {
	options  Options
	registry *prometheus.Registry

	events, rejected, deliveries *handles[*Counter]
	delivery, accept             prometheus.Histogram
	batches                      *handles[prometheus.Observer]
	tokenFetches                 *handles[*Counter]

	cells cells

	overPlan atomic.Int64           // events above the plans of their tenants
	minutes  map[tenantMinute]int64 // events of the last minutes that this process has written; flush guards it by flushing
	flushing sync.Mutex

	reloads      reloads
	lastBatch    atomic.Int64 // when the last batch was recorded, in nanoseconds of Elapsed plus 1; 0: there was none
	destinations standings

	healthMu  sync.Mutex
	healthAt  time.Time
	lastHolds []state.DestinationOnHold
	health    state.Health
}

// New returns Stats with all counters at zero.
func New(o Options) *Stats {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := prometheus.NewRegistry()
	batches := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "surveygate_batch_size", Help: "Items per batch, by stage.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
	}, []string{"stage"})
	s := &Stats{
		options:  o,
		registry: r,
		minutes:  map[tenantMinute]int64{},
		delivery: durations(r, "surveygate_delivery_seconds", "Response time: "+responseTimeMeaning+"."),
		accept:   durations(r, "surveygate_accept_seconds", "Time from receiving a request's body to its events being durable."),
		batches:  newHandles(func(l labels) prometheus.Observer { return batches.WithLabelValues(l[0]) }),
	}
	source := func(l labels) bool {
		return l[0] == config.DefaultTenant && l[1] == ownSource || s.public().Source(l[0], l[1])
	}
	destination := func(l labels) bool { return s.public().Destination(l[0], l[1]) }
	s.events = counters(r, source, "surveygate_events_total", "Events received, by source and outcome.", "source", "outcome")
	s.rejected = counters(r, source, "surveygate_rejected_total", "Refused requests, by source and reason.", "source", "reason")
	s.deliveries = counters(r, destination, "surveygate_deliveries_total", "Attempts, by destination, connector and verdict: each is "+attemptMeaning+
		". Also those that were not sent, skipped ones and tests.", "destination", "connector", "verdict")
	s.tokenFetches = counters(r, destination, "surveygate_token_fetches_total",
		"Requests for access tokens, by destination and result: ok, retry or refused.", "destination", "result")
	s.cells.init()
	s.reloads.at = o.Clock.Now() // the configuration was loaded at the start
	r.MustRegister(batches, &collector{stats: s}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Version returns the program's version.
func (s *Stats) Version() string { return s.options.Version }

func (s *Stats) public() *config.Public {
	if s.options.Public == nil {
		return nil
	}
	return s.options.Public()
}

// TokenFetched counts one request to a token endpoint.
func (s *Stats) TokenFetched(tenant, destination, result string) {
	s.tokenFetches.get(labels{tenant, destination, result}).Add(1)
}

// reloads is the result of the last reload.
type reloads struct {
	mu              sync.Mutex
	failed, waiting bool
	at              time.Time // of the last success
}

// Reloaded records the result of a reload: ok if the configuration is in use; waits if it waits because it removes much.
func (s *Stats) Reloaded(ok, waits bool) {
	s.reloads.mu.Lock()
	defer s.reloads.mu.Unlock()
	s.reloads.failed, s.reloads.waiting = !ok, waits
	if ok {
		s.reloads.at = s.options.Clock.Now()
	}
}

// Batch records the size of a batch of a stage: append, claim, commit or due.
func (s *Stats) Batch(stage string, n int) {
	s.batches.get(labels{stage}).Observe(float64(n))
	s.lastBatch.Store(int64(s.options.Clock.Elapsed()) + 1)
}

// quietAfter is how long after the last batch the gateway is quiet.
const quietAfter = time.Second

// Quiet reports that this process has handled no event and no delivery for a second.
func (s *Stats) Quiet() bool {
	last := s.lastBatch.Load()
	return last == 0 || int64(s.options.Clock.Elapsed())+1-last >= int64(quietAfter)
}

// healthFor is how long a health check of the store is cached, for readiness, scrapes and pages together.
const healthFor = time.Second

// Health returns the store's health, at most a second old. While the store is unavailable, it returns the last known numbers, so
// that a backlog does not seem to vanish with the store.
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
