package stats

import (
	"cmp"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// UsualWithin is how far back events show what is usual for a source.
const UsualWithin = 7 * 24 * time.Hour

// When a source is called silent: longer than silentTimes the usual time between two of its events, and than silentLeast. With fewer than
// usualEvents within UsualWithin, nothing is usual.
const (
	silentTimes = 6
	silentLeast = time.Hour
	usualEvents = 5
)

// Silence returns the usual time between two events of a source, and since when it has been silent; a zero time if it has not been for
// unusually long, or if it sends too rarely to tell. hours are its counts by hour: events are taken to be spread evenly over an hour.
func Silence(hours []state.Count, now time.Time) (usual time.Duration, since time.Time) {
	type gap struct {
		length time.Duration
		n      int64
	}
	var gaps []gap
	var last time.Time // start of the last hour with events
	total := int64(0)
	for i := range hours {
		n := Sent(&hours[i])
		if n == 0 {
			continue
		}
		within := n
		if pause := hours[i].At.Sub(last); last.IsZero() || pause > time.Hour {
			within--
			if !last.IsZero() {
				gaps = append(gaps, gap{pause, 1})
			}
		}
		if within > 0 {
			gaps = append(gaps, gap{time.Hour / time.Duration(n), within})
		}
		last = hours[i].At
		total += n
	}
	if total < usualEvents {
		return 0, since
	}
	slices.SortFunc(gaps, func(a, b gap) int { return cmp.Compare(a.length, b.length) })
	all, below := int64(0), int64(0)
	for _, g := range gaps {
		all += g.n
	}
	for _, g := range gaps {
		if below += g.n; 2*below >= all {
			usual = g.length
			break
		}
	}
	// The last event may have come at the end of its hour.
	if end := last.Add(time.Hour); now.Sub(end) >= max(silentLeast, silentTimes*usual) {
		since = end
	}
	return usual, since
}
