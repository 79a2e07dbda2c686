package stats

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/surveygate/surveygate/rules/event"
)

// maxSeries limits the series of a metric; further names are counted as `other`, but for public ones, whose number the files limit.
const maxSeries = 2000

// other is the label of names beyond maxSeries, and of those that are not public.
const other = "other"

// ownSource is the source of what is published through the API.
const ownSource = event.DefaultSource

// labels identify a series of a metric. The first are names, of which there may be many; the others come from small sets.
type labels [4]string

// handles holds the series of a metric. They are looked up without a lock, an allocation or a hash of label names.
type handles[T any] struct {
	make   func(labels) T
	names  int               // how many labels are names, which are replaced by `other` beyond maxSeries
	public func(labels) bool // whether a series stays apart beyond maxSeries; nil: none does
	mu     sync.Mutex        // for adding a series
	series atomic.Pointer[map[labels]T]
}

func newHandles[T any](names int, public func(labels) bool, make func(labels) T) *handles[T] {
	h := &handles[T]{make: make, names: names, public: public}
	h.series.Store(&map[labels]T{})
	return h
}

func (h *handles[T]) get(key labels) T {
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
	if len(old) >= maxSeries && (h.public == nil || !h.public(key)) {
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

// counters registers a metric of counters. first is the label for a tenant's source or destination, whose tenant and name are the
// first two of labels.
func counters(r prometheus.Registerer, public func(labels) bool, name, help, first string, others ...string) *handles[*Counter] {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{first}, others...))
	r.MustRegister(vec)
	return newHandles(2, public, func(l labels) *Counter {
		return &Counter{vec.WithLabelValues(append([]string{label(l[0], l[1])}, l[2:2+len(others)]...)...)}
	})
}

// label returns the label of a source or destination: its name, prefixed by its tenant unless that is `default`.
func label(tenant, name string) string {
	switch {
	case name == "":
		return tenant // other
	case tenant == "default":
		return name
	}
	return tenant + "/" + name
}

// Counter is a monotonic counter.
type Counter struct{ c prometheus.Counter }

// Add adds n.
func (c *Counter) Add(n int) { c.c.Add(float64(n)) }

// latencies are the buckets of durations in seconds.
var latencies = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func durations(r prometheus.Registerer, name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencies})
	r.MustRegister(h)
	return h
}
