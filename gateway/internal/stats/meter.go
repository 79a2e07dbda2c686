package stats

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/surveygate/surveygate/rules/event"
)

// maxSeries limits the series of a metric. Further names are counted as `other`, but for public ones: they stay apart for as long as
// the files define them.
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
	names  int                         // how many labels are names, which are replaced by `other` beyond maxSeries
	public func(labels) bool           // whether a series stays apart beyond maxSeries; nil: none does
	drop   func(of labels, from, to T) // ends a series, and adds what it counted, and still will, to another one

	series atomic.Pointer[map[labels]T]

	mu     sync.Mutex          // guards what follows, and adding to series
	fresh  map[labels]T        // series that the map above lacks
	misses int                 // how often a series was looked for that the map above lacks; see add
	beyond map[labels]struct{} // series that are there beyond maxSeries because they were public when they were made
	dropAt int                 // how many there must be to look for those that are no longer public
}

func newHandles[T any](make func(labels) T) *handles[T] {
	h := &handles[T]{make: make, fresh: map[labels]T{}, beyond: map[labels]struct{}{}, dropAt: maxSeries}
	h.series.Store(&map[labels]T{})
	return h
}

func (h *handles[T]) get(key labels) T {
	if found, ok := (*h.series.Load())[key]; ok {
		return found
	}
	return h.add(key)
}

// add returns a series that the map without a lock lacks, and makes it if there is none. The map is made anew once it was missed as
// often as it has entries, so that a series costs the same however many there are.
func (h *handles[T]) add(key labels) T {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.find(key)
	if h.misses++; len(h.fresh) > 0 && h.misses >= len(*h.series.Load()) {
		h.renew(nil)
	}
	return got
}

// find returns a series, and makes it if there is none. h.mu is held.
func (h *handles[T]) find(key labels) T {
	for _, all := range []map[labels]T{*h.series.Load(), h.fresh} {
		if found, ok := all[key]; ok {
			return found
		}
	}
	if key != h.otherOf(key) && h.len() >= maxSeries {
		if h.public == nil || !h.public(key) {
			return h.find(h.otherOf(key))
		}
		if len(h.beyond) >= h.dropAt {
			h.dropFormer()
		}
		h.beyond[key] = struct{}{}
	}
	made := h.make(key)
	h.fresh[key] = made
	return made
}

func (h *handles[T]) otherOf(key labels) labels {
	for i := range h.names {
		key[i] = ""
	}
	if h.names > 0 {
		key[0] = other
	}
	return key
}

func (h *handles[T]) len() int { return len(*h.series.Load()) + len(h.fresh) }

// dropFormer drops the series beyond maxSeries that are no longer public, as of webhooks that reloads renamed. h.mu is held.
func (h *handles[T]) dropFormer() {
	former := map[labels]T{}
	for key := range h.beyond {
		if !h.public(key) {
			former[key] = h.find(key)
			delete(h.beyond, key)
		}
	}
	for key, from := range former {
		h.drop(key, from, h.find(h.otherOf(key)))
	}
	h.renew(former)
	h.dropAt = max(maxSeries, 2*len(h.beyond))
}

// renew makes the map that is read without a lock anew, with the fresh series and without some others. h.mu is held.
func (h *handles[T]) renew(without map[labels]T) {
	old := *h.series.Load()
	all := make(map[labels]T, len(old)+len(h.fresh))
	maps.Copy(all, old)
	maps.Copy(all, h.fresh)
	for key := range without {
		delete(all, key)
	}
	h.series.Store(&all)
	h.fresh, h.misses = map[labels]T{}, 0
}

// counters registers a metric of counters. first is the label for a tenant's source or destination, whose tenant and name are the
// first two of labels.
func counters(r prometheus.Registerer, public func(labels) bool, name, help, first string, others ...string) *handles[*Counter] {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{first}, others...))
	r.MustRegister(vec)
	values := func(l labels) []string { return append([]string{label(l[0], l[1])}, l[2:2+len(others)]...) }
	h := newHandles(func(l labels) *Counter {
		c := &Counter{}
		c.in.Store(&series{vec.WithLabelValues(values(l)...)})
		return c
	})
	h.names, h.public = 2, public
	h.drop = func(of labels, from, to *Counter) {
		if label(of[0], of[1]) == other {
			return // a name like that shares its series
		}
		vec.DeleteLabelValues(values(of)...)
		from.goOnIn(to)
	}
	return h
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

// Counter is a monotonic counter. It stays valid when its series is dropped: it then counts in that of `other`.
type Counter struct{ in atomic.Pointer[series] }

type series struct{ prometheus.Counter }

// Add adds n.
func (c *Counter) Add(n int) { c.in.Load().Add(float64(n)) }

// goOnIn moves what was counted to another counter, where it is counted from now on. What is added at the same moment may be lost.
func (c *Counter) goOnIn(to *Counter) {
	in := to.in.Load()
	var counted dto.Metric
	if was := c.in.Swap(in); was.Write(&counted) == nil {
		in.Add(counted.GetCounter().GetValue())
	}
}

// latencies are the buckets of durations in seconds.
var latencies = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func durations(r prometheus.Registerer, name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencies})
	r.MustRegister(h)
	return h
}
