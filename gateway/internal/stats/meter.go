package stats

import (
	"math"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxSeries bounds what one family can grow to, whatever names it is told: behind it everything is `other`.
const maxSeries = 2000

// other stands for labels beyond maxSeries.
const other = "other"

// Counter only rises. The zero value is ready.
type Counter struct{ n atomic.Int64 }

// Add counts n more.
func (c *Counter) Add(n int) { c.n.Add(int64(n)) }

// counters is a family of up to two labels. Looking one up takes no lock and no allocation.
type counters struct {
	name, help string
	labels     []string
	mu         sync.Mutex // for adding a series
	series     atomic.Pointer[map[labels]*Counter]
}

type labels [2]string

func newCounters(name, help string, names ...string) *counters {
	c := &counters{name: name, help: help, labels: names}
	c.series.Store(&map[labels]*Counter{})
	return c
}

func (c *counters) of(key labels) *Counter {
	if found := (*c.series.Load())[key]; found != nil {
		return found
	}
	return c.add(key)
}

func (c *counters) add(key labels) *Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.series.Load()
	if found := old[key]; found != nil {
		return found
	}
	if len(old) >= maxSeries {
		for i := range c.labels {
			key[i] = other
		}
		if found := old[key]; found != nil {
			return found
		}
	}
	more := make(map[labels]*Counter, len(old)+1)
	for k, v := range old {
		more[k] = v
	}
	made := &Counter{}
	more[key] = made
	c.series.Store(&more)
	return made
}

func (c *counters) write(t *text) {
	t.head(c.name, c.help, "counter")
	series := *c.series.Load()
	keys := make([]labels, 0, len(series))
	for k := range series {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i][0] < keys[j][0] || keys[i][0] == keys[j][0] && keys[i][1] < keys[j][1]
	})
	for _, k := range keys {
		t.line(c.name, c.labels, k[:len(c.labels)], float64(series[k].n.Load()))
	}
}

// histogram counts whole units (nanoseconds, events) into fixed buckets; unit is what one of them is printed as.
type histogram struct {
	name, help string
	bounds     []int64 // upper, inclusive
	unit       float64
	counts     []atomic.Int64 // one more than bounds
	sum        atomic.Int64
}

func newHistogram(name, help string, unit float64, bounds ...int64) *histogram {
	return &histogram{name: name, help: help, bounds: bounds, unit: unit, counts: make([]atomic.Int64, len(bounds)+1)}
}

// latencies are the buckets of durations, 0.1 ms to 30 s.
func latencies(name, help string) *histogram {
	const ms = int64(time.Millisecond)
	return newHistogram(name, help, 1e-9, ms/10, ms/4, ms/2, ms, 5*ms/2, 5*ms, 10*ms, 25*ms, 50*ms, 100*ms, 250*ms,
		500*ms, 1000*ms, 2500*ms, 5000*ms, 10000*ms, 30000*ms)
}

func (h *histogram) observe(v int64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(v)
}

// write prints the series of one label value more than `le`; names is empty for a histogram of its own.
func (h *histogram) write(t *text, names, values []string) {
	withLe := append(append([]string{}, names...), "le")
	var total int64
	for i := range h.counts {
		total += h.counts[i].Load()
		le := "+Inf"
		if i < len(h.bounds) {
			le = number(float64(h.bounds[i]) * h.unit)
		}
		t.line(h.name+"_bucket", withLe, append(append([]string{}, values...), le), float64(total))
	}
	t.line(h.name+"_sum", names, values, float64(h.sum.Load())*h.unit)
	t.line(h.name+"_count", names, values, float64(total))
}

// text is Prometheus' text format, version 0.0.4.
type text struct{ b []byte }

func (t *text) head(name, help, kind string) {
	t.b = append(t.b, "# HELP "...)
	t.b = append(t.b, name...)
	t.b = append(t.b, ' ')
	t.b = append(t.b, help...)
	t.b = append(t.b, "\n# TYPE "...)
	t.b = append(t.b, name...)
	t.b = append(t.b, ' ')
	t.b = append(t.b, kind...)
	t.b = append(t.b, '\n')
}

func (t *text) line(name string, names, values []string, v float64) {
	t.b = append(t.b, name...)
	for i := range names {
		open := byte(',')
		if i == 0 {
			open = '{'
		}
		t.b = append(t.b, open)
		t.b = append(t.b, names[i]...)
		t.b = append(t.b, '=', '"')
		for j := range len(values[i]) {
			switch c := values[i][j]; c {
			case '\\', '"':
				t.b = append(t.b, '\\', c)
			case '\n':
				t.b = append(t.b, '\\', 'n')
			default:
				t.b = append(t.b, c)
			}
		}
		t.b = append(t.b, '"')
	}
	if len(names) > 0 {
		t.b = append(t.b, '}')
	}
	t.b = append(t.b, ' ')
	t.b = append(t.b, number(v)...)
	t.b = append(t.b, '\n')
}

// gauge is a family of one series without labels.
func (t *text) gauge(name, help string, v float64) {
	t.head(name, help, "gauge")
	t.line(name, nil, nil, v)
}

func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.FormatInt(int64(v), 10)
	}
	// Bounds are whole units times 1e-9: fifteen digits hide what the multiplication adds.
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64)
	if err != nil {
		short = v
	}
	return strconv.FormatFloat(short, 'g', -1, 64)
}
