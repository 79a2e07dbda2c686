package chart

import (
	"math"
	"slices"
)

// Pixels of a chart: the margin above, the height of the plot, and what is below it for times. Values stand left of it, outside.
const (
	top, height, bottom = 8, 160, 24
	slot                = 10 // a step's width in the plot, which is stretched to the width of the page
)

// maxHits bounds the steps that show their values under the pointer: each costs some 150 bytes.
const maxHits = 60

// frame draws the axes, and calls marks to draw into the plot, whose coordinates are slot × N wide and height high.
//
// Text would be stretched with the plot. So the outer SVG has no viewBox: its unit is the pixel of the page, and its texts are placed
// by shares of the width. The marks are in an SVG in it that is stretched. A line keeps its width by vector-effect.
func frame(w *page, p *plot, s scale, marks func()) {
	w.raw(`<g class="axis-y" font-size="11" text-anchor="end" fill="currentColor">`)
	ticks := s.ticks(p.Unit)
	for _, t := range ticks {
		w.raw(`<text x="-8" y="`)
		w.number(top + height*(1-t.at) + 4)
		w.raw(`">`)
		w.text(t.text)
		w.raw(`</text>`)
	}
	w.raw(`<text x="-8" y="`)
	w.number(top + height + 18)
	w.raw(`">UTC</text></g><svg viewBox="0 0 `)
	w.number(slot * float64(p.steps.N))
	w.raw(` `)
	w.number(height)
	w.raw(`" preserveAspectRatio="none" y="`)
	w.number(top)
	w.raw(`" width="100%" height="`)
	w.number(height)
	w.raw(`" overflow="visible" stroke="currentColor">`)
	w.raw(`<path class="grid" vector-effect="non-scaling-stroke" stroke-opacity=".2" d="`)
	for _, t := range ticks {
		w.command('M', 0, height*(1-t.at))
		w.command('H', slot*float64(p.steps.N))
	}
	w.raw(`"/>`)
	if s.low <= 0 {
		w.raw(`<path class="base" vector-effect="non-scaling-stroke" stroke-opacity=".5" d="`)
		w.command('M', 0, height*(1-s.share(0)))
		w.command('H', slot*float64(p.steps.N))
		w.raw(`"/>`)
	}
	marks()
	hits(w, p)
	w.raw(`</svg><g class="axis-x" font-size="11" fill="currentColor">`)
	times := p.steps.timeTicks()
	for i, t := range times {
		anchor := "middle"
		switch { // the text of the first and of the last stays in the figure
		case t.at < 0.04:
			anchor = "start"
		case t.at > 0.96:
			anchor = "end"
		}
		w.raw(`<text`)
		if i%2 == 1 && len(times) > 4 {
			w.raw(` class="alt"`) // not shown where there is little room
		}
		w.raw(` text-anchor="`, anchor, `" x="`)
		w.number(100 * t.at)
		w.raw(`%" y="`)
		w.number(top + height + 18)
		w.raw(`">`)
		w.text(t.text)
		w.raw(`</text>`)
	}
	w.raw(`</g>`)
}

// hits adds a column over each step, which shows its values while the pointer is on it.
func hits(w *page, p *plot) {
	if p.steps.N > maxHits {
		return
	}
	w.raw(`<g class="hits" fill="none" stroke="none" pointer-events="all">`)
	for i := range p.steps.N {
		w.raw(`<rect x="`)
		w.number(slot * float64(i))
		w.raw(`" width="`)
		w.number(slot)
		w.raw(`" height="`)
		w.number(height)
		w.raw(`"><title>`, p.steps.name(i), " UTC")
		for s, values := range p.values {
			if !math.IsNaN(values[i]) {
				w.raw("\n")
				w.text(p.Series[s].Name)
				w.raw(": ")
				w.text(p.Unit.Text(values[i]))
			}
		}
		w.raw(`</title></rect>`)
	}
	w.raw(`</g>`)
}

// drawLines draws a path for each series.
func drawLines(w *page, p *plot) {
	low, high := math.NaN(), math.NaN()
	for _, values := range p.values {
		for _, v := range values {
			low, high = Min.of(low, v), Max.of(high, v)
		}
	}
	s := p.Unit.scale(low, high)
	frame(w, p, s, func() {
		for i, values := range p.values {
			x := func(at int) float64 { return slot * (float64(at) + 0.5) }
			y := func(at int) float64 { return height * (1 - s.share(values[at])) }
			if len(p.values) == 1 && s.low <= 0 { // a surface is read as an amount, which begins at zero
				w.raw(`<path class="area `)
				w.class(i, p.Series[i].Class)
				w.raw(`" stroke="none" fill="currentColor" fill-opacity=".12" d="`)
				area(w, values, x, y, height*(1-s.share(0)))
				w.raw(`"/>`)
			}
			w.raw(`<path class="`)
			w.class(i, p.Series[i].Class)
			w.raw(`" vector-effect="non-scaling-stroke" stroke-width="2" stroke-linejoin="round" stroke-linecap="round" d="`)
			line(w, values, x, y, slot*0.2)
			w.raw(`"/>`)
		}
	})
}

// runs calls f with the first and the last of each row of values that are there.
func runs(values []float64, f func(first, last int)) {
	for i := 0; i < len(values); i++ {
		if math.IsNaN(values[i]) {
			continue
		}
		first := i
		for i+1 < len(values) && !math.IsNaN(values[i+1]) {
			i++
		}
		f(first, i)
	}
}

// line adds the path of values. One that stands alone is a short line, half on each side.
func line(w *page, values []float64, x, y func(int) float64, half float64) {
	runs(values, func(first, last int) {
		if first == last {
			w.command('M', x(first)-half, y(first))
			w.command('h', 2*half)
			return
		}
		for i := first; i <= last; i++ {
			letter := byte('L')
			if i == first {
				letter = 'M'
			}
			w.command(letter, x(i), y(i))
		}
	})
}

// area adds the surface between values and a height.
func area(w *page, values []float64, x, y func(int) float64, base float64) {
	runs(values, func(first, last int) {
		if first == last {
			return
		}
		w.command('M', x(first), base)
		for i := first; i <= last; i++ {
			w.command('L', x(i), y(i))
		}
		w.command('V', base)
		w.raw("z")
	})
}

// drawBars draws a path for each series: a thick upright line for its part of each bar, which takes a third of the bytes of a rectangle.
func drawBars(w *page, p *plot) {
	highest := 0.0
	for i := range p.steps.N {
		sum := 0.0
		for _, values := range p.values {
			sum = Sum.of(sum, positive(values[i]))
		}
		highest = max(highest, sum)
	}
	s := p.Unit.scale(0, highest)
	sums, tops := make([]float64, p.steps.N), slices.Repeat([]float64{height}, p.steps.N)
	frame(w, p, s, func() {
		w.raw(`<g stroke-width="`)
		w.number(min(slot*0.7, 0.6*float64(p.steps.N)))
		w.raw(`">`)
		for place, values := range p.values {
			w.raw(`<path class="`)
			w.class(place, p.Series[place].Class)
			w.raw(`" d="`)
			for i, v := range values {
				if v = positive(v); v == 0 {
					continue
				}
				w.command('M', slot*(float64(i)+0.5), tops[i])
				sums[i] += v
				tops[i] = min(math.Round(height*(1-s.share(sums[i]))), tops[i]-1) // whole pixels: stripes stay sharp
				w.command('V', tops[i])
			}
			w.raw(`"/>`)
		}
		w.raw(`</g>`)
	})
}

// positive returns a value that has a height; else zero.
func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return 0
}
