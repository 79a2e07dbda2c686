package chart

import (
	"html/template"
	"math"
	"strconv"
)

// sparkWidth and sparkHeight are the units of a spark line, which is stretched to the place that the style sheet gives it.
const (
	sparkWidth, sparkHeight = 160, 28
	maxSparks               = 60
)

// Spark is a small chart without axes, for a tile or a row of a table: 24 to 60 values.
type Spark struct {
	// Title says what it is, for screen readers and under the pointer: "warehouse, attempts an hour, last 24 hours".
	Title string
	Class string // optional: a name that the style sheet knows
	Unit  Unit   // of the values, in the title
	// Values are one a step, the oldest first. NaN and infinite ones are absent. More than 60 are merged.
	Values []float64
	Merge  Merge
	// Part, if it is there, is a part of each value, which Bars draws over it: the failed ones of attempts. PartName says what it is.
	Part     []float64
	PartName string
	// Low is the value at the bottom. Zero suits counts; of success rates near one, only a higher one shows the difference.
	Low float64
}

// Bars draws a bar for each value, the last in full strength. A value is at least a little high, an absent one is not there. Their places
// are whole numbers, because a list has many of them.
func (s *Spark) Bars() template.HTML {
	return s.draw(true, func(w *page, values []float64, share func(float64) float64) {
		bars := func(class string, values []float64, from, to int) {
			w.raw(`<path class="`, class, `" d="`)
			for i := from; i < to; i++ {
				if !math.IsNaN(values[i]) && (class != "part" || values[i] > 0) {
					w.command('M', float64(i), -math.Round(max((sparkHeight-1)*share(values[i]), leastHigh(values[i]-s.Low))))
					w.command('V', 0)
				}
			}
			w.raw(`"/>`)
		}
		bars("past", values, 0, len(values)-1)
		bars("last", values, len(values)-1, len(values))
		if part := s.merged(s.Part); len(part) == len(values) {
			bars("part", part, 0, len(part))
		}
	})
}

// leastHigh tells a value at the bottom from one just above it, and both from none.
func leastHigh(above float64) float64 {
	if above > 0 {
		return 3
	}
	return 1
}

// Line draws a line through the values over a surface, with gaps where they are absent.
func (s *Spark) Line() template.HTML {
	return s.draw(false, func(w *page, values []float64, share func(float64) float64) {
		wide := sparkWidth / float64(len(values))
		x := func(at int) float64 { return wide * (float64(at) + 0.5) }
		y := func(at int) float64 { return sparkHeight - 2 - (sparkHeight-4)*share(values[at]) }
		w.raw(`<path class="area" fill="currentColor" fill-opacity=".12" d="`)
		area(w, values, x, y, sparkHeight)
		w.raw(`"/><path class="last" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round" vector-effect="non-scaling-stroke" d="`)
		line(w, values, x, y, wide*0.2)
		w.raw(`"/>`)
	})
}

// draw writes everything around the marks. With steps each value has one unit of the width, its middle is at a whole number, and zero is
// below.
func (s *Spark) draw(steps bool, marks func(w *page, values []float64, share func(float64) float64)) template.HTML {
	values := s.merged(s.Values)
	highest := math.NaN()
	for _, v := range values {
		highest = Max.of(highest, v)
	}
	var w page
	w.raw(`<svg class="spark`)
	w.classToo(s.Class)
	if steps && !math.IsNaN(highest) {
		w.raw(`" viewBox="-.5 -28 `, strconv.Itoa(len(values)), ` 28" stroke="currentColor" stroke-width=".8"`)
	} else {
		w.raw(`" viewBox="0 0 160 28" fill="none"`)
	}
	w.raw(` preserveAspectRatio="none" role="img"><title>`)
	w.text(s.Title + ": " + s.Unit.extent(values))
	if len(s.Part) > 0 {
		w.text("; " + s.PartName + ": " + s.Unit.extent(s.merged(s.Part)))
	}
	w.raw(`</title>`)
	if math.IsNaN(highest) {
		w.raw(`<path class="none" stroke="currentColor" stroke-opacity=".4" stroke-dasharray="3 3" vector-effect="non-scaling-stroke" d="M0 27H160"/>`)
	} else {
		low := bounded(s.Low)
		marks(&w, values, func(v float64) float64 {
			if highest <= low {
				return 0
			}
			return max((v-low)/(highest-low), 0)
		})
	}
	w.raw(`</svg>`)
	return w.html()
}

// merged returns values, checked and at most maxSparks.
func (s *Spark) merged(all []float64) []float64 {
	factor := (len(all) + maxSparks - 1) / maxSparks
	if factor == 0 {
		return nil
	}
	values := absent((len(all)-1)/factor + 1)
	for i, v := range all {
		values[i/factor] = s.Merge.of(values[i/factor], bounded(v))
	}
	return values
}
