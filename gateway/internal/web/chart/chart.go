// Package chart draws charts as SVG, on the server: spark lines, lines and stacked bars. They need no script, no style attribute and
// no colour of their own: the style sheet gives colours and dashes to their classes, for both themes. Every text is escaped, and every
// figure has a table with the same values.
//
// A figure is as wide as what it is put into; its text keeps its size. Its classes are:
//
//	figure.chart                 the whole; beside it .chart-lines or .chart-bars
//	  .chart-title .chart-about  the title; the description and what one point is
//	  .chart-legend .key         names beside a sample of the line or bar
//	  .chart-none                the sentence of a chart without data
//	  .plot                      the SVG; left of it the style sheet leaves 3rem for .axis-y. In it .axis-x .grid .base .hits, and
//	                             a path of each series
//	  .s1 … .s6, and Class       a series, by its place and by the name that the caller gave
//	  .area                      the surface under a line that is alone
//	  .chart-table .scroll       the table
//	svg.spark                    a spark line; in it .past .last .part .area
package chart

import (
	"html/template"
	"math"
	"slices"
	"strings"
)

// MaxPoints is the most points that a chart draws. More are merged.
const MaxPoints = 200

// Chart is a chart of series over the same steps of time. Its methods change nothing and can be called at the same time.
type Chart struct {
	Title       string
	Description string // optional: a sentence that says what is counted
	Unit        Unit
	Steps       Steps
	// Series are one to six: those after the sixth look like the sixth. Stacked bars stand on each other in this order, the first at
	// the bottom.
	Series []Series
	// Points is the most points to draw; zero is MaxPoints, which is also the most. Where there are more steps, neighbours are made
	// one by Merge, and the figure says so.
	Points int
	Merge  Merge
	// Absent is what the table shows in place of a value that is absent; by default a dash.
	Absent string
}

// Series is one line, or one part of all bars.
type Series struct {
	Name string
	// Class is put beside s1 … s6: a name that the style sheet knows, such as a verdict. What is not a class name is left out.
	Class string
	// Figure is shown after the name in the legend, such as the sum or the newest value; optional.
	Figure string
	// Values are in the unit of the chart, one a step. NaN, an infinite value and one that is missing at the end are absent.
	Values []float64
}

// Merge is how neighbouring values become one. Absent values do not count, unless all are.
type Merge int

// Counts are summed. Of percentiles and of other levels the highest is kept, of success rates the lowest: the worst.
const (
	Sum Merge = iota
	Max
	Min
)

// String returns the word that figures say it with.
func (m Merge) String() string {
	return [...]string{Sum: "sum", Max: "highest", Min: "lowest"}[m]
}

func (m Merge) of(a, b float64) float64 {
	switch {
	case math.IsNaN(a):
		return b
	case math.IsNaN(b):
		return a
	case m == Max:
		return max(a, b)
	case m == Min:
		return min(a, b)
	}
	return bounded(a + b)
}

// most is the largest value that is drawn as it is: sums of a few of them are finite.
const most = 1e300

// bounded returns a value as it is drawn: an infinite one is absent, an enormous one is at the bound.
func bounded(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	return min(max(v, -most), most)
}

// Lines draws a line for each series. Where values are absent, the line has a gap. An axis of counts or durations begins at zero, one of
// high percentages below the lowest.
func (c *Chart) Lines() template.HTML {
	return c.figure("chart-lines", drawLines, "M0 5h18")
}

// Stacked draws a bar for each step, of the values of all series on each other. Absent and negative values have no height; any other
// is at least one pixel high, as one refusal among ten thousand must be seen.
func (c *Chart) Stacked() template.HTML {
	return c.figure("chart-bars", drawBars, "M9 10V0")
}

// plot is a chart as it is drawn: values checked, of equal number, and few enough.
type plot struct {
	*Chart
	steps  Steps
	values [][]float64 // by series
	merged int         // how many steps are one point; 1 if none are merged
}

// prepare checks and merges the values. The plot has no steps if all values are absent.
func (c *Chart) prepare() *plot {
	n, some := 0, false
	for _, s := range c.Series {
		n = max(n, len(s.Values))
	}
	p := &plot{Chart: c, steps: c.Steps.bounded(n), merged: 1}
	for _, s := range c.Series {
		values := absent(n)
		for i, v := range s.Values {
			values[i] = bounded(v)
			some = some || !math.IsNaN(values[i])
		}
		p.values = append(p.values, values)
	}
	if !some {
		p.steps.N = 0
		return p
	}
	limit := c.Points
	if limit <= 0 || limit > MaxPoints {
		limit = MaxPoints
	}
	if n > limit {
		p.merge(limit)
	}
	return p
}

