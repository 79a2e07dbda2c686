package expression

import (
	"cmp"
	"math"
	"slices"

	"github.com/surveygate/surveygate/rules/event"
)

// interval is a set of numbers between two ends, each of which belongs to it or not.
type interval struct {
	from, to       float64
	above, beneath bool // it begins above from, it ends beneath to: the end itself does not belong to it
}

// isEmpty reports whether no number is in the interval.
func (i interval) isEmpty() bool {
	return i.from > i.to || i.from == i.to && (i.above || i.beneath)
}

// ranges is a set of numbers: intervals in ascending order that do not overlap.
type ranges []interval

var everyNumber = ranges{{math.Inf(-1), math.Inf(1), true, true}}

// point returns the set of one number.
func point(n float64) interval { return interval{from: n, to: n} }

// numbersWhere returns the numbers x for which `x code n` is true.
func numbersWhere(code uint8, n float64) ranges {
	below, above := interval{math.Inf(-1), n, true, true}, interval{n, math.Inf(1), true, true}
	switch code {
	case codeEqual:
		return ranges{point(n)}
	case codeUnequal:
		return ranges{below, above}
	case codeLess:
		return ranges{below}
	case codeLessEqual:
		below.beneath = false
		return ranges{below}
	case codeMore:
		return ranges{above}
	}
	above.above = false
	return ranges{above}
}

// oneOf returns the set of some numbers.
func oneOf(numbers []float64) ranges {
	var r ranges
	for _, n := range slices.Compact(slices.Sorted(slices.Values(numbers))) {
		r = append(r, point(n))
	}
	return r
}

// noneOf returns all other numbers.
func noneOf(numbers []float64) ranges {
	r := everyNumber
	for _, n := range slices.Compact(slices.Sorted(slices.Values(numbers))) {
		last := r[len(r)-1]
		r = append(slices.Clip(r[:len(r)-1]), interval{last.from, n, last.above, true}, interval{n, last.to, true, last.beneath})
	}
	return r
}

// and returns the numbers that are in both sets.
func (r ranges) and(other ranges) ranges {
	var both ranges
	for _, a := range r {
		for _, b := range other {
			c := a
			if b.from > c.from {
				c.from, c.above = b.from, b.above
			} else if b.from == c.from {
				c.above = c.above || b.above
			}
			if b.to < c.to {
				c.to, c.beneath = b.to, b.beneath
			} else if b.to == c.to {
				c.beneath = c.beneath || b.beneath
			}
			if !c.isEmpty() {
				both = append(both, c)
			}
		}
	}
	return both
}

// or returns the numbers that are in one of the sets, or in both.
func (r ranges) or(other ranges) ranges {
	all := slices.Concat(r, other)
	slices.SortFunc(all, func(a, b interval) int {
		if a.from != b.from {
			return cmp.Compare(a.from, b.from)
		}
		return cmp.Compare(ordinal(a.above), ordinal(b.above))
	})
	var joined ranges
	for _, next := range all {
		if len(joined) == 0 {
			joined = append(joined, next)
			continue
		}
		last := &joined[len(joined)-1]
		if next.from > last.to || next.from == last.to && next.above && last.beneath {
			joined = append(joined, next)
			continue
		}
		if next.to > last.to || next.to == last.to && !next.beneath {
			last.to, last.beneath = next.to, next.beneath
		}
	}
	return joined
}

func ordinal(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// bounds are the numbers that a field of events can have: what is outside of them is removed when an event is taken in.
var bounds = map[string]ranges{
	"response.score.nps":  {{from: 0, to: 10}},
	"response.duration_s": {{from: 0, to: math.Inf(1), beneath: true}},
	event.NameHour:        {{from: 0, to: 23}},
	event.NameAge:         {{from: 0, to: math.Inf(1), beneath: true}},
	event.NameRate:        {{from: 0, to: 100}},
}

// numbersOf returns the numbers that the value of a slot can be.
func numbersOf(s slot) (r ranges, bounded bool) {
	switch s.how {
	case fromData, fromHeader, fromClock, fromRate:
		r, bounded = bounds[s.path]
	}
	if !bounded {
		r = everyNumber
	}
	return r, bounded
}

// groupRanges are the scores of each NPS group, as event.NPSGroup has them.
var groupRanges = map[string]ranges{
	"detractor": {{from: 0, to: 7, beneath: true}},
	"passive":   {{from: 7, to: 9, beneath: true}},
	"promoter":  {{from: 9, to: 10}},
}
