package state

import (
	"math"
	"math/bits"
	"time"
)

// LatencyBuckets is how many buckets there are: four to each doubling, from 1 ms to 49 days. The last holds everything longer.
const LatencyBuckets = 128

// Latencies counts durations by buckets: only those that have a count, in their order. Bucket i holds durations from Floor(i) up to
// Floor(i+1), the first also shorter ones. The zero value is empty.
type Latencies []LatencyCount

// LatencyCount is the count of one bucket.
type LatencyCount struct {
	Bucket uint8
	N      int64
}

var floors = func() (all [LatencyBuckets]time.Duration) {
	for i := range all {
		all[i] = time.Duration(math.Ceil(float64(time.Millisecond) * math.Exp2(float64(i)/4)))
	}
	return all
}()

// Floor returns the shortest duration of a bucket.
func Floor(bucket int) time.Duration { return floors[min(max(bucket, 0), LatencyBuckets-1)] }

// Bucket returns the bucket of a duration.
func Bucket(d time.Duration) uint8 {
	if d < time.Millisecond {
		return 0
	}
	i := 4 * (bits.Len64(uint64(d/time.Millisecond)) - 1)
	if i >= LatencyBuckets {
		return LatencyBuckets - 1
	}
	for i+1 < LatencyBuckets && d >= floors[i+1] {
		i++
	}
	return uint8(i)
}

// valid reports whether the buckets exist and are in order, each once, with counts that are not negative.
func (l Latencies) valid() bool {
	last := -1
	for _, c := range l {
		if int(c.Bucket) <= last || c.Bucket >= LatencyBuckets || c.N < 0 {
			return false
		}
		last = int(c.Bucket)
	}
	return true
}

// Total returns how many durations were counted.
func (l Latencies) Total() (n int64) {
	for _, c := range l {
		n += c.N
	}
	return n
}

// Merge returns the sum of both, and changes neither.
func (l Latencies) Merge(o Latencies) Latencies {
	if len(l) == 0 {
		return o
	}
	if len(o) == 0 {
		return l
	}
	sum := make(Latencies, 0, len(l)+len(o))
	for len(l) > 0 && len(o) > 0 {
		switch {
		case l[0].Bucket < o[0].Bucket:
			sum, l = append(sum, l[0]), l[1:]
		case l[0].Bucket > o[0].Bucket:
			sum, o = append(sum, o[0]), o[1:]
		default:
			sum, l, o = append(sum, LatencyCount{l[0].Bucket, l[0].N + o[0].N}), l[1:], o[1:]
		}
	}
	return append(append(sum, l...), o...)
}

// Percentile returns the duration that p percent of all did not exceed: the geometric middle of its bucket, which is within 9.1 % of
// the exact one. p is above 0 and up to 100. Without any it returns 0.
func (l Latencies) Percentile(p float64) time.Duration {
	total := l.Total()
	rank := max(int64(math.Ceil(float64(total)*p/100)), 1)
	for _, c := range l {
		if rank -= c.N; rank <= 0 {
			return time.Duration(float64(floors[c.Bucket]) * math.Exp2(1./8))
		}
	}
	return 0
}
