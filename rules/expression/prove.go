package expression

import (
	"cmp"
	"fmt"
	"math"
)

// Finding is something that is known of a condition, or of a part of it, before there is an event.
type Finding struct {
	Kind FindingKind
	// Offset and Length are the position of the part in the condition, in bytes.
	Offset, Length  int
	Message, Remedy string
}

// FindingKind says what a Finding is about.
type FindingKind uint8

// The kinds of findings.
const (
	// NeverTrue: no event makes the condition, or this part of it, true.
	NeverTrue FindingKind = iota
	// AlwaysTrue: every event makes the condition true.
	AlwaysTrue
	// OutOfRange: a comparison with a number that a field cannot have, so that it has the same result whatever the number is.
	OutOfRange
)

// maxPairs is how many operands of an `and` are held against each other to say which two exclude each other.
const maxPairs = 20

// Prove looks for conditions, and parts of conditions, that are never or always true: constants, contradictions, and comparisons with
// what a field cannot have. It finds some of them; what it finds is certain. budget bounds the work, and what remains of it is returned.
// It treats values of different names as independent, and the results of functions as unknown.
func (c *Condition) Prove(budget int) (found []Finding, left int) {
	if c.IsZero() {
		return nil, budget
	}
	p := c.prog
	root := p.roots[0]
	budget -= int(p.weight)
	if found = p.outOfRange(root); len(found) > 0 {
		return found, budget
	}
	k := prover{p, &budget}
	switch {
	case k.never(root):
		found = []Finding{k.whyNever(root, "correct it: the condition is never met")}
	case !p.possible(&budget, goal{root, onlyFalse | onlyOpen}):
		found = []Finding{k.finding(AlwaysTrue, root, "this condition is true for every event", "remove it: without a condition, every event of these types matches")}
	default:
		found = k.deadParts(root, nil)
	}
	return found, budget
}

type prover struct {
	p      *program
	budget *int
}

func (k prover) finding(kind FindingKind, n *node, message, remedy string) Finding {
	return Finding{kind, int(n.from), int(n.to - n.from), message, remedy}
}

func (k prover) never(n *node) bool { return !k.p.possible(k.budget, goal{n, onlyTrue}) }

// whyNever returns the smallest part that is never true, or the two operands of an `and` that exclude each other.
func (k prover) whyNever(n *node, remedy string) Finding {
	if n.op == opAnd {
		for _, arg := range n.args {
			if k.never(arg) {
				return k.whyNever(arg, remedy)
			}
		}
		for i, b := range n.args[:min(len(n.args), maxPairs)] {
			for _, a := range n.args[:i] {
				if !k.p.possible(k.budget, goal{a, onlyTrue}, goal{b, onlyTrue}) {
					return k.finding(NeverTrue, b, fmt.Sprintf("`%s` and `%s` are never both true", k.show(a), k.show(b)), remedy)
				}
			}
		}
	}
	return k.finding(NeverTrue, n, fmt.Sprintf("`%s` is never true", k.show(n)), remedy)
}

func (k prover) show(n *node) string { return clip(k.p.source(n)) }

// deadParts returns the operands of `or` that are never true, of a condition that may be true.
func (k prover) deadParts(n *node, found []Finding) []Finding {
	if n.op != opAnd && n.op != opOr {
		return found
	}
	for _, arg := range n.args {
		if n.op == opOr && k.never(arg) {
			found = append(found, k.whyNever(arg, "correct this part, or remove it: the others decide alone"))
			continue
		}
		found = k.deadParts(arg, found)
	}
	return found
}

