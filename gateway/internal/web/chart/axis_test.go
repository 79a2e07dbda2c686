package chart

import (
	"math"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit  Unit
		value float64
		want  string
	}{
		{Count, 0, "0"},
		{Count, 1204, "1,204"},
		{Count, 1234567.891, "1,234,567.89"},
		{Count, 999.999, "1,000"},
		{Count, 1e300, "1e300"},
		{Count, math.MaxFloat64, "1e300"},
		{Count, nan, ""},
		{Percent, 0.992, "99.2 %"},
		{Percent, 1, "100 %"},
		{Percent, 0, "0 %"},
		{Percent, 0.999999, "> 99.99 %"},
		{Percent, 0.000001, "< 0.01 %"},
		{Milliseconds, 0, "0 ms"},
		{Milliseconds, 180, "180 ms"},
		{Milliseconds, 2134, "2.134 s"},
		{Milliseconds, 59_999, "59.999 s"},
		{Milliseconds, 60_000, "1 min"},
		{Milliseconds, 95_400, "1 min 35 s"},
		{Milliseconds, 119_900, "2 min"},
		{Milliseconds, 3_599_900, "1 h"},
		{Milliseconds, 7_500_000, "2 h 5 min"},
		{Milliseconds, 86_399_999, "1 d"},
		{Milliseconds, 100 * 3600e3, "4 d 4 h"},
		{Milliseconds, 1e15, "11,574,074 d 2 h"},
		{Number, -4, "−4"},
		{Number, -1234.5, "−1,234.5"},
		{Number, 31.25, "31.25"},
	} {
		if got := c.unit.Text(c.value); got != c.want {
			t.Errorf("unit %d of %v is %q, want %q", c.unit, c.value, got, c.want)
		}
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit      Unit
		low, high float64
		want      []string
	}{
		{Count, 0, 0, []string{"0", "1"}},
		{Count, 2, 3, []string{"0", "1", "2", "3"}},
		{Count, 7, 1204, []string{"0", "500", "1,000", "1,500"}},
		{Count, 0, 48_210, []string{"0", "20 k", "40 k", "60 k"}},
		{Count, 0, 3_000_000, []string{"0", "1 M", "2 M", "3 M"}},
		{Percent, 0.4, 0.97, []string{"0 %", "25 %", "50 %", "75 %", "100 %"}},
		{Percent, 0.951, 1, []string{"95 %", "96 %", "97 %", "98 %", "99 %", "100 %"}},
		{Percent, 1, 1, []string{"90 %", "92 %", "94 %", "96 %", "98 %", "100 %"}},
		{Percent, 0, 0.031, []string{"0 %", "1 %", "2 %", "3 %", "4 %"}},
		{Milliseconds, 40, 180, []string{"0", "50 ms", "100 ms", "150 ms", "200 ms"}},
		{Milliseconds, 40, 2134, []string{"0", "1 s", "2 s", "3 s"}},
		{Milliseconds, 40, 90_000, []string{"0", "30 s", "1 min", "1.5 min"}},
		{Milliseconds, 40, 5 * 3600e3, []string{"0", "2 h", "4 h", "6 h"}},
		{Milliseconds, 40, 13 * 24 * 3600e3, []string{"0", "5 d", "10 d", "15 d"}},
		{Number, -60, 44, []string{"−100", "−50", "0", "50"}},
		{Number, -4, -1, []string{"−4", "−3", "−2", "−1", "0"}},
	} {
		s := c.unit.scale(c.low, c.high)
		var got []string
		for _, tick := range s.ticks(c.unit) {
			got = append(got, tick.text)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("unit %d from %v to %v: %s", c.unit, c.low, c.high, diff)
		}
	}
}

