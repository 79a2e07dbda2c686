package chart

import (
	"math"
	"time"
)

// Steps are spans of equal length, one after another. Point i of a chart is of the step that begins at First + i × Length.
type Steps struct {
	First  time.Time
	Length time.Duration
	N      int
}

// StepsOf returns the steps of a length from since to until, which are the start of the first and the end of the last, as answers of
// GET /v1/stats have them.
func StepsOf(since, until time.Time, length time.Duration) Steps {
	first := since.UTC().Truncate(length)
	return Steps{First: first, Length: length, N: max(int((until.Sub(first)+length-1)/length), 0)}
}

// Values returns a value for each step: that of the item which of says begins in it, and otherwise where no item does. A count that is
// not there is zero, a level that is not there is NaN.
func Values[T any](s Steps, items []T, otherwise float64, of func(T) (time.Time, float64)) []float64 {
	values := make([]float64, s.N)
	for i := range values {
		values[i] = otherwise
	}
	for _, item := range items {
		at, value := of(item)
		if i := at.Sub(s.First) / s.Length; !at.Before(s.First) && i < durationOf(s.N) {
			values[i] = value
		}
	}
	return values
}

// Optional returns what a pointer points to; NaN for nil, which is how the API says that there is nothing to divide by.
func Optional(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

const day = 24 * time.Hour

// century bounds what the steps cover, as a time.Duration ends after three of them.
const century = 100 * 365 * day

// bounded returns n steps whose times can be computed.
func (s Steps) bounded(n int) Steps {
	s.N = n
	s.First = s.First.UTC()
	if most := century / durationOf(max(n, 1)); s.Length <= 0 || s.Length > most {
		s.Length = min(time.Hour, most)
	}
	return s
}

// tickLengths are the spans between times on an axis that people read easily; tickMonths are the longer ones.
var tickLengths = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day,
}

var tickMonths = []int{1, 2, 3, 6, 12, 24, 60, 120, 240}

// merged returns at most limit steps, of how many of s each is made, and how many more of s the first would have: steps of ten
// minutes begin at full ten minutes.
func (s Steps) merged(limit int) (steps Steps, factor, skipped int) {
	for _, length := range tickLengths {
		if length%s.Length != 0 {
			continue
		}
		factor, skipped = int(length/s.Length), int(s.First.Sub(s.First.Truncate(length))/s.Length)
		if n := (s.N-1+skipped)/factor + 1; n <= limit {
			return Steps{First: s.First.Add(-durationOf(skipped) * s.Length), Length: length, N: n}, factor, skipped
		}
	}
	factor = (s.N + limit - 1) / limit
	return Steps{First: s.First, Length: s.Length * durationOf(factor), N: (s.N-1)/factor + 1}, factor, 0
}

// at returns when a step begins.
func (s Steps) at(i int) time.Time {
	return s.First.Add(durationOf(i) * s.Length)
}

// name is when a step begins, in words.
func (s Steps) name(i int) string {
	switch at := s.at(i); {
	case s.Length%day == 0 && at.Equal(at.Truncate(day)):
		return at.Format("2006-01-02")
	case s.Length%time.Minute == 0:
		return at.Format("2006-01-02 15:04")
	default:
		return at.Format("2006-01-02 15:04:05")
	}
}

// tick is a mark on an axis: where it is, from 0 to 1, and its text.
type tick struct {
	at   float64
	text string
}

// maxTimes is how many times an axis has at most: on a phone they still stand apart.
const maxTimes = 6

// timeTicks are the full hours, days or months of the steps, in the middle of the step that begins then.
func (s Steps) timeTicks() []tick {
	var ticks []tick
	whole := s.Length * durationOf(s.N)
	end := s.First.Add(whole)
	add := func(at time.Time, layout string) {
		if where := (float64(at.Sub(s.First))/float64(s.Length) + 0.5) / float64(s.N); where <= 1 {
			ticks = append(ticks, tick{where, at.Format(layout)})
		}
	}
	if s.N == 1 {
		return []tick{{0.5, s.name(0)}}
	}
	for _, length := range tickLengths {
		if length < s.Length || whole > length*maxTimes {
			continue
		}
		at := s.First.Truncate(length)
		if at.Before(s.First) {
			at = at.Add(length)
		}
		for ; at.Before(end); at = at.Add(length) {
			if at.Equal(at.Truncate(day)) {
				add(at, "2 Jan")
			} else {
				add(at, "15:04")
			}
		}
		break
	}
	for _, months := range tickMonths {
		if len(ticks) > 0 || whole > durationOf(months)*31*day*maxTimes {
			continue
		}
		number := 12*s.First.Year() + int(s.First.Month()) - 1
		for number -= number % months; ; number += months {
			at := time.Date(0, time.Month(number+1), 1, 0, 0, 0, 0, time.UTC)
			if !at.Before(end) {
				break
			}
			if !at.Before(s.First) {
				add(at, map[bool]string{true: "2006", false: "Jan 2006"}[months >= 12])
			}
		}
	}
	if len(ticks) == 0 {
		return []tick{{0.5 / float64(s.N), s.name(0)}}
	}
	return ticks
}

func durationOf(n int) time.Duration { return time.Duration(n) }
