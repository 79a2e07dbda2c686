package expression

import (
	"github.com/surveygate/surveygate/rules/event"
)

// Batch is a list of conditions that are evaluated together: one pass over an event reads the fields for all of them. It is safe
// for concurrent use.
type Batch struct {
	scope *scope
	progs []*program // nil for an absent condition, which matches
}

// NewBatch returns a batch of conditions. A nil condition matches every event.
func NewBatch(conditions []*Condition) *Batch {
	b := &Batch{scope: new(scope), progs: make([]*program, len(conditions))}
	for i, c := range conditions {
		if c.IsZero() {
			continue
		}
		own := *c.prog
		own.scope = b.scope
		own.remap = make([]int32, len(c.prog.scope.slots))
		for j, slot := range c.prog.scope.slots {
			own.remap[j] = b.scope.slot(slot)
		}
		b.progs[i] = &own
	}
	b.scope.seal()
	return b
}

// Reading holds the fields of one event for the conditions of a batch. It must not be used by several goroutines at once. Call
// Release when all conditions are evaluated.
type Reading struct{ f *frame }

// Read reads an event. The work is divided among all conditions of the batch, for evaluating each of them once; see DivideWork.
func (b *Batch) Read(ev *event.Event) Reading {
	r := Reading{b.scope.begin(ev)}
	r.DivideWork(MaxWork, len(b.progs))
	return r
}

// MaxWork bounds the work of all conditions on one event together, in steps of 2 to 10 ns. Measured with BenchmarkWork in package
// rules: 1,000 rules that each look up one of 2,000 answers, and of which 20 iterate over all answers, take 385,000 steps and 3.4
// ms; 400 rules that iterate endlessly over 1,900 answers use up all steps and take 5.5 ms. Explaining either takes 18 ms.
const MaxWork = event.MaxWork

// DivideWork sets the number of steps for all following evaluations, and divides them among the given number of evaluations. Each
// one gets at least its part of half of the steps, and may use more if others need less; see workPool.
func (r Reading) DivideWork(steps, evaluations int) { r.f.work = newWorkPool(steps, evaluations) }

// ContinueWork takes over the steps that another reading has left, for the evaluations that were not begun there: DivideWork of
// the other one counted them too.
func (r Reading) ContinueWork(from Reading) { r.f.work = from.f.work }

// WorkLeft returns the number of steps that are left.
func (r Reading) WorkLeft() int { return r.f.work.left() }

// Release returns the reading's memory for reuse. The reading must not be used afterwards.
func (r Reading) Release() { r.f.end() }

// Match evaluates condition i. A panic during the evaluation is returned as its error.
func (b *Batch) Match(r Reading, i int) (truth Truth, err error) {
	p := b.progs[i]
	if p == nil {
		return True, nil
	}
	defer rescue(&err)
	return r.f.decide(p)
}

// Explain returns the parts of condition i, as Condition.Explain does.
func (b *Batch) Explain(r Reading, i int) ([]Part, error) {
	p := b.progs[i]
	if p == nil {
		return nil, nil
	}
	return r.f.explain(p)
}

// Result evaluates condition i, and reports why it is unknown.
func (b *Batch) Result(r Reading, i int) (res Result) {
	p := b.progs[i]
	if p == nil {
		return Result{Truth: True}
	}
	defer rescue(&res.Err)
	return r.f.match(p)
}

// Key is a comparable form of a number, text or boolean, for use as the key of an index. The zero Key is not the key of any
// value.
type Key struct {
	kind kind
	yes  bool
	num  float64
	str  string
}

// Equality is a requirement of a condition: it can match only events whose value at Slot (see Reading.Key) is one of Keys.
type Equality struct {
	Slot int32
	Keys []Key
}

// Equalities returns the requirements of condition i that have the form `path == constant` or `path in [constants]`, alone or
// joined with `and`.
func (b *Batch) Equalities(i int) []Equality {
	p := b.progs[i]
	if p == nil {
		return nil
	}
	var all []Equality
	var walk func(n *node)
	walk = func(n *node) {
		switch n.op {
		case opAnd:
			for _, arg := range n.args {
				walk(arg)
			}
		case opCompare:
			if n.code != codeEqual {
				return
			}
			left, right := n.args[0], n.args[1]
			if left.op == opLiteral {
				left, right = right, left
			}
			if b.isIndexable(p, left) && right.op == opLiteral {
				all = append(all, Equality{Slot: p.remap[left.slot], Keys: []Key{keyOf(&right.lit)}})
			}
		case opIn:
			if !b.isIndexable(p, n.args[0]) || n.args[1].op != opList {
				return
			}
			keys := make([]Key, 0, len(n.args[1].args))
			for _, item := range n.args[1].args {
				if item.op != opLiteral {
					return
				}
				keys = append(keys, keyOf(&item.lit))
			}
			all = append(all, Equality{Slot: p.remap[n.args[0].slot], Keys: keys})
		}
	}
	walk(p.roots[0])
	return all
}

// isIndexable reports whether a node is a value that Read provides, or one that is as cheap to get.
func (b *Batch) isIndexable(p *program, n *node) bool {
	return n.op == opSlot && b.scope.slots[p.remap[n.slot]].how <= fromGroup
}

// Key returns the event's value at a slot. ok is false if the value is absent, or is not a number, text or boolean.
func (r Reading) Key(slot int32) (key Key, ok bool) {
	r.f.remap = nil
	v := r.f.value(slot)
	switch v.kind {
	case number, text, boolean:
		return keyOf(v), true
	}
	return Key{}, false
}

func keyOf(v *value) Key {
	switch v.kind {
	case number:
		return Key{kind: number, num: v.num, str: v.inexact()}
	case text:
		return Key{kind: text, str: v.str}
	}
	return Key{kind: v.kind, yes: v.yes}
}
