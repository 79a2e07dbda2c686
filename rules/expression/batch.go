package expression

import (
	"github.com/surveygate/surveygate/rules/event"
)

// Batch is many conditions asked of one event after one pass over it. It is safe for concurrent use.
type Batch struct {
	scope *scope
	progs []*program // nil where the condition is absent, which matches
}

// NewBatch joins conditions; a nil one matches every event.
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

// Reading is one event before the conditions of a batch. It belongs to one goroutine; End gives it back.
type Reading struct{ f *frame }

// Read begins with an event, of which every condition is to be asked once.
func (b *Batch) Read(ev *event.Event) Reading {
	r := Reading{b.scope.begin(ev)}
	r.DivideWork(MaxWork, len(b.progs))
	return r
}

// MaxWork is what all conditions asked of one event may take together, in steps of 2 to 10 ns. Measured
// (rules, BenchmarkWork): 1,000 rules that each ask for an answer of their own among 2,000, twenty of which go through
// all of them, take 385,000 steps and 3.4 ms; 400 that never come to an end over 1,900 answers take all, and 5.5 ms.
// To explain either takes 18 ms.
const MaxWork = event.MaxWork

// DivideWork divides work anew, among the conditions that are about to be asked; see pot.
func (r Reading) DivideWork(steps, among int) { r.f.work = newPot(steps, among) }

// WorkLeft is what is left of it.
func (r Reading) WorkLeft() int { return r.f.work.left() }

// Release gives the reading back; it must not be used after.
func (r Reading) Release() { r.f.end() }

// Match asks one condition. A panic in it is its error.
func (b *Batch) Match(r Reading, i int) (truth Truth, err error) {
	p := b.progs[i]
	if p == nil {
		return True, nil
	}
	defer rescue(&err)
	return r.f.decide(p)
}

// Explain gives the parts of one condition, as Condition.Explain does.
func (b *Batch) Explain(r Reading, i int) ([]Part, error) {
	p := b.progs[i]
	if p == nil {
		return nil, nil
	}
	return r.f.explain(p)
}

// Result asks one condition and says why it is unknown.
func (b *Batch) Result(r Reading, i int) (res Result) {
	p := b.progs[i]
	if p == nil {
		return Result{Truth: True}
	}
	defer rescue(&res.Err)
	return r.f.match(p)
}

// Key is a value that an index can be made of. The zero Key is none.
type Key struct {
	kind kind
	yes  bool
	num  float64
	str  string
}

// Equality is a part of a condition without which it cannot match: the value at Slot is one of Keys.
type Equality struct {
	Slot int32
	Keys []Key
}

// Equalities are what condition i demands: `path == constant` and `path in [constants]`, where they stand
// alone or are joined with and.
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
			if b.indexable(p, left) && right.op == opLiteral {
				all = append(all, Equality{Slot: p.remap[left.slot], Keys: []Key{keyOf(&right.lit)}})
			}
		case opIn:
			if !b.indexable(p, n.args[0]) || n.args[1].op != opList {
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

// indexable says whether a value is at hand after the one pass, or as cheap.
func (b *Batch) indexable(p *program, n *node) bool {
	return n.op == opSlot && b.scope.slots[p.remap[n.slot]].how <= fromGroup
}

// Key is the event's value at a slot; ok is false where it is absent or nothing an index holds.
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
