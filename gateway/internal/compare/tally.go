package compare

import (
	"cmp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The bounds of what is kept. Counts go on beyond them.
const (
	maxSamples  = 3   // of each kind of change of a rule
	maxReasons  = 20  // of a rule or source
	maxCounted  = 50  // fields of a rule
	maxDetailed = 100 // rules with samples and fields
)

// other counts what is beyond a bound.
const other = "other"

// tally counts what differs.
type tally struct {
	rules        map[ruleAt]*ruleTally
	destinations map[destinationAt]*view.PlanCounts
	sources      map[sourceAt]*sourceTally
	detailed     int
}

type ruleAt struct {
	tenant string // * for a rule of every tenant
	origin state.Origin
}

type destinationAt struct{ tenant, name string }

type sourceAt struct{ tenant, name string }

func newTally() tally {
	return tally{rules: map[ruleAt]*ruleTally{}, destinations: map[destinationAt]*view.PlanCounts{}, sources: map[sourceAt]*sourceTally{}}
}

type sourceTally struct {
	view.PlanSource
	reasons, fields map[string]int
}

type ruleTally struct {
	counts   view.PlanCounts
	brief    bool // there are enough with details
	fields   map[fieldAt]*view.PlanField
	outcomes map[view.PlanOutcome]int // without Count
	samples  []view.PlanSample
}

type fieldAt struct{ step, path string }

func (t *tally) rule(at ruleAt) *ruleTally {
	r := t.rules[at]
	if r == nil {
		t.detailed++
		r = &ruleTally{brief: t.detailed > maxDetailed, fields: map[fieldAt]*view.PlanField{}, outcomes: map[view.PlanOutcome]int{}}
		t.rules[at] = r
	}
	return r
}

func (t *tally) source(at sourceAt) *sourceTally {
	s := t.sources[at]
	if s == nil {
		s = &sourceTally{PlanSource: view.PlanSource{Tenant: at.tenant, Name: at.name}, reasons: map[string]int{}, fields: map[string]int{}}
		t.sources[at] = s
	}
	return s
}

func (t *tally) unreadable(at sourceAt, reason string) { count(t.source(at).reasons, clip(reason)) }

func (t *tally) reread(at sourceAt, fields []string) {
	s := t.source(at)
	s.Reread++
	for _, field := range fields {
		count(s.fields, clip(field))
	}
}

// count counts one, or another where there are too many already.
func count(counts map[string]int, what string) {
	if _, known := counts[what]; !known && len(counts) >= maxReasons {
		what = other
	}
	counts[what]++
}

// sent counts a delivery to a destination.
func (t *tally) sent(tenant, destination, how string) {
	at := destinationAt{tenant, destination}
	c := t.destinations[at]
	if c == nil {
		c = &view.PlanCounts{}
		t.destinations[at] = c
	}
	switch how {
	case changeAdded:
		c.Added++
	case changeRemoved:
		c.Removed++
	default:
		c.Changed++
	}
}

// changed counts a request that differs.
func (r *ruleTally) changed(step string, fields []view.PlanField) {
	r.counts.Changed++
	if r.brief {
		return
	}
	for _, f := range fields {
		at := fieldAt{step, f.Path}
		known := r.fields[at]
		if known == nil {
			if len(r.fields) == maxCounted {
				continue
			}
			f.Step = step
			known = &f
			r.fields[at] = known
		}
		known.Count++
	}
}

func (r *ruleTally) outcome(from, to, reason string) {
	at := view.PlanOutcome{From: from, To: to, Reason: clip(reason)}
	if _, known := r.outcomes[at]; !known && len(r.outcomes) >= maxReasons {
		at.Reason = other
	}
	r.outcomes[at]++
}

// wants reports whether a sample of a kind is still missing.
func (r *ruleTally) wants(how string) bool {
	n := 0
	for i := range r.samples {
		if r.samples[i].Change == how {
			n++
		}
	}
	return !r.brief && n < maxSamples
}

// view adds what was counted to an answer.
func (t *tally) view(to *view.Plan) {
	to.Configuration = slices.Clip(to.Configuration)
	for at, r := range t.rules {
		if r.counts == (view.PlanCounts{}) && len(r.outcomes) == 0 {
			continue
		}
		v := view.PlanRule{Kind: string(at.origin.Kind), Tenant: at.tenant, Name: at.origin.Name, PlanCounts: r.counts, Samples: r.samples}
		for _, f := range r.fields {
			v.Fields = append(v.Fields, *f)
		}
		slices.SortFunc(v.Fields, func(a, b view.PlanField) int {
			return cmp.Or(b.Count-a.Count, strings.Compare(a.Step, b.Step), strings.Compare(a.Path, b.Path))
		})
		for o, n := range r.outcomes {
			o.Count = n
			v.Outcomes = append(v.Outcomes, o)
		}
		slices.SortFunc(v.Outcomes, func(a, b view.PlanOutcome) int {
			return cmp.Or(b.Count-a.Count, strings.Compare(a.From, b.From), strings.Compare(a.To, b.To), strings.Compare(a.Reason, b.Reason))
		})
		slices.SortStableFunc(v.Samples, func(a, b view.PlanSample) int { return strings.Compare(a.Change, b.Change) })
		add(&to.Deliveries, r.counts)
		to.Rules = append(to.Rules, v)
	}
	slices.SortFunc(to.Rules, func(a, b view.PlanRule) int {
		return cmp.Or(total(b.PlanCounts)-total(a.PlanCounts), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
	})
	for at, counts := range t.destinations {
		to.Destinations = append(to.Destinations, view.PlanDestination{Tenant: at.tenant, Name: at.name, PlanCounts: *counts})
	}
	slices.SortFunc(to.Destinations, func(a, b view.PlanDestination) int {
		return cmp.Or(total(b.PlanCounts)-total(a.PlanCounts), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Name, b.Name))
	})
	for _, s := range t.sources {
		s.Unreadable, s.Fields = reasons(s.reasons), reasons(s.fields)
		to.Sources = append(to.Sources, s.PlanSource)
	}
	slices.SortFunc(to.Sources, func(a, b view.PlanSource) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Name, b.Name))
	})
	for _, list := range []func(){
		func() { notNil(&to.Configuration) }, func() { notNil(&to.Sources) }, func() { notNil(&to.Rules) },
		func() { notNil(&to.Destinations) }, func() { notNil(&to.Waiting) },
	} {
		list()
	}
}

// notNil makes a list that is absent an empty one, for JSON.
func notNil[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}

func add(to *view.PlanCounts, c view.PlanCounts) {
	to.Added += c.Added
	to.Removed += c.Removed
	to.Changed += c.Changed
}

func total(c view.PlanCounts) int { return c.Added + c.Removed + c.Changed }

// reasons returns what was counted, most frequent first.
func reasons(counts map[string]int) []view.ReasonCount {
	var all []view.ReasonCount
	for reason, n := range counts {
		all = append(all, view.ReasonCount{Reason: reason, Count: n})
	}
	slices.SortFunc(all, func(a, b view.ReasonCount) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Reason, b.Reason)) })
	return all
}