// outOfRange returns the comparisons of a field with a number that is outside of its range.
func (p *program) outOfRange(n *node) (found []Finding) {
	of, against, code := n, n, uint8(0)
	switch {
	case n.op == opCompare:
		of, against, code = n.args[0], n.args[1], n.code
		if of.op == opLiteral {
			of, against, code = against, of, mirrored[code]
		}
	case n.op == opIn && n.args[1].op == opList:
		of, against, code = n.args[0], n.args[1], codeEqual
	}
	if bound := p.boundOf(of); bound != nil {
		items := []*node{against}
		if against.op == opList {
			items = against.args
		}
		for _, item := range items {
			if item.op != opLiteral || item.lit.kind != number || item.lit.str != "" {
				continue
			}
			result := ""
			switch {
			case len(bound.and(numbersWhere(code, item.lit.num))) == 0:
				result = "is never"
			case len(bound.and(numbersWhere(opposite[code], item.lit.num))) == 0:
				result = "is always"
			default:
				continue
			}
			name := p.source(of)
			remedy := fmt.Sprintf("write has(%s) to ask whether there is one", name)
			if result == "is never" || of != n.args[0] || code == codeUnequal {
				remedy = fmt.Sprintf("`%s` is %s", name, bound)
			}
			found = append(found, Finding{
				OutOfRange, int(item.from), int(item.to - item.from),
				fmt.Sprintf("`%s` %s %s %s", name, result, compareSigns[code], p.source(item)), remedy,
			})
		}
	}
	if n.op == opCall && n.fn.name == "between" {
		found = p.neverBetween(n, found)
	}
	for _, arg := range n.args {
		found = append(found, p.outOfRange(arg)...)
	}
	return found
}

// neverBetween adds the ends of between() that are outside of the field's range.
func (p *program) neverBetween(n *node, found []Finding) []Finding {
	bound := p.boundOf(n.args[0])
	if bound == nil {
		return found
	}
	for _, end := range n.args[1:] {
		if end.op != opLiteral || end.lit.kind != number || end.lit.str != "" || len(bound.and(numbersWhere(codeEqual, end.lit.num))) > 0 {
			continue
		}
		name := p.source(n.args[0])
		found = append(found, Finding{
			OutOfRange, int(end.from), int(end.to - end.from), fmt.Sprintf("`%s` is never %s", name, p.source(end)), fmt.Sprintf("`%s` is %s", name, bound),
		})
	}
	return found
}

// boundOf returns the range of a field; nil for a part that has none.
func (p *program) boundOf(n *node) ranges {
	if n.op != opSlot {
		return nil
	}
	if r, bounded := numbersOf(p.scope.slots[n.slot]); bounded {
		return r
	}
	return nil
}

// String describes one interval in words.
func (r ranges) String() string {
	first := r[0]
	if math.IsInf(first.to, 1) {
		return fmt.Sprintf("%s or more", appendNumber(nil, first.from))
	}
	return fmt.Sprintf("%s to %s", appendNumber(nil, first.from), appendNumber(nil, first.to))
}

// Read is a field of the event that an expression needs.
type Read struct {
	// Path is that of the event's data; of what follows `params.` and the like, the whole path.
	Path string
	// Name is the field as it is written; Offset and Length are its position, in bytes.
	Name           string
	Offset, Length int
}

// Reads returns the fields without which the condition is unknown or decided by other parts of it. What has() asks for is left out,
// and what has an alternative by `??`.
func (c *Condition) Reads() []Read {
	if c.IsZero() {
		return nil
	}
	return c.prog.reads()
}

// Reads returns the fields without which holes of the value's text are empty. It is nil for a value that is no text with holes.
func (v Value) Reads() []Read {
	if v.hole == nil || v.hole.prog == nil {
		return nil
	}
	return v.hole.prog.reads()
}

func (p *program) reads() (all []Read) {
	var walk func(n *node)
	walk = func(n *node) {
		switch n.op {
		case opHas, opCoalesce:
			return
		case opSlot:
			path := p.scope.slots[n.slot].path
			switch p.scope.slots[n.slot].how {
			case fromHeader, fromRaw, fromClock, fromType:
				return
			case fromAnswer, fromRate:
				path = "response.answers"
			}
			all = append(all, Read{path, cmp.Or(n.key, p.source(n)), int(n.from), int(n.to - n.from)})
		}
		for _, arg := range n.args {
			walk(arg)
		}
	}
	for _, root := range p.roots {
		walk(root)
	}
	return all
}
