package state

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Each duration is in the bucket whose bounds enclose it, and the bounds are four to each doubling.
func TestBucket(t *testing.T) {
	t.Parallel()
	check := func(d time.Duration, want int) {
		t.Helper()
		if got := int(Bucket(d)); got != want {
			t.Errorf("%v is in bucket %d, want %d", d, got, want)
		}
	}
	check(-time.Second, 0)
	check(0, 0)
	check(math.MaxInt64, LatencyBuckets-1)
	for i := range LatencyBuckets {
		check(Floor(i), i)
		if i > 0 {
			check(Floor(i)-1, i-1)
		}
		if i >= 4 {
			if ratio := float64(Floor(i)) / float64(Floor(i-4)); math.Abs(ratio-2) > 1e-5 {
				t.Errorf("bucket %d begins at %v times bucket %d", i, ratio, i-4)
			}
		}
	}
	if Floor(0) != time.Millisecond || Floor(LatencyBuckets-1) < 30*24*time.Hour || Floor(-1) != Floor(0) || Floor(1000) != Floor(LatencyBuckets-1) {
		t.Errorf("buckets reach from %v to %v", Floor(0), Floor(LatencyBuckets-1))
	}
}

// A percentile is within 9.1 % of that of the durations themselves.
func TestPercentile(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var l Latencies
	for range 3000 {
		d := time.Duration(float64(time.Millisecond) * math.Exp2(18*r.Float64()))
		all = append(all, d)
		l = l.Merge(Latencies{{Bucket(d), 1}})
	}
	slices.Sort(all)
	if l.Total() != int64(len(all)) {
		t.Errorf("%d durations, want %d", l.Total(), len(all))
	}
	for _, p := range []float64{.1, 1, 50, 90, 95, 99, 99.9, 100} {
		exact := all[int(math.Ceil(float64(len(all))*p/100))-1]
		if got := l.Percentile(p); math.Abs(float64(got)/float64(exact)-1) > .091 {
			t.Errorf("p%v is %v, want about %v", p, got, exact)
		}
	}
	if got := Latencies(nil).Percentile(50); got != 0 {
		t.Errorf("of none: %v", got)
	}
}

func TestMergeLatencies(t *testing.T) {
	t.Parallel()
	a, b := Latencies{{1, 1}, {5, 2}, {7, 3}}, Latencies{{0, 9}, {5, 4}, {100, 1}}
	want := Latencies{{0, 9}, {1, 1}, {5, 6}, {7, 3}, {100, 1}}
	for _, got := range []Latencies{a.Merge(b), b.Merge(a), want.Merge(nil), Latencies(nil).Merge(want)} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if len(a) != 3 || a[1].N != 2 || b[1].N != 4 {
		t.Errorf("changed: %v, %v", a, b)
	}
}

// Cell and Time reverse each other over all borders, and periods rise with time.
func TestCellsOfSteps(t *testing.T) {
	t.Parallel()
	for _, step := range StatSteps {
		at := step.Start(time.Date(1968, 12, 30, 22, 0, 0, 0, time.UTC))
		last, lastUnit := step.Cell(at.Add(-step.Length()))
		for range 2000 {
			period, unit := step.Cell(at.Add(step.Length() - 1))
			if got := step.Time(period, unit); !got.Equal(at) || unit < 0 || unit >= step.Units() {
				t.Fatalf("%s %v is unit %d of %d, which is %v", step, at, unit, period, got)
			}
			if start := step.Start(at.Add(step.Length() - 1)); !start.Equal(at) {
				t.Fatalf("%s %v begins at %v", step, at, start)
			}
			if !(period == last && unit == lastUnit+1 || period == last+1 && unit == 0) {
				t.Fatalf("%s %v is unit %d of %d, behind %d of %d", step, at, unit, period, lastUnit, last)
			}
			last, lastUnit, at = period, unit, at.Add(step.Length())
		}
	}
}

// A busy minute takes about 40 bytes, few events a dozen.
func TestSizeOfCounts(t *testing.T) {
	t.Parallel()
	busy := Count{}
	busy.Counts[AttemptsDelivered], busy.Counts[AttemptsRetry], busy.Counts[EndedDelivered] = 240, 3, 240
	for i := range 9 {
		busy.Took = append(busy.Took, LatencyCount{uint8(24 + i), int64(60 - 6*i)})
		busy.Age = append(busy.Age, LatencyCount{uint8(26 + i), int64(60 - 6*i)})
	}
	busy.Age = append(busy.Age, LatencyCount{70, 3})
	few := Count{Took: Latencies{{30, 1}}, Age: Latencies{{31, 1}}}
	few.Counts[AttemptsDelivered], few.Counts[EndedDelivered] = 1, 1
	for _, x := range []struct {
		c    Count
		most int
	}{{busy, 40}, {few, 12}, {Count{}, 4}} {
		if n := len(AppendCount(nil, &x.c)); n > x.most {
			t.Errorf("%d bytes, want at most %d", n, x.most)
		}
	}
}

// What is packed reads as it was, and any other bytes are corrupt or a count, without a huge allocation.
func FuzzCount(f *testing.F) {
	f.Add(int64(1), []byte{statV1, 0, 0, 0})
	f.Add(int64(7), []byte{statV1, 1, 5, 3, 100, 1, 0, 200})
	f.Add(int64(9), []byte{statV1 + 1})
	f.Fuzz(func(t *testing.T, seed int64, raw []byte) {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		var c, got Count
		for i := range c.Counts {
			if r.IntN(2) == 0 {
				c.Counts[i] = r.Int64() >> r.IntN(63)
			}
		}
		for _, l := range []*Latencies{&c.Took, &c.Age} {
			for b := r.IntN(2 * LatencyBuckets); b < LatencyBuckets; b += 1 + r.IntN(1+r.IntN(LatencyBuckets)) {
				*l = append(*l, LatencyCount{uint8(b), 1 + r.Int64()>>(1+r.IntN(62))})
			}
		}
		if err := ReadCount(AppendCount(nil, &c), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		var bad Count
		if err := ReadCount(raw, &bad); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bad.Took.valid() || !bad.Age.valid() || slices.Min(bad.Counts[:]) < 0 {
			t.Fatalf("%q reads as %+v", raw, bad)
		}
		if err := ReadCount(AppendCount(nil, &bad), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(bad, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
