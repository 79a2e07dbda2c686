package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Part is a part of a condition and what it came to.
type Part = expression.Part

// Explanation is why one rule matched an event or did not.
type Explanation struct {
	// Index is the rule's place in the set.
	Index   int
	Rule    *Rule
	Matched bool
	// Why is one sentence without a full stop.
	Why string
	// Missing are absent fields that left the condition unknown; Faults are values whose type did not fit.
	Missing []string
	Faults  []string
	// Err is the condition's own error.
	Err error
	// Parts are the condition's parts with their values; none where it was not asked.
	Parts []Part
}

// explainWork is what the reasons of one explanation may take together: what was decided is decided again as it was,
// and then every part of every condition is looked at.
const explainWork = 4 * expression.MaxWork

// Explain asks every rule of the event's tenant, the disabled ones too, and says of each why. What matched and what was
// given up is what Match says, because it is asked again; the reasons have work of their own, and are left out where
// that is used up.
func (s *Set) Explain(ev *event.Event) []Explanation {
	reading := s.batch.Read(ev)
	defer reading.Release()
	decided, _ := s.match(reading, ev, nil)
	var out []Explanation
	for i, r := range s.rules {
		if r.Tenant == ev.Tenant || r.Tenant == AllTenants {
			out = append(out, Explanation{Index: i, Rule: r})
		}
	}
	reading.DivideWork(explainWork, 3*len(out)) // each is asked at most twice, and its parts once
	for i := range out {
		e := &out[i]
		at, found := slices.BinarySearchFunc(decided, e.Index, func(m Match, index int) int { return m.Index - index })
		if found {
			e.Matched, e.Err = decided[at].Err == nil, decided[at].Err
		}
		s.explain(reading, ev, e)
	}
	return out
}

// explain says why a rule matches an event or does not.
func (s *Set) explain(reading expression.Reading, ev *event.Event, e *Explanation) {
	r := e.Rule
	switch {
	case r.Disabled:
		e.Why = "it is disabled"
		return
	case !r.AcceptsType(ev.Type):
		e.Why = fmt.Sprintf("it hears %s, and this is %s", strings.Join(r.Events, ", "), ev.Type)
		if len(r.Events) == 0 {
			e.Why = "it hears no events"
		}
		return
	case r.When.IsZero():
		e.Why = "it has no condition"
		return
	}
	var res expression.Result
	if e.Err == nil {
		res = s.batch.Result(reading, e.Index)
	}
	var short error
	e.Parts, short = s.batch.Explain(reading, e.Index)
	e.Missing, e.Faults = res.Missing, res.Faults
	switch {
	case e.Err != nil:
		e.Why = "its condition failed: " + e.Err.Error()
	case e.Matched:
		e.Why = "its condition is true"
	case res.Err != nil:
		e.Why = "its condition is not true; to say why takes more work than one explanation may"
	case res.Truth == expression.False:
		e.Why = "its condition is false"
	case len(res.Missing) > 0:
		e.Why = "its condition is unknown: the event has no " + strings.Join(res.Missing, ", ")
	case len(res.Faults) > 0:
		e.Why = "its condition is unknown: " + strings.Join(res.Faults, "; ")
	default:
		e.Why = "its condition is unknown"
	}
	if e.Err == nil && short != nil {
		e.Why += "; its parts take more work than one explanation may"
	}
}
