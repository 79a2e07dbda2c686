package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Part is a part of a condition with its value for an event.
type Part = expression.Part

// Explanation says why one rule matches an event or does not.
type Explanation struct {
	// Index is the index of the rule in the set.
	Index   int
	Rule    *Rule
	Matched bool
	// Why is one sentence without a full stop.
	Why string
	// Missing are the absent fields that made the condition unknown. Faults describe values with a wrong type.
	Missing []string
	Faults  []string
	// Err is the error of the condition, as in Match.
	Err error
	// Parts are the condition's parts with their values; empty if the condition was not evaluated.
	Parts []Part
}

// explainWork bounds the work for the reasons of all rules together. It is separate from the work of the decision, which is
// repeated first.
const explainWork = 4 * expression.MaxWork

// Explain explains all rules of the event's tenant and of AllTenants, also disabled ones, in the order of the set. Matched and
// Err are the same as those of Match, because Explain repeats the decision. The reasons have a separate work limit, and are left
// out when it is used up.
func (s *Set) Explain(ev *event.Event) []Explanation {
	explanations, _ := s.ExplainBoth(nothing, ev)
	return explanations
}

// nothing is a set without rules.
var nothing = NewSet(nil)

// ExplainBoth explains the rules of s and of other, whose Matched and Err are the same as those of MatchBoth. Both share the work
// limit.
func (s *Set) ExplainBoth(other *Set, ev *event.Event) (first, second []Explanation) {
	reading, otherReading := s.batch.Read(ev), other.batch.Read(ev)
	defer reading.Release()
	defer otherReading.Release()
	decided, n, _ := s.matchBoth(other, reading, otherReading, ev, nil)
	first, second = s.explanations(ev), other.explanations(ev)
	reading.DivideWork(explainWork, 3*(len(first)+len(second))) // at most two evaluations of each condition, and one of its parts
	s.explainAll(reading, ev, decided[:n], first)
	otherReading.ContinueWork(reading)
	other.explainAll(otherReading, ev, decided[n:], second)
	return first, second
}

// explanations returns an empty explanation for each rule of the event's tenant and of AllTenants.
func (s *Set) explanations(ev *event.Event) []Explanation {
	var out []Explanation
	for i, r := range s.rules {
		if r.Tenant == ev.Tenant || r.Tenant == AllTenants {
			out = append(out, Explanation{Index: i, Rule: r})
		}
	}
	return out
}

func (s *Set) explainAll(reading expression.Reading, ev *event.Event, decided []Match, out []Explanation) {
	for i := range out {
		e := &out[i]
		at, found := slices.BinarySearchFunc(decided, e.Index, func(m Match, index int) int { return m.Index - index })
		if found {
			e.Matched, e.Err = decided[at].Err == nil && !decided[at].Unknown, decided[at].Err
		}
		s.explain(reading, ev, e)
	}
}

// explain sets the reasons of one explanation.
func (s *Set) explain(reading expression.Reading, ev *event.Event, e *Explanation) {
	r := e.Rule
	switch {
	case r.Disabled:
		e.Why = "it is disabled"
		return
	case !r.AcceptsType(ev.Type):
		e.Why = fmt.Sprintf("its events are %s, and this is %s", strings.Join(r.Events, ", "), ev.Type)
		if len(r.Events) == 0 {
			e.Why = "it has no events"
		}
		return
	case r.Defers(ev.Type):
		e.Why = "it is asked of the response as a whole"
		return
	case r.When.IsZero():
		e.Why = "it has no condition"
		return
	}
	var res expression.Result
	if e.Err == nil {
		res = s.batch.Result(reading, e.Index)
	}
	var partsErr error
	e.Parts, partsErr = s.batch.Explain(reading, e.Index)
	e.Missing, e.Faults = res.Missing, res.Faults
	switch {
	case e.Err != nil:
		e.Why = "its condition failed: " + e.Err.Error()
	case e.Matched:
		e.Why = "its condition is true"
	case res.Err != nil:
		e.Why = "its condition is not true; the reason takes more work than one explanation may"
	case res.Truth == expression.False:
		e.Why = "its condition is false"
	case len(res.Missing) > 0:
		e.Why = "its condition is unknown: the event has no " + strings.Join(res.Missing, ", ")
	case len(res.Faults) > 0:
		e.Why = "its condition is unknown: " + strings.Join(res.Faults, "; ")
	default:
		e.Why = "its condition is unknown"
	}
	if e.Err == nil && partsErr != nil {
		e.Why += "; its parts take more work than one explanation may"
	}
}
