package expression

import "slices"

// Comparison is a name of the event that is held against a fixed text, by ==, !=, in or contains.
type Comparison struct {
	// Name is the name in its usual place: the path of a field, or one of event.DerivedNames.
	Name string
	Text string
	// Offset and Length are where the text stands, in bytes of the whole.
	Offset, Length int
}

// Comparisons are all that the condition makes, in the order in which they are asked. The texts that a name is given in
// its absence by ?? are no comparisons, and neither is what is held against them.
func (c *Condition) Comparisons() []Comparison {
	if c.IsZero() {
		return nil
	}
	return c.prog.comparisons()
}

// Comparisons are those of the value's expression, or of its holes.
func (v Value) Comparisons() []Comparison {
	p := v.prog
	if v.hole != nil {
		p = v.hole.prog
	}
	if p == nil {
		return nil
	}
	return p.comparisons()
}

func (p *program) comparisons() []Comparison {
	var all []Comparison
	var walk func(*node)
	walk = func(n *node) {
		switch {
		case n.op == opCompare && (n.code == codeEqual || n.code == codeUnequal):
			p.compared(&all, n.args[0], n.args[1])
			p.compared(&all, n.args[1], n.args[0])
		case n.op == opIn:
			p.compared(&all, n.args[0], n.args[1])
		case n.op == opText && n.code == codeContains && n.args[0].op == opList:
			p.compared(&all, n.args[1], n.args[0])
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

// compared notes the fixed texts that a name is held against: one, or the items of a list.
func (p *program) compared(all *[]Comparison, of, against *node) {
	var instead []string
	for of.op == opCoalesce { // (nps_group ?? "none") == "none"
		if other := of.args[1]; other.op == opLiteral && other.lit.kind == text {
			instead = append(instead, other.lit.str)
		} else {
			return // it may be anything
		}
		of = of.args[0]
	}
	name := p.nameOf(of)
	if name == "" {
		return
	}
	texts := []*node{against}
	if against.op == opList {
		texts = against.args
	}
	for _, t := range texts {
		if t.op == opLiteral && t.lit.kind == text && !slices.Contains(instead, t.lit.str) {
			*all = append(*all, Comparison{Name: name, Text: t.lit.str, Offset: int(t.from), Length: int(t.to - t.from)})
		}
	}
}

// nameOf is the name of the event that a node reads; empty where it is something else.
func (p *program) nameOf(n *node) string {
	if n.op != opSlot {
		return ""
	}
	switch s := p.scope.slots[n.slot]; s.how {
	case fromGroup:
		return "nps_group"
	case fromHeader, fromData:
		return s.path
	}
	return ""
}

// RequiredValues are the texts of which the condition needs a name to be one, where it says so for itself or joined by and; ok is
// false where it does not.
func (c *Condition) RequiredValues(name string) (texts []string, ok bool) {
	if c.IsZero() {
		return nil, false
	}
	p := c.prog
	var walk func(*node)
	walk = func(n *node) {
		switch {
		case n.op == opAnd:
			for _, arg := range n.args {
				walk(arg)
			}
			return
		case n.op == opCompare && n.code == codeEqual, n.op == opIn && n.args[1].op == opList:
		default:
			return
		}
		of, against := n.args[0], n.args[1]
		if of.op == opLiteral {
			of, against = against, of
		}
		if p.nameOf(of) != name {
			return
		}
		items := []*node{against}
		if against.op == opList {
			items = against.args
		}
		var found []string
		for _, item := range items {
			if item.op != opLiteral || item.lit.kind != text {
				return
			}
			found = append(found, item.lit.str)
		}
		if ok { // asked twice: both must hold
			found = slices.DeleteFunc(found, func(s string) bool { return !slices.Contains(texts, s) })
		}
		texts, ok = found, true
	}
	walk(p.roots[0])
	return texts, ok
}
