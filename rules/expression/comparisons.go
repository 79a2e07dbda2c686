package expression

import "slices"

// Comparison is a comparison of an event's field with a constant text, by ==, !=, in or contains.
type Comparison struct {
	// Name is the path of the field, or one of event.DerivedNames.
	Name string
	Text string
	// Offset and Length are the position of the constant in the whole text, in bytes.
	Offset, Length int
}

// Comparisons returns all comparisons of the condition, in the order of evaluation. The default texts of ?? are not comparisons,
// and comparisons with such a default are left out.
func (c *Condition) Comparisons() []Comparison {
	if c.IsZero() {
		return nil
	}
	return c.prog.comparisons()
}

// Comparisons returns the comparisons of the value's expression, or of its holes.
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
			p.addComparisons(&all, n.args[0], n.args[1])
			p.addComparisons(&all, n.args[1], n.args[0])
		case n.op == opIn:
			p.addComparisons(&all, n.args[0], n.args[1])
		case n.op == opText && n.code == codeContains && n.args[0].op == opList:
			p.addComparisons(&all, n.args[1], n.args[0])
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

// addComparisons adds a comparison for each constant text in against: one text, or the items of a list.
func (p *program) addComparisons(all *[]Comparison, of, against *node) {
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

// nameOf returns the event's field that a node reads; "" for any other node.
func (p *program) nameOf(n *node) string {
	if n.op != opSlot {
		return ""
	}
	switch s := p.scope.slots[n.slot]; s.how {
	case fromGroup:
		return "nps_group"
	case fromHeader, fromData, fromClock:
		return s.path
	}
	return ""
}

// RequiredValues returns the texts of which the field must have one for the condition to match, as stated by comparisons alone or
// joined with `and`. ok is false if the condition has no such requirement.
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
		if ok { // two requirements: both must be met
			found = slices.DeleteFunc(found, func(s string) bool { return !slices.Contains(texts, s) })
		}
		texts, ok = found, true
	}
	walk(p.roots[0])
	return texts, ok
}

// Paths returns the paths of the event's data that the condition reads, in no order.
func (c *Condition) Paths() (paths []string) {
	if c.IsZero() {
		return nil
	}
	for _, s := range c.prog.scope.slots {
		if s.how == fromData {
			paths = append(paths, s.path)
		}
	}
	return paths
}
