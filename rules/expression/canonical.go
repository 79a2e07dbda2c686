package expression

import (
	"slices"
	"strconv"
	"strings"
)

// Canonical returns a form of the condition that is the same for conditions which differ only in spelling: shortcuts and paths, the
// order of operands of `and`, `or`, `==` and of lists, `not` in front of a comparison or spread over its operands, and the side of a
// constant. Conditions of one form have the same result for every event; those of different forms may have, too.
func (c *Condition) Canonical() string {
	if c.IsZero() {
		return ""
	}
	return c.prog.canonical(c.prog.roots[0], false)
}

// opposite is the comparison that is true where another is false; mirrored is the one with its sides exchanged.
var (
	opposite = map[uint8]uint8{
		codeEqual: codeUnequal, codeUnequal: codeEqual, codeLess: codeMoreEqual, codeMoreEqual: codeLess, codeMore: codeLessEqual, codeLessEqual: codeMore,
	}
	mirrored = map[uint8]uint8{
		codeEqual: codeEqual, codeUnequal: codeUnequal, codeLess: codeMore, codeMore: codeLess, codeLessEqual: codeMoreEqual, codeMoreEqual: codeLessEqual,
	}
)

var compareSigns = map[uint8]string{
	codeEqual: "==", codeUnequal: "!=", codeLess: "<", codeLessEqual: "<=", codeMore: ">", codeMoreEqual: ">=",
}

// canonical returns the canonical form of a part, or of `not` part.
func (p *program) canonical(n *node, negated bool) string {
	switch n.op {
	case opNot:
		return p.canonical(n.args[0], !negated)
	case opAnd, opOr:
		return p.canonicalJunction(n, negated)
	case opCompare:
		code := n.code
		if negated {
			code = opposite[code]
		}
		return p.canonicalCompare(code, n.args[0], n.args[1])
	case opIn:
		if list := n.args[1]; list.op == opList && len(list.args) == 1 {
			code := codeEqual
			if negated {
				code = codeUnequal
			}
			return p.canonicalCompare(code, n.args[0], list.args[0])
		} else if list.op == opList {
			items := p.canonicalAll(list.args)
			slices.Sort(items)
			return not(negated) + "in(" + p.canonical(n.args[0], false) + ",[" + strings.Join(slices.Compact(items), ",") + "])"
		}
	case opLiteral:
		if n.lit.kind == boolean {
			return strconv.FormatBool(n.lit.yes != negated)
		}
		return p.canonicalLiteral(n)
	}
	return not(negated) + p.canonicalTerm(n)
}

func not(negated bool) string {
	if negated {
		return "!"
	}
	return ""
}

func (p *program) canonicalAll(nodes []*node) []string {
	all := make([]string, len(nodes))
	for i, n := range nodes {
		all[i] = p.canonical(n, false)
	}
	return all
}

// canonicalJunction writes `not (a and b)` as `not a or not b`, which is the same with three values as well.
func (p *program) canonicalJunction(n *node, negated bool) string {
	sign := "&"
	if (n.op == opOr) != negated {
		sign = "|"
	}
	var parts []string
	var gather func(n *node, negated bool)
	gather = func(part *node, negated bool) {
		for part.op == opNot {
			part, negated = part.args[0], !negated
		}
		if (part.op == opAnd || part.op == opOr) && ((part.op == opOr) != negated) == (sign == "|") {
			for _, arg := range part.args {
				gather(arg, negated)
			}
			return
		}
		parts = append(parts, p.canonical(part, negated))
	}
	gather(n, negated)
	slices.Sort(parts)
	if parts = slices.Compact(parts); len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, sign) + ")"
}

func (p *program) canonicalCompare(code uint8, left, right *node) string {
	l, r := p.canonical(left, false), p.canonical(right, false)
	if l > r { // any order will do, if it is always the same
		l, r, code = r, l, mirrored[code]
	}
	return "(" + l + compareSigns[code] + r + ")"
}

func (p *program) canonicalLiteral(n *node) string {
	switch n.lit.kind {
	case number:
		if n.lit.str != "" {
			return n.lit.str
		}
		return string(appendNumber(nil, n.lit.num))
	case text:
		return strconv.Quote(n.lit.str)
	case boolean:
		return strconv.FormatBool(n.lit.yes)
	}
	return "?"
}

// canonicalTerm writes what is neither logic nor a comparison.
func (p *program) canonicalTerm(n *node) string {
	var b strings.Builder
	switch n.op {
	case opSlot:
		return slotKey(p.scope.slots[n.slot])
	case opItem:
		return "#"
	case opCall:
		b.WriteString(n.fn.name)
	default:
		b.WriteString("op" + strconv.Itoa(int(n.op)) + "." + strconv.Itoa(int(n.code)))
	}
	if n.key != "" {
		b.WriteString("." + strconv.Quote(n.key))
	}
	if n.re != nil {
		b.WriteString(strconv.Quote(n.re.String()))
	}
	b.WriteString("(" + strings.Join(p.canonicalAll(n.args), ",") + ")")
	return b.String()
}

// slotKey is the canonical form of a value of the event.
func slotKey(s slot) string {
	key := "$" + strconv.Itoa(int(s.how)) + strconv.Quote(s.path)
	if s.zone != nil {
		key += "@" + s.zone.String()
	}
	return key
}
