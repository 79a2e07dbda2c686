package rules

import (
	"fmt"
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

// Explain asks every rule of the event's tenant, the disabled ones too, and says of each why.
func (s *Set) Explain(ev *event.Event) []Explanation {
	var out []Explanation
	for i, r := range s.rules {
		if r.Tenant == ev.Tenant || r.Tenant == AllTenants {
			one := r.Explain(ev)
			one.Index = i
			out = append(out, one)
		}
	}
	return out
}

// Explain says why a rule matches an event or does not.
func (r *Rule) Explain(ev *event.Event) Explanation {
	e := Explanation{Rule: r}
	switch {
	case r.Disabled:
		e.Why = "it is disabled"
		return e
	case r.Tenant != AllTenants && r.Tenant != ev.Tenant:
		e.Why = fmt.Sprintf("it is tenant %s's, and the event is %s's", r.Tenant, ev.Tenant)
		return e
	case !r.Hears(ev.Type):
		e.Why = fmt.Sprintf("it hears %s, and this is %s", strings.Join(r.Events, ", "), ev.Type)
		if len(r.Events) == 0 {
			e.Why = "it hears no events"
		}
		return e
	case r.When.IsZero():
		e.Matched, e.Why = true, "it has no condition"
		return e
	}
	res := r.When.Match(ev)
	parts, err := r.When.Explain(ev)
	e.Parts, e.Missing, e.Faults, e.Err = parts, res.Missing, res.Faults, res.Err
	if e.Err == nil {
		e.Err = err
	}
	switch {
	case res.Err != nil:
		e.Why = "its condition failed: " + res.Err.Error()
	case res.Truth == expression.True:
		e.Matched, e.Why = true, "its condition is true"
	case res.Truth == expression.False:
		e.Why = "its condition is false"
	case len(res.Missing) > 0:
		e.Why = "its condition is unknown: the event has no " + strings.Join(res.Missing, ", ")
	case len(res.Faults) > 0:
		e.Why = "its condition is unknown: " + strings.Join(res.Faults, "; ")
	default:
		e.Why = "its condition is unknown"
	}
	return e
}
