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

// Match is a rule that an event matches, or one of which it is not known.
type Match struct {
	// Index is the index of the rule in the set.
	Index int
	// Unknown: the condition was evaluated and is unknown, so the rule does not match.
	Unknown bool
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
		if len(s.rules[rule].Deferred) > 0 {
			equalities[i] = nil // it may match whatever the values are
		}
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

// Match appends to out the rules that an event matches, those whose condition is unknown, and those whose condition could not be
// evaluated, in the order of the set. Rules that the index skips are left out, although a value that the event lacks may be the
// reason. An error of one rule does not affect the others. All conditions together may use expression.MaxWork, which is divided
// deterministically: the same event and set always give the same matches. work is the number of steps that were used.
func (s *Set) Match(ev *event.Event, out []Match) (matches []Match, work int) {
	if !s.asks(ev) {
		return out, 0
	}
	reading := s.batch.Read(ev)
	defer reading.Release()
	buf := s.scratch.Get().(*[]int32)
	defer s.scratch.Put(buf)
	*buf = s.candidates(reading, ev, (*buf)[:0])
	reading.DivideWork(expression.MaxWork, len(*buf))
	out = s.evaluate(reading, ev.Type, *buf, out)
	return out, expression.MaxWork - reading.WorkLeft()
}

// MatchBoth matches an event against s and then against other, as one set of the rules of both would: together they may use
// expression.MaxWork. The first n matches are rules of s, and those behind them rules of other.
func (s *Set) MatchBoth(other *Set, ev *event.Event, out []Match) (matches []Match, n, work int) {
	switch asksFirst, asksSecond := s.asks(ev), other.asks(ev); {
	case !asksSecond:
		matches, work = s.Match(ev, out)
		return matches, len(matches), work
	case !asksFirst:
		matches, work = other.Match(ev, out)
		return matches, len(out), work
	}
	first, second := s.batch.Read(ev), other.batch.Read(ev)
	defer first.Release()
	defer second.Release()
	return s.matchBoth(other, first, second, ev, out)
}

func (s *Set) matchBoth(other *Set, first, second expression.Reading, ev *event.Event, out []Match) (matches []Match, n, work int) {
	buf, otherBuf := s.scratch.Get().(*[]int32), other.scratch.Get().(*[]int32)
	defer s.scratch.Put(buf)
	defer other.scratch.Put(otherBuf)
	*buf, *otherBuf = s.candidates(first, ev, (*buf)[:0]), other.candidates(second, ev, (*otherBuf)[:0])
	first.DivideWork(expression.MaxWork, len(*buf)+len(*otherBuf))
	out = s.evaluate(first, ev.Type, *buf, out)
	n = len(out)
	second.ContinueWork(first)
	out = other.evaluate(second, ev.Type, *otherBuf, out)
	return out, n, expression.MaxWork - second.WorkLeft()
}

// asks reports whether the set may have rules for an event.
func (s *Set) asks(ev *event.Event) bool {
	return !s.known[ev.Type] || s.buckets[bucketKey{ev.Tenant, ev.Type}] != nil || s.buckets[bucketKey{AllTenants, ev.Type}] != nil
}

// candidates appends the rules that the event may match, in the order of the set.
func (s *Set) candidates(reading expression.Reading, ev *event.Event, out []int32) []int32 {
	if s.known[ev.Type] {
		out = s.buckets[bucketKey{ev.Tenant, ev.Type}].candidates(reading, out)
		if ev.Tenant != AllTenants {
			out = s.buckets[bucketKey{AllTenants, ev.Type}].candidates(reading, out)
		}
	} else {
		out = s.unindexed(ev.Tenant, ev.Type, out)
	}
	slices.Sort(out)
	return out
}

// evaluate appends the candidates that match, those that are unknown, and those that failed.
func (s *Set) evaluate(reading expression.Reading, eventType string, candidates []int32, out []Match) []Match {
	for _, i := range candidates {
		if r := s.rules[i]; len(r.Deferred) > 0 && r.Defers(eventType) {
			out = append(out, Match{Index: int(i)})
			continue
		}
		switch truth, err := s.batch.Match(reading, int(i)); {
		case err != nil:
			out = append(out, Match{Index: int(i), Err: err})
		case truth != expression.False:
			out = append(out, Match{Index: int(i), Unknown: truth == expression.Unknown})
		}
	}
	return out
}

// Asked calls each for every rule that an event of a tenant and type is matched against: those that accept the type and are not
// disabled, also those that the index skips. It takes time for all rules of the tenant, so it is for counting afterwards and not
// for each event.
func (s *Set) Asked(tenant, eventType string, each func(*Rule)) {
	for _, i := range s.unindexed(tenant, eventType, nil) {
		each(s.rules[i])
	}
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

// unindexed appends all rules that an event of a tenant and type is matched against. It is used for types without buckets, too: the
// gateway's own notices.
func (s *Set) unindexed(tenant, eventType string, out []int32) []int32 {
	for _, owner := range []string{tenant, AllTenants} {
		for _, i := range s.tenants[owner] {
			if s.rules[i].AcceptsType(eventType) {
				out = append(out, i)
			}
		}
		if tenant == AllTenants {
			break
		}
	}
	return out
}
