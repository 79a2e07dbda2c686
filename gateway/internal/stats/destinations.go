package stats

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// maxDestinations is how many destinations have their own series: the first by tenant and name, with public ones before all others.
	// Totals include all.
	maxDestinations = 1000
	// standingFor is how long the standing of destinations is cached.
	standingFor = 10 * time.Second
)

// The metrics of single destinations.
const (
	nameWaiting = "surveygate_destination_waiting"
	nameOldest  = "surveygate_destination_oldest_waiting_seconds"
	nameOnHold  = "surveygate_destination_held"
)

var (
	destinationWaiting = desc(nameWaiting, "Waiting deliveries, by destination.", "destination")
	destinationOldest  = desc(nameOldest, "Age of the oldest waiting delivery, by destination; 0 if there is none.", "destination")
	destinationOnHold  = desc(nameOnHold, "1 for each destination on hold, by kind of hold.", "destination", "kind")
)

// standings caches the standing of destinations. While the store is unavailable, the last one is kept.
type standings struct {
	mu    sync.Mutex
	at    time.Time
	names map[string][]string
	known map[string][]state.Standing // by tenant
}

// read returns the standing of the configured destinations.
func (l *standings) read(ctx context.Context, s *Stats) map[string][]state.Standing {
	if s.options.Destinations == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	names, now := s.options.Destinations(), s.options.Clock.Now()
	if age := now.Sub(l.at); age >= 0 && age < standingFor && maps.EqualFunc(names, l.names, slices.Equal[[]string]) {
		return l.known
	}
	found, left := map[string][]state.Standing{}, maxDestinations
	public := s.public()
	rank := func(tenant, name string) int {
		if public.Destination(tenant, name) {
			return 0
		}
		return 1
	}
	tenants := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(-cmp.Compare(number(a == config.DefaultTenant), number(b == config.DefaultTenant)), cmp.Compare(a, b))
	})
	for _, tenant := range tenants {
		some := slices.SortedFunc(slices.Values(names[tenant]), func(a, b string) int {
			return cmp.Or(cmp.Compare(rank(tenant, a), rank(tenant, b)), cmp.Compare(a, b))
		})
		some = some[:min(len(some), left)]
		if left -= len(some); len(some) == 0 {
			continue
		}
		standing, err := s.options.Store.Standing(ctx, tenant, some)
		if err != nil {
			return l.known
		}
		found[tenant] = standing
	}
	l.at, l.names, l.known = now, names, found
	return found
}

// collectDestinations sends the standing and holds of destinations.
func (l *collector) collectDestinations(ctx context.Context, c chan<- prometheus.Metric, holds []state.DestinationOnHold, now time.Time) {
	s := l.stats
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	shown := map[[2]string]bool{}
	for tenant, all := range s.destinations.read(ctx, s) {
		for _, d := range all {
			shown[[2]string{tenant, d.Destination}] = true
			gauge(destinationWaiting, float64(d.Waiting), label(tenant, d.Destination))
			gauge(destinationOldest, age(now, d.OldestWaiting), label(tenant, d.Destination))
		}
	}
	for _, h := range holds {
		if shown[[2]string{h.Tenant, h.Destination}] && active(h.Hold, now) {
			gauge(destinationOnHold, 1, label(h.Tenant, h.Destination), string(h.Hold.Kind))
		}
	}
}

// active reports whether a hold has not expired.
func active(h state.Hold, now time.Time) bool { return h.Until.IsZero() || h.Until.After(now) }
