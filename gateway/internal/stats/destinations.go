package stats

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// maxDestinations is how many destinations have lines of their own: the first by tenant and name. The sums count all.
	maxDestinations = 1000
	// destinationsFor is how long a look at them is believed.
	destinationsFor = 10 * time.Second
)

var (
	destinationWaiting = desc("surveygate_destination_waiting", "Deliveries that wait, by destination.", "destination")
	destinationOldest  = desc("surveygate_destination_oldest_waiting_seconds", "Age of the oldest waiting delivery, by destination; 0 when none waits.", "destination")
	destinationHeld    = desc("surveygate_destination_held", "1 for each destination on hold, by why.", "destination", "kind")
)

// destinationLook is the last look at what waits for single destinations. While the store cannot be asked it stays.
type destinationLook struct {
	mu       sync.Mutex
	at       time.Time
	names    map[string][]string
	backlogs map[string][]state.Backlog // by tenant
}

// look asks the store about the configured destinations.
func (l *destinationLook) look(ctx context.Context, s *Stats) map[string][]state.Backlog {
	if s.options.Destinations == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	names, now := s.options.Destinations(), s.options.Clock.Now()
	if age := now.Sub(l.at); age >= 0 && age < destinationsFor && maps.EqualFunc(names, l.names, slices.Equal[[]string]) {
		return l.backlogs
	}
	found, left := map[string][]state.Backlog{}, maxDestinations
	for _, tenant := range slices.Sorted(maps.Keys(names)) {
		some := slices.Sorted(slices.Values(names[tenant]))
		some = some[:min(len(some), left)]
		if left -= len(some); len(some) == 0 {
			continue
		}
		backlogs, err := s.options.Store.Backlogs(ctx, tenant, some)
		if err != nil {
			return l.backlogs
		}
		found[tenant] = backlogs
	}
	l.at, l.names, l.backlogs = now, names, found
	return found
}

// collectDestinations sends what waits for single destinations, and what holds them.
func (l *look) collectDestinations(ctx context.Context, c chan<- prometheus.Metric, holds []state.DestinationOnHold, now time.Time) {
	s := l.stats
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	shown := map[[2]string]bool{}
	for tenant, backlogs := range s.destinations.look(ctx, s) {
		for _, b := range backlogs {
			shown[[2]string{tenant, b.Destination}] = true
			gauge(destinationWaiting, float64(b.Waiting), label(tenant, b.Destination))
			gauge(destinationOldest, age(now, b.Oldest), label(tenant, b.Destination))
		}
	}
	for _, h := range holds {
		if shown[[2]string{h.Tenant, h.Destination}] && holdsNow(h.Hold, now) {
			gauge(destinationHeld, 1, label(h.Tenant, h.Destination), string(h.Hold.Kind))
		}
	}
}

func holdsNow(h state.Hold, now time.Time) bool { return h.Until.IsZero() || h.Until.After(now) }
