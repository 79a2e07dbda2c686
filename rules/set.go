package rules

import (
	"slices"
	"strings"
	"sync"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

func sorted(names []string) []string { slices.Sort(names); return names }

// Set holds the rules of one configuration. It is immutable and safe for concurrent use.
type Set struct {
	rules   []*Rule
	batch   *expression.Batch
	buckets map[bucketKey]*bucket
	tenants map[string][]int32 // all rules that are not disabled, for types without buckets
	known   map[string]bool    // the types that have buckets
	scratch sync.Pool
}

// bucketKey identifies the bucket of an event.
type bucketKey struct{ tenant, eventType string }

// bucket holds the rules of one tenant and event type.
type bucket struct {
	always  []int32 // rules without a required equality
	indexes []equalityIndex
}

// equalityIndex maps a value at a slot to the rules that require it.
type equalityIndex struct {
	slot  int32
	rules map[expression.Key][]int32
}

// Match is a rule that an event matches, or one whose condition could not be evaluated.
type Match struct {
	// Index is the index of the rule in the set.
	Index int
	// Err is set if the condition panicked, or was stopped because it took too much work. It is then unknown whether the rule
	// matches.
	Err error
}

// NewSet returns a set. It keeps the order of the rules: Match.Index is an index of the argument.
func NewSet(rules []*Rule) *Set {
	s := &Set{
		rules:   slices.Clone(rules),
		buckets: map[bucketKey]*bucket{},
		tenants: map[string][]int32{},
		known:   map[string]bool{},
	}
	s.scratch.New = func() any { return new([]int32) }
	conditions := make([]*expression.Condition, len(rules))
	for _, t := range event.Types {
		s.known[t] = true
	}
	for i, r := range rules {
		conditions[i] = r.When
		for _, pattern := range r.Events {
			if !r.Disabled && !strings.Contains(pattern, "*") {
				s.known[pattern] = true
			}
		}
	}
	s.batch = expression.NewBatch(conditions)
	members := map[bucketKey][]int32{}
	for i, r := range rules {
		if r.Disabled {
			continue
		}
		s.tenants[r.Tenant] = append(s.tenants[r.Tenant], int32(i))
		for t := range s.known {
			if r.AcceptsType(t) {
				at := bucketKey{r.Tenant, t}
				members[at] = append(members[at], int32(i))
			}
		}
	}
	// Most rules accept the same types, so equal buckets are shared.
	type group struct {
		rules  []int32
		bucket *bucket
	}
	made := map[string][]group{}
	for at, in := range members {
		var b *bucket
		for _, g := range made[at.tenant] {
			if slices.Equal(g.rules, in) {
				b = g.bucket
			}
		}
		if b == nil {
			b = s.newBucket(in)
			made[at.tenant] = append(made[at.tenant], group{in, b})
		}
		s.buckets[at] = b
	}
	return s
}

// newBucket returns a bucket that indexes its rules, each by the one of its equalities whose slot has the most distinct values.
func (s *Set) newBucket(members []int32) *bucket {
	equalities := make([][]expression.Equality, len(members))
	distinct := map[int32]map[expression.Key]bool{}
	for i, rule := range members {
		equalities[i] = s.batch.Equalities(int(rule))
		for _, e := range equalities[i] {
			if distinct[e.Slot] == nil {
				distinct[e.Slot] = map[expression.Key]bool{}
			}
			for _, key := range e.Keys {
				distinct[e.Slot][key] = true
			}
		}
	}
	b := new(bucket)
	at := map[int32]int{}
	for i, rule := range members {
		best := -1
		for j, e := range equalities[i] {
			if best < 0 || len(distinct[e.Slot]) > len(distinct[equalities[i][best].Slot]) {
				best = j
			}
		}
		if best < 0 {
			b.always = append(b.always, rule)
			continue
		}
		e := equalities[i][best]
		where, ok := at[e.Slot]
		if !ok {
			where = len(b.indexes)
			at[e.Slot] = where
			b.indexes = append(b.indexes, equalityIndex{slot: e.Slot, rules: map[expression.Key][]int32{}})
		}
		for _, key := range e.Keys {
			if list := b.indexes[where].rules[key]; len(list) == 0 || list[len(list)-1] != rule {
				b.indexes[where].rules[key] = append(list, rule)
			}
		}
	}
	return b
}

// Len returns the number of rules.
func (s *Set) Len() int { return len(s.rules) }

// Rule returns the rule at an index.
func (s *Set) Rule(index int) *Rule { return s.rules[index] }

// Match appends to out the rules that an event matches, and those whose condition could not be evaluated, in the order of the
// set. An error of one rule does not affect the others. All conditions together may use expression.MaxWork, which is divided
// deterministically: the same event and set always give the same matches. work is the number of steps that were used.
func (s *Set) Match(ev *event.Event, out []Match) (matches []Match, work int) {
	return s.ask(ev, out, nil)
}

// Ask is Match that also appends to unknown the indexes of the rules whose condition was evaluated and is unknown. A rule that the
// index skips is not among them, although a value that the event lacks may be the reason: see Asked.
func (s *Set) Ask(ev *event.Event, out []Match, unknown []int32) (matches []Match, stillUnknown []int32, work int) {
	matches, work = s.ask(ev, out, &unknown)
	return matches, unknown, work
}

func (s *Set) ask(ev *event.Event, out []Match, unknown *[]int32) (matches []Match, work int) {
	own, all := s.buckets[bucketKey{ev.Tenant, ev.Type}], s.buckets[bucketKey{AllTenants, ev.Type}]
	if own == nil && all == nil && s.known[ev.Type] {
		return out, 0
	}
	reading := s.batch.Read(ev)
	defer reading.Release()
	return s.match(reading, ev, out, unknown)
}

// Asked calls each for every rule that an event of a tenant and type is matched against: those that accept the type and are not
// disabled, also those that Match skips because the event lacks a value that they require. It takes time for all rules of the
// tenant, so it is for counting afterwards and not for each event.
func (s *Set) Asked(tenant, eventType string, each func(*Rule)) {
	for _, owner := range []string{tenant, AllTenants} {
		for _, i := range s.tenants[owner] {
			if s.rules[i].AcceptsType(eventType) {
				each(s.rules[i])
			}
		}
		if tenant == AllTenants {
			break
		}
	}
}

// match evaluates the candidates. unknown may be nil.
func (s *Set) match(reading expression.Reading, ev *event.Event, out []Match, unknown *[]int32) (matches []Match, work int) {
	own, all := s.buckets[bucketKey{ev.Tenant, ev.Type}], s.buckets[bucketKey{AllTenants, ev.Type}]
	buf := s.scratch.Get().(*[]int32)
	candidates := (*buf)[:0]
	if s.known[ev.Type] {
		candidates = own.candidates(reading, candidates)
		if ev.Tenant != AllTenants {
			candidates = all.candidates(reading, candidates)
		}
	} else {
		candidates = s.unindexed(ev, candidates)
	}
	slices.Sort(candidates)
	reading.DivideWork(expression.MaxWork, len(candidates))
	for _, i := range candidates {
		truth, err := s.batch.Match(reading, int(i))
		switch {
		case err != nil:
			out = append(out, Match{Index: int(i), Err: err})
		case truth == expression.True:
			out = append(out, Match{Index: int(i)})
		case truth == expression.Unknown && unknown != nil:
			*unknown = append(*unknown, i)
		}
	}
	*buf = candidates
	s.scratch.Put(buf)
	return out, expression.MaxWork - reading.WorkLeft()
}

func (b *bucket) candidates(r expression.Reading, out []int32) []int32 {
	if b == nil {
		return out
	}
	out = append(out, b.always...)
	for i := range b.indexes {
		if key, ok := r.Key(b.indexes[i].slot); ok {
			out = append(out, b.indexes[i].rules[key]...)
		}
	}
	return out
}

// unindexed returns the candidates for types without buckets: the gateway's own notices.
func (s *Set) unindexed(ev *event.Event, out []int32) []int32 {
	for _, tenant := range []string{ev.Tenant, AllTenants} {
		for _, i := range s.tenants[tenant] {
			if s.rules[i].AcceptsType(ev.Type) {
				out = append(out, i)
			}
		}
		if ev.Tenant == AllTenants {
			break
		}
	}
	return out
}
