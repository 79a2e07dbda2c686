package state

import (
	"encoding/binary"
	"fmt"
)

// statV1 is the version of the form of a packed Count.
const statV1 = 1

// AppendCount packs the counts of a Count, without what it is of: a version; a bit for each counter that is not 0, and these
// counters; Took and Age. All numbers are varints. A busy minute takes about 40 bytes.
func AppendCount(b []byte, c *Count) []byte {
	b = append(b, statV1)
	var some uint64
	for i, n := range c.Counts {
		if n != 0 {
			some |= 1 << i
		}
	}
	b = binary.AppendUvarint(b, some)
	for _, n := range c.Counts {
		if n != 0 {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return appendLatencies(appendLatencies(b, c.Took), c.Age)
}

// appendLatencies writes how many buckets the span from the first to the last has, the first, and the counts of the span. Buckets
// without a count are a 0 and how many more follow it.
func appendLatencies(b []byte, l Latencies) []byte {
	first, last := -1, -1
	for _, c := range l {
		if c.N != 0 {
			if first < 0 {
				first = int(c.Bucket)
			}
			last = int(c.Bucket)
		}
	}
	if first < 0 {
		return append(b, 0)
	}
	b = append(b, byte(last-first+1), byte(first))
	next := first
	for _, c := range l {
		if c.N == 0 {
			continue
		}
		if gap := int(c.Bucket) - next; gap > 0 {
			b = append(b, 0, byte(gap-1))
		}
		b = binary.AppendUvarint(b, uint64(c.N))
		next = int(c.Bucket) + 1
	}
	return b
}

// ReadCount reads what AppendCount packed into a Count, whose other fields it leaves alone. The error is ErrCorrupt; another
// version is one too.
func ReadCount[B []byte | string](b B, c *Count) error {
	r := RecordReader[B]{Rest: b}
	readCounters(&r, c)
	c.Took, c.Age = readLatencies(&r), readLatencies(&r)
	if len(r.Rest) > 0 {
		r.Fail()
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}

// ReadCounters is ReadCount without Took and Age, which become nil.
func ReadCounters[B []byte | string](b B, c *Count) error {
	r := RecordReader[B]{Rest: b}
	readCounters(&r, c)
	c.Took, c.Age = nil, nil
	if err := r.Err(); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}

func readCounters[B []byte | string](r *RecordReader[B], c *Count) {
	r.Version(statV1)
	some := r.Uint()
	if some >= 1<<MaxCounters {
		r.Fail()
	}
	for i := range c.Counts {
		c.Counts[i] = 0
		if some>>i&1 == 1 {
			c.Counts[i] = readCounter(r)
		}
	}
}

func readCounter[B []byte | string](r *RecordReader[B]) int64 {
	n := int64(r.Uint())
	if n < 0 {
		r.Fail()
	}
	return n
}

func readLatencies[B []byte | string](r *RecordReader[B]) Latencies {
	span := int(r.Byte())
	if span == 0 || r.Bad() {
		return nil
	}
	bucket := int(r.Byte())
	end := bucket + span
	if end > LatencyBuckets {
		r.Fail()
		return nil
	}
	l := make(Latencies, 0, min(span, len(r.Rest)))
	for bucket < end && !r.Bad() {
		n := readCounter(r)
		if n == 0 {
			bucket += int(r.Byte()) + 1
			continue
		}
		l = append(l, LatencyCount{uint8(bucket), n})
		bucket++
	}
	if bucket > end {
		r.Fail()
	}
	return l
}
