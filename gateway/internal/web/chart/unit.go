package chart

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit is what values are, and how they read.
type Unit int

// Count is a number of things. Percent is a part of one: 0.992 reads as 99.2 %. Milliseconds read as ms, s, min, h or days. Number is
// a level that may be negative, such as an NPS.
const (
	Count Unit = iota
	Percent
	Milliseconds
	Number
)

// Text is a value as tables and readers of the screen are told it: exactly where that is short. It is empty for NaN.
func (u Unit) Text(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	v = bounded(v)
	switch u {
	case Percent:
		percent := round(v*100, 2)
		switch {
		case v > 0 && percent == 0:
			return "< 0.01 %"
		case v < 1 && percent == 100:
			return "> 99.99 %"
		}
		return grouped(percent) + " %"
	case Milliseconds:
		return milliseconds(v)
	}
	return grouped(round(v, 2))
}

// scale is the axis of values: from low to high, with a mark at each multiple of step.
type scale struct {
	low, high, step float64
}

// Marks are few: their texts must not touch, and the lines are there to be compared with, not to be counted.
const marks = 4

// highPercents are the axes of percentages near 100: low and step. The last whose low is below all values is taken.
var highPercents = [][2]float64{{0, 0.25}, {0.5, 0.1}, {0.8, 0.05}, {0.9, 0.02}, {0.95, 0.01}, {0.98, 0.005}, {0.99, 0.002}}

// durationSteps are the steps of an axis of durations, in milliseconds.
var durationSteps = []float64{
	1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3,
	3600e3, 7200e3, 3 * 3600e3, 6 * 3600e3, 12 * 3600e3, 24 * 3600e3,
}

// scale returns the axis for values from low to high.
func (u Unit) scale(low, high float64) scale {
	if u == Percent && high > 0.5 && high <= 1 && low >= 0 {
		at := highPercents[0]
		for _, axis := range highPercents {
			if axis[0] < low && (low < 1 || axis[0] <= 0.9) {
				at = axis
			}
		}
		return scale{low: at[0], high: 1, step: at[1]}
	}
	low, high = min(low, 0), max(high, 0)
	if high-low < 1e-9 {
		high = low + 1
	}
	step := nice((high - low) / marks)
	switch {
	case u == Count && step < 1 && high >= 1:
		step = 1
	case u == Milliseconds:
		const dayLong = 24 * 3600e3
		if step > dayLong {
			step = dayLong * nice((high-low)/marks/dayLong)
		}
		for i := len(durationSteps) - 1; i >= 0 && step <= dayLong && durationSteps[i]*marks >= high-low; i-- {
			step = durationSteps[i]
		}
	}
	return scale{low: math.Floor(low/step) * step, high: math.Ceil(high/step) * step, step: step}
}

// nice returns the smallest of 1, 2 and 5 times a power of ten that is not below v.
func nice(v float64) float64 {
	power := math.Pow10(int(math.Floor(math.Log10(v))))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= v {
			return f * power
		}
	}
	return 10 * power
}

// share returns where a value is on the axis, from 0 to 1.
func (s scale) share(v float64) float64 {
	return min(max((v-s.low)/(s.high-s.low), 0), 1)
}

// ticks are the marks of the axis.
func (s scale) ticks(u Unit) []tick {
	var ticks []tick
	for i := range int(math.Round((s.high-s.low)/s.step)) + 1 {
		v := s.low + float64(i)*s.step
		if math.Abs(v) < s.step/2 {
			v = 0
		}
		ticks = append(ticks, tick{s.share(v), u.label(v)})
	}
	return ticks
}

// label is a value on an axis: short.
func (u Unit) label(v float64) string {
	switch u {
	case Percent:
		return decimal(significant(v*100)) + " %"
	case Milliseconds:
		if v == 0 {
			return "0"
		}
		for _, unit := range []struct {
			length float64
			name   string
		}{{24 * 3600e3, " d"}, {3600e3, " h"}, {60e3, " min"}, {1e3, " s"}} {
			if v >= unit.length {
				return short(v/unit.length) + unit.name
			}
		}
		return decimal(significant(v)) + " ms"
	}
	return short(v)
}

// short writes large numbers with k, M, G or T.
func short(v float64) string {
	size := math.Abs(v)
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e4, " k"}} {
		if size >= unit.size && size < 1e15 {
			if unit.size == 1e4 {
				unit.size = 1e3
			}
			return decimal(significant(v/unit.size)) + unit.name
		}
	}
	return grouped(significant(v))
}

// milliseconds writes a duration exactly below a minute, and in its two largest units above.
func milliseconds(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = minus, -v
	}
	switch {
	case v < 1e3:
		return sign + decimal(round(v, 2)) + " ms"
	case v < 60e3:
		return sign + decimal(round(v/1e3, 3)) + " s"
	}
	units := []struct {
		length float64
		name   string
	}{{24 * 3600e3, " d"}, {3600e3, " h"}, {60e3, " min"}, {1e3, " s"}}
	for i, unit := range units[:len(units)-1] {
		// The smaller of the two units is rounded first: 59.9 s is a minute, and not "60 s".
		small := units[i+1]
		parts := math.Round(v / small.length)
		each := math.Round(unit.length / small.length)
		if parts < each {
			continue
		}
		whole, rest := math.Floor(parts/each), math.Mod(parts, each)
		text := sign + grouped(whole) + unit.name
		if rest > 0 {
			text += " " + decimal(rest) + small.name
		}
		return text
	}
	return sign + decimal(round(v/1e3, 0)) + " s"
}

// duration writes a duration.
func duration(d time.Duration) string {
	return milliseconds(float64(d) / float64(time.Millisecond))
}

// round rounds to so many places after the point; values too large for that stay.
func round(v float64, places int) float64 {
	unit := math.Pow10(places)
	if math.Abs(v) >= 1e15 {
		return v
	}
	return math.Round(v*unit) / unit
}

// significant rounds to four digits, which is what the marks of an axis have at most.
func significant(v float64) float64 {
	if v == 0 || math.Abs(v) >= 1e15 {
		return v
	}
	return round(v, 3-int(math.Floor(math.Log10(math.Abs(v)))))
}

const minus = "−"

// decimal writes a number with as many digits as it has, but not the zeros of an enormous one.
func decimal(v float64) string {
	if size := math.Abs(v); size >= 1e15 || size < 1e-6 && size > 0 {
		text := strconv.FormatFloat(v, 'g', 3, 64)
		return strings.ReplaceAll(strings.ReplaceAll(text, "e+", "e"), "-", minus)
	}
	if v < 0 {
		return minus + strconv.FormatFloat(-v, 'f', -1, 64)
	}
	return strconv.FormatFloat(math.Abs(v), 'f', -1, 64) // Abs: not -0
}

// grouped is decimal with a comma between thousands.
func grouped(v float64) string {
	text := decimal(v)
	if math.Abs(v) < 1e3 || math.Abs(v) >= 1e15 {
		return text
	}
	whole, fraction, found := strings.Cut(strings.TrimPrefix(text, minus), ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + fraction
	}
	if v < 0 {
		return minus + whole
	}
	return whole
}