// merge makes neighbours one, so that at most limit points are left.
func (p *plot) merge(limit int) {
	old := p.steps
	var skipped int
	p.steps, p.merged, skipped = old.merged(limit)
	for s, values := range p.values {
		merged := absent(p.steps.N)
		for i, v := range values {
			at := (i + skipped) / p.merged
			merged[at] = p.Merge.of(merged[at], v)
		}
		p.values[s] = merged
	}
}

// absent returns n absent values.
func absent(n int) []float64 {
	return slices.Repeat([]float64{math.NaN()}, n)
}

// about is the description, and what one point is where steps were merged.
func (p *plot) about() string {
	if p.merged == 1 {
		return p.Description
	}
	about := "One point is " + duration(p.steps.Length) + ": the " + p.Merge.String() + " of each " + duration(p.steps.Length/durationOf(p.merged)) + "."
	if p.Description == "" {
		return about
	}
	return p.Description + " " + about
}

// figure writes everything around the drawing. key is the path of a sample in the legend.
func (c *Chart) figure(class string, draw func(*page, *plot), key string) template.HTML {
	p := c.prepare()
	var w page
	w.raw(`<figure class="chart `, class, `"><figcaption><span class="chart-title">`)
	w.text(c.Title)
	w.raw(`</span>`)
	if about := p.about(); about != "" {
		w.raw(` <span class="chart-about">`)
		w.text(about)
		w.raw(`</span>`)
	}
	w.raw(`</figcaption>`)
	if p.steps.N == 0 {
		w.raw(`<p class="chart-none">no data in this time</p></figure>`)
		return w.html()
	}
	p.legend(&w, class, key)
	w.raw(`<svg class="plot" role="img" aria-label="`)
	w.text(p.summary())
	w.raw(`" width="100%" height="`)
	w.number(top + height + bottom)
	w.raw(`" overflow="visible" fill="none">`)
	draw(&w, p)
	w.raw(`</svg>`)
	p.table(&w)
	w.raw(`</figure>`)
	return w.html()
}

// legend names the series, each beside a sample; one without a figure is named by the title.
func (p *plot) legend(w *page, class, key string) {
	if len(p.Series) == 1 && p.Series[0].Figure == "" {
		return
	}
	w.raw(`<ul class="chart-legend">`)
	for i, s := range p.Series {
		w.raw(`<li><svg class="key" width="18" height="10" aria-hidden="true"><path class="`)
		w.class(i, s.Class)
		w.raw(`" stroke="currentColor" stroke-width="`, map[bool]string{true: "10", false: "2"}[class == "chart-bars"], `" d="`, key, `"/></svg> `)
		w.text(s.Name)
		if s.Figure != "" {
			w.raw(` <b>`)
			w.text(s.Figure)
			w.raw(`</b>`)
		}
		w.raw(`</li>`)
	}
	w.raw(`</ul>`)
}

// summary says in words what the drawing shows.
func (p *plot) summary() string {
	parts := []string{p.Title + ", from " + p.steps.name(0) + " to " + p.steps.name(p.steps.N-1) + " UTC."}
	if p.Description != "" {
		parts = append(parts, p.Description)
	}
	for i, series := range p.Series {
		parts = append(parts, series.Name+": "+p.Unit.extent(p.values[i])+".")
	}
	return strings.Join(parts, " ")
}

// extent says the lowest and the highest value, and the newest.
func (u Unit) extent(values []float64) string {
	lowest, highest, newest, n := math.NaN(), math.NaN(), math.NaN(), 0
	for _, v := range values {
		if !math.IsNaN(v) {
			lowest, highest, newest, n = Min.of(lowest, v), Max.of(highest, v), v, n+1
		}
	}
	switch {
	case n == 0:
		return "no data"
	case n > 1 && lowest == highest:
		return "always " + u.Text(newest)
	}
	return u.Text(lowest) + " to " + u.Text(highest) + ", newest " + u.Text(newest)
}

// table writes the values as a table, which is closed at first.
func (p *plot) table(w *page) {
	w.raw(`<details class="chart-table"><summary>show as table</summary><div class="scroll" role="region" tabindex="0" aria-label="`)
	w.text(p.Title)
	w.raw(`, as a table"><table><caption>`)
	w.text(p.Title)
	w.raw(`</caption><thead><tr><th scope="col">from, UTC</th>`)
	for _, s := range p.Series {
		w.raw(`<th scope="col">`)
		w.text(s.Name)
		w.raw(`</th>`)
	}
	w.raw(`</tr></thead><tbody>`)
	dash := p.Absent
	if dash == "" {
		dash = "–"
	}
	for i := range p.steps.N {
		w.raw(`<tr><th scope="row">`, p.steps.name(i), `</th>`)
		for _, values := range p.values {
			w.raw(`<td>`)
			if v := values[i]; math.IsNaN(v) {
				w.text(dash)
			} else {
				w.text(p.Unit.Text(v))
			}
			w.raw(`</td>`)
		}
		w.raw(`</tr>`)
	}
	w.raw(`</tbody></table></div></details>`)
}
