package state

import (
	"fmt"
	"time"
)

// StatStep is the length of the time that a Count covers.
type StatStep string

// The steps, each kept for a time of its own: minutes 24 hours, hours 30 days, days 400 days. Days and hours are UTC's.
const (
	ByMinute StatStep = "minute"
	ByHour   StatStep = "hour"
	ByDay    StatStep = "day"
)

// StatSteps are all steps, the finest first. AddCounts adds to each of them.
var StatSteps = [...]StatStep{ByMinute, ByHour, ByDay}

const day = 24 * time.Hour

// Kept returns how long counts of this step are kept, from the start of their minute, hour or day; 0: there is no such step.
func (s StatStep) Kept() time.Duration {
	switch s {
	case ByMinute:
		return day
	case ByHour:
		return 30 * day
	case ByDay:
		return 400 * day
	}
	return 0
}

// Length returns the length of a step.
func (s StatStep) Length() time.Duration {
	switch s {
	case ByMinute:
		return time.Minute
	case ByHour:
		return time.Hour
	}
	return day
}

// Letter returns the letter of a step in keys.
func (s StatStep) Letter() byte { return s[0] }

// Start returns the start of the minute, hour or day that a time is in.
func (s StatStep) Start(t time.Time) time.Time {
	sec, length := t.Unix(), int64(s.Length()/time.Second)
	return time.Unix(floorDiv(sec, length)*length, 0).UTC()
}

// Engines keep the cells of one name and step together by period: the minutes of an hour, the hours of a day, the days of a month.
// A period is a number that rises with time, a unit the place of a cell in it.

// Cell returns the period and the unit of a time.
func (s StatStep) Cell(t time.Time) (period int64, unit int) {
	sec := t.Unix()
	switch s {
	case ByMinute:
		period = floorDiv(sec, 3600)
		return period, int(sec-period*3600) / 60
	case ByHour:
		period = floorDiv(sec, 86400)
		return period, int(sec-period*86400) / 3600
	}
	t = t.UTC()
	year, month, _ := t.Date()
	period = int64(year)*12 + int64(month-1)
	return period, t.Day() - 1
}

// Time returns the start of a cell; it reverses Cell.
func (s StatStep) Time(period int64, unit int) time.Time {
	switch s {
	case ByMinute:
		return time.Unix(period*3600+int64(unit)*60, 0).UTC()
	case ByHour:
		return time.Unix(period*86400+int64(unit)*3600, 0).UTC()
	}
	year := floorDiv(period, 12)
	return time.Date(int(year), time.Month(period-year*12+1), 1+unit, 0, 0, 0, 0, time.UTC)
}

// Units is how many cells a period has at most.
func (s StatStep) Units() int {
	switch s {
	case ByMinute:
		return 60
	case ByHour:
		return 24
	}
	return 31
}

// StatDay returns the number of a day, which engines note of a name when it is counted.
func StatDay(t time.Time) int64 { return floorDiv(t.Unix(), 86400) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Span returns the first and the last cell that a query selects, by their starts, given the present time: never older than its step
// is kept. The last is before the first if it selects none. An unknown kind or step is ErrInvalid.
func (q *CountQuery) Span(now time.Time) (first, last time.Time, err error) {
	if q.Kind.Letter() == 0 || q.Step.Kept() == 0 {
		return first, last, fmt.Errorf("%w: no statistics of kind %q by %q", ErrInvalid, q.Kind, q.Step)
	}
	first, last = q.Step.Start(now.Add(-q.Step.Kept())).Add(q.Step.Length()), q.Step.Start(now)
	if !q.Since.IsZero() && q.Since.After(first) {
		if first = q.Step.Start(q.Since); first.Before(q.Since) {
			first = first.Add(q.Step.Length())
		}
	}
	if !q.Until.IsZero() {
		last = q.Step.Start(q.Until.Add(-1))
	}
	return first, last, nil
}

// CheckCells refuses a query of more names than a tenant can have, or of more than MaxCountCells, given its span and how many names it
// selects.
func (q *CountQuery) CheckCells(first, last time.Time, names int) error {
	if most := MaxStatNames + 2; names > most {
		return fmt.Errorf("%w: %d names of statistics at once, at most %d can be asked for", ErrInvalid, names, most)
	}
	steps := int64(last.Sub(first)/q.Step.Length()) + 1
	if steps > 0 && (steps > MaxCountCells || int64(names)*steps > MaxCountCells) {
		return fmt.Errorf("%w: %d names by %s are %d counts, and one query reads at most %d: ask for fewer names, a shorter span or a longer step",
			ErrInvalid, names, q.Step, int64(names)*steps, MaxCountCells)
	}
	return nil
}
