package backtest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// otherReasons counts those beyond maxReasons.
const otherReasons = "other reasons"

// reasons counts by reason.
type reasons map[string]int

func (r *reasons) add(reason string) {
	if *r == nil {
		*r = reasons{}
	}
	if _, known := (*r)[reason]; !known && len(*r) >= maxReasons {
		reason = otherReasons
	}
	(*r)[reason]++
}

// sorted returns the reasons, most frequent first.
func (r reasons) sorted() []view.ReasonCount {
	var all []view.ReasonCount
	for reason, n := range r {
		all = append(all, view.ReasonCount{Reason: reason, Count: n})
	}
	sortReasons(all)
	return all
}

func sortReasons(all []view.ReasonCount) {
	slices.SortFunc(all, func(a, b view.ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Reason, b.Reason))
	})
}

// names counts by the name of a source or the id of a survey.
type names struct {
	counts map[string]*view.NameCount
	other  int
}

// add counts a name. of is an event that knows the title; nil: there is none.
func (n *names) add(name string, of *event.Event) {
	c := n.counts[name]
	if c == nil {
		if len(n.counts) >= maxNames {
			n.other++
			return
		}
		if n.counts == nil {
			n.counts = map[string]*view.NameCount{}
		}
		c = &view.NameCount{Name: strings.Clone(name)}
		n.counts[c.Name] = c
	}
	if c.Title == "" && of != nil {
		if d := of.Data(); d != nil {
			c.Title = d.Survey.Title
		}
	}
	c.Count++
}

// sorted returns the names, most frequent first, and what has none last.
func (n *names) sorted() []view.NameCount {
	all := make([]view.NameCount, 0, len(n.counts)+1)
	for _, c := range n.counts {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b view.NameCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	if n.other > 0 {
		all = append(all, view.NameCount{Count: n.other, Other: true})
	}
	return all
}

// hours counts by hour of the day in a time zone.
type hours struct {
	zone *time.Location
	// counts are by the hours since the epoch that a clock in the zone shows.
	counts map[int64]int
	newest int64 // day
}

const (
	secondsOfHour = 60 * 60
	hoursOfDay    = 24
)

// add counts a time. It returns false for one that is maxDays before the newest day.
func (h *hours) add(at time.Time) bool {
	_, offset := at.In(h.zone).Zone()
	hour := (at.Unix() + int64(offset)) / secondsOfHour
	if h.counts == nil {
		h.counts = map[int64]int{}
	}
	if h.newest = max(h.newest, hour/hoursOfDay); h.newest-hour/hoursOfDay >= maxDays {
		return false
	}
	h.counts[hour]++
	return true
}

// days returns the counts of days, oldest first, and the newest of the hours with the highest count; nil: there is none.
func (h *hours) days() (all []view.DayCount, busiest *view.HourCount) {
	all = []view.DayCount{}
	for _, hour := range slices.Sorted(maps.Keys(h.counts)) {
		n := h.counts[hour]
		shown := time.Unix(hour*secondsOfHour, 0).UTC() // what the clock in the zone shows
		day := shown.Format(time.DateOnly)
		if last := len(all) - 1; last >= 0 && all[last].Day == day {
			all[last].Count += n
		} else {
			all = append(all, view.DayCount{Day: day, Count: n})
		}
		if busiest == nil || n >= busiest.Count {
			busiest = &view.HourCount{From: shown.Format("2006-01-02T15:04"), Count: n}
		}
	}
	return all, busiest
}
