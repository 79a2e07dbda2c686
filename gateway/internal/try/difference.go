package try

import (
	"bytes"
	"errors"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// difference counts what a draft changes.
type difference struct {
	view.Difference
	skipped, rejected, failed map[string]int
	samples                   map[change]int
}

// change is what becomes of a delivery.
type change string

const (
	added   change = "added"
	removed change = "removed"
	changed change = "changed"
)

func newDifference() *difference {
	return &difference{skipped: map[string]int{}, rejected: map[string]int{}, failed: map[string]int{}, samples: map[change]int{}}
}

func (d *difference) view() *view.Difference {
	v := d.Difference
	v.Skipped, v.Rejected, v.Failed = sortedReasons(d.skipped), sortedReasons(d.rejected), sortedReasons(d.failed)
	if v.Samples == nil {
		v.Samples = []view.DifferenceSample{}
	}
	return &v
}

// otherReasons counts those beyond maxReasons.
const otherReasons = "other reasons"

func count(counts map[string]int, reason string) {
	if _, known := counts[reason]; !known && len(counts) >= maxReasons {
		reason = otherReasons
	}
	counts[reason]++
}

// stepOf is what a delivery is made for.
type stepOf struct {
	origin state.Origin
	step   string
}

// compare compares what an event owes without and with the draft. It returns false when the work is used up, and counts nothing
// then. was is the event as it was read, now as the draft reads it.
func (r *trial) compare(was, now *event.Event, after *decide.Decision) bool {
	before := r.before.Decide(was, r.now)
	told := map[stepOf]*decide.Owed{}
	one := newDifference()
	for i := range before.Owed {
		if owed := &before.Owed[i]; r.concerns(&owed.Delivery, was) {
			told[stepOf{owed.Delivery.Origin, owed.Delivery.Step}] = owed
			one.Before++
		}
	}
	type moved struct {
		owed *decide.Owed
		how  change
	}
	var moves []moved
	for i := range after.Owed {
		owed := &after.Owed[i]
		if !r.concerns(&owed.Delivery, now) {
			continue
		}
		if r.spent() >= maxWork {
			return false
		}
		one.Now++
		built := explain.Build(*owed, now, r.now)
		if built.Skipped != "" {
			count(one.skipped, built.Skipped)
		}
		if built.Rejected != "" {
			count(one.rejected, built.Rejected)
		}
		at := stepOf{owed.Delivery.Origin, owed.Delivery.Step}
		former := told[at]
		delete(told, at)
		switch {
		case former == nil:
			one.Added++
			moves = append(moves, moved{owed, added})
		case !r.alike(former, was, owed, &built):
			one.Changed++
			moves = append(moves, moved{owed, changed})
		}
	}
	for i := range before.Owed { // in their order
		owed := &before.Owed[i]
		if told[stepOf{owed.Delivery.Origin, owed.Delivery.Step}] == owed {
			one.Removed++
			moves = append(moves, moved{owed, removed})
		}
	}
	for _, rule := range after.Rules {
		if rule.Err != "" && r.origins[rule.Origin] {
			count(one.failed, rule.Err)
		}
	}
	r.difference.add(one)
	for _, m := range moves {
		if r.difference.samples[m.how] < maxSamples {
			r.difference.samples[m.how]++
			r.difference.Samples = append(r.difference.Samples, r.sample(was, now, &m.owed.Delivery, m.how))
		}
	}
	return true
}

// alike reports whether a delivery is the same without the draft: where it goes, and with which request.
func (r *trial) alike(former *decide.Owed, was *event.Event, owed *decide.Owed, built *explain.Built) bool {
	if former.Delivery.Destination != owed.Delivery.Destination || former.Delivery.Connector != owed.Delivery.Connector {
		return false
	}
	before := explain.Build(*former, was, r.now)
	if before.Note != built.Note || (before.Request == nil) != (built.Request == nil) {
		return false
	}
	return before.Request == nil || bytes.Equal(before.Request.Transcript(), built.Request.Transcript())
}

func (d *difference) add(one *difference) {
	d.Before += one.Before
	d.Now += one.Now
	d.Added += one.Added
	d.Removed += one.Removed
	d.Changed += one.Changed
	for _, each := range []struct{ to, from map[string]int }{{d.skipped, one.skipped}, {d.rejected, one.rejected}, {d.failed, one.failed}} {
		for reason, n := range each.from {
			for range n {
				count(each.to, reason)
			}
		}
	}
}

// sample describes one delivery that changes.
func (r *trial) sample(was, now *event.Event, d *state.Delivery, how change) view.DifferenceSample {
	s := view.DifferenceSample{
		Event: was.ID, Kind: string(d.Origin.Kind), Rule: d.Origin.Name, Step: d.Step, Before: how != added, Now: how != removed,
	}
	rule := explain.Rule(r.after, now, d.Origin)
	if rule == nil {
		rule = explain.Rule(r.before, was, d.Origin)
	}
	if rule != nil {
		s.Why, s.Parts = rule.Why, rule.Parts
	}
	return s
}

func isNotFound(err error) bool { return errors.Is(err, state.ErrNotFound) }