// Whatever the values are, the axis holds them, and has few marks, each with a text of its own that fits beside the plot.
func TestScaleHolds(t *testing.T) {
	t.Parallel()
	for unit := Count; unit <= Number; unit++ {
		for exponent := -6; exponent <= 14; exponent++ {
			for mantissa := 1.0; mantissa < 10; mantissa += 0.37 {
				high := mantissa * math.Pow10(exponent)
				for _, low := range []float64{0, high / 3, high * 0.93, high, -high / 2} {
					if low < 0 && unit != Number {
						continue
					}
					s := unit.scale(low, high)
					if s.low > low || s.high < high*(1-1e-9) || s.low >= s.high {
						t.Fatalf("unit %d: %v to %v on an axis of %v to %v", unit, low, high, s.low, s.high)
					}
					ticks := s.ticks(unit)
					if len(ticks) < 2 || len(ticks) > 7 || ticks[0].at != 0 || ticks[len(ticks)-1].at < 1-1e-9 {
						t.Fatalf("unit %d: %v to %v: ticks %v", unit, low, high, ticks)
					}
					for i, tick := range ticks {
						if i > 0 && (ticks[i-1].text == tick.text || ticks[i-1].at >= tick.at) {
							t.Fatalf("unit %d: %v to %v: ticks %v", unit, low, high, ticks)
						}
						if n := utf8.RuneCountInString(tick.text); n > 8 && high < 1e12 && exponent > -3 && (unit != Percent || high < 100) {
							t.Fatalf("unit %d: %v to %v: %q is too long", unit, low, high, tick.text)
						}
					}
				}
			}
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	midnight := noon.Truncate(day)
	for name, c := range map[string]struct {
		steps Steps
		want  []tick
	}{
		"an hour by the minute": {Steps{noon, time.Minute, 60}, []tick{
			{0.5 / 60, "12:00"}, {10.5 / 60, "12:10"}, {20.5 / 60, "12:20"}, {30.5 / 60, "12:30"}, {40.5 / 60, "12:40"}, {50.5 / 60, "12:50"},
		}},
		"a day by the hour": {Steps{noon.Add(time.Hour), time.Hour, 24}, []tick{
			{5.5 / 24, "18:00"}, {11.5 / 24, "29 Nov"}, {17.5 / 24, "06:00"}, {23.5 / 24, "12:00"},
		}},
		"a week by the hour": {Steps{midnight, time.Hour, 144}, []tick{
			{0.5 / 144, "28 Nov"}, {24.5 / 144, "29 Nov"}, {48.5 / 144, "30 Nov"}, {72.5 / 144, "1 Dec"}, {96.5 / 144, "2 Dec"}, {120.5 / 144, "3 Dec"},
		}},
		"days: Mondays": {Steps{midnight, day, 30}, []tick{{2.5 / 30, "30 Nov"}, {9.5 / 30, "7 Dec"}, {16.5 / 30, "14 Dec"}, {23.5 / 30, "21 Dec"}}},
		"a year of days": {Steps{midnight, day, 365}, []tick{
			{34.5 / 365, "Jan 2027"}, {93.5 / 365, "Mar 2027"}, {154.5 / 365, "May 2027"}, {215.5 / 365, "Jul 2027"}, {277.5 / 365, "Sep 2027"}, {338.5 / 365, "Nov 2027"},
		}},
		"one":            {Steps{noon, time.Hour, 1}, []tick{{0.5, "2026-11-28 12:00"}}},
		"one day":        {Steps{midnight, day, 1}, []tick{{0.5, "2026-11-28"}}},
		"no minute":      {Steps{noon.Add(time.Second), time.Second, 10}, []tick{{0.05, "2026-11-28 12:00:01"}}},
		"two, unaligned": {Steps{noon.Add(30 * time.Minute), time.Hour, 2}, []tick{{0.5, "13:00"}, {1, "14:00"}}},
	} {
		got := c.steps.timeTicks()
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tick{}), cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, length := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour, day, 7 * day} {
		for n := 1; n <= MaxPoints; n++ {
			ticks := Steps{noon.Add(time.Duration(n) * 7 * time.Minute), length, n}.timeTicks()
			if len(ticks) < 1 || len(ticks) > maxTimes+1 {
				t.Fatalf("%d × %s: %v", n, length, ticks)
			}
			if !slices.IsSortedFunc(ticks, func(a, b tick) int {
				if a.at < b.at {
					return -1
				}
				return 1
			}) {
				t.Fatalf("%d × %s: %v", n, length, ticks)
			}
		}
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	type count struct {
		at time.Time
		n  int64
	}
	s := StepsOf(noon.Add(7*time.Minute), noon.Add(3*time.Hour), time.Hour)
	if s != (Steps{noon, time.Hour, 3}) {
		t.Fatalf("steps %+v", s)
	}
	of := func(c count) (time.Time, float64) { return c.at, float64(c.n) }
	items := []count{{noon.Add(-time.Minute), 1}, {noon.Add(time.Hour), 2}, {noon.Add(179 * time.Minute), 3}, {noon.Add(3 * time.Hour), 4}}
	if got, want := Values(s, items, 0, of), []float64{0, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Values(s, nil, nan, of); len(got) != 3 || !math.IsNaN(got[0]) {
		t.Errorf("%v", got)
	}
	if s := StepsOf(noon, noon.Add(-time.Hour), time.Hour); s.N != 0 {
		t.Errorf("steps of a span that ends before it begins: %+v", s)
	}
	rate := 0.5
	if Optional(&rate) != 0.5 || !math.IsNaN(Optional(nil)) {
		t.Error("optional values")
	}
}
