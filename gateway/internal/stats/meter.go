package stats

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// maxSeries bounds what one family can grow to, whatever names it is told: behind it everything is `other`.
const maxSeries = 2000

// other stands for names beyond maxSeries.
const other = "other"

// labels are what tells a family's series apart; none has more than four. The first are names, of which there may be many;
// what follows is of a small set.
type labels [4]string

// handles is a family whose series are found without a lock, an allocation or a hash of label names.
type handles[T any] struct {
	make   func(labels) T
	names  int        // how many of the labels are names: beyond maxSeries the first is `other`
	mu     sync.Mutex // for adding a series
	series atomic.Pointer[map[labels]T]
}

func newHandles[T any](names int, make func(labels) T) *handles[T] {
	h := &handles[T]{make: make, names: names}
	h.series.Store(&map[labels]T{})
	return h
}

func (h *handles[T]) of(key labels) T {
	if found, ok := (*h.series.Load())[key]; ok {
		return found
	}
	return h.add(key)
}

func (h *handles[T]) add(key labels) T {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := *h.series.Load()
	if found, ok := old[key]; ok {
		return found
	}
	if len(old) >= maxSeries {
		for i := range h.names {
			key[i] = ""
		}
		key[0] = other
		if found, ok := old[key]; ok {
			return found
		}
	}
	more := make(map[labels]T, len(old)+1)
	maps.Copy(more, old)
	made := h.make(key)
	more[key] = made
	h.series.Store(&more)
	return made
}

// counters registers a family of counters: of a tenant's sources or destinations, which are its first label, and of others.
func counters(r prometheus.Registerer, name, help, of string, others ...string) *handles[*Counter] {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{of}, others...))
	r.MustRegister(vec)
	return newHandles(2, func(l labels) *Counter {
		return &Counter{vec.WithLabelValues(append([]string{label(l[0], l[1])}, l[2:2+len(others)]...)...)}
	})
}

// label is how a source or destination is called: its name, with its tenant before it unless that is `default`.
func label(tenant, name string) string {
	switch {
	case name == "":
		return tenant // other
	case tenant == "default":
		return name
	}
	return tenant + "/" + name
}

// Counter only rises.
type Counter struct{ c prometheus.Counter }

// Add counts n more.
func (c *Counter) Add(n int) { c.c.Add(float64(n)) }

// latencies are the buckets of durations in seconds.
var latencies = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func durations(r prometheus.Registerer, name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencies})
	r.MustRegister(h)
	return h
}
