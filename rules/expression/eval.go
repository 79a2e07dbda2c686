package expression

import (
	"cmp"
	"math"
	"strings"
)

// truth evaluates a part that is true or false. It is Unknown if the result depends on an absent value.
func (f *frame) truth(n *node) Truth {
	switch n.op {
	case opAnd, opOr:
		return f.junction(n)
	case opNot:
		switch f.truth(n.args[0]) {
		case True:
			return False
		case False:
			return True
		}
		return Unknown
	case opCompare:
		return f.compare(n)
	case opIn:
		return f.in(n)
	case opText:
		return f.text(n)
	case opMatches:
		return f.matches(n)
	case opHas:
		before := f.trace
		f.trace = nil // has() makes no field missing
		there := f.operand(n.args[0]).kind != absent
		f.trace = before
		return truthOf(there)
	case opChoose:
		switch f.truth(n.args[0]) {
		case True:
			return f.truth(n.args[1])
		case False:
			return f.truth(n.args[2])
		}
		return Unknown
	case opCoalesce:
		mark := f.traceMark()
		t := f.truth(n.args[0])
		if t == Unknown && f.err == nil {
			t = f.truth(n.args[1])
		}
		f.dropMissing(mark, t != Unknown)
		return t
	case opQuantify:
		if n.code != codeFilter && n.code != codeMap && n.code != codeCount {
			return f.quantify(n)
		}
	}
	v := f.operand(n)
	switch v.kind {
	case boolean:
		return truthOf(v.yes)
	case absent:
		return Unknown
	}
	f.fault(n, v.kind.String()+" is neither true nor false")
	return Unknown
}

// junction evaluates `and` and `or`. The first operand that decides the result ends the evaluation; otherwise an unknown operand
// makes the result unknown.
func (f *frame) junction(n *node) Truth {
	decisive := False
	if n.op == opOr {
		decisive = True
	}
	mark := f.traceMark()
	open := false
	for _, arg := range n.args {
		switch t := f.truth(arg); {
		case f.err != nil:
			return Unknown
		case t == decisive:
			f.dropMissing(mark, true)
			return decisive
		case t == Unknown:
			open = true
		}
	}
	if open {
		return Unknown
	}
	f.dropMissing(mark, true)
	if decisive == True {
		return False
	}
	return True
}

// operand returns a pointer to a part's value, without a copy if it exists already. A computed value is stored in the frame's
// temporaries until the expression, or the evaluation for the current list item, ends.
func (f *frame) operand(n *node) *value {
	switch n.op {
	case opSlot:
		v := f.value(n.slot)
		if f.trace != nil && v.kind == absent {
			f.trace.addMissing(cmp.Or(n.key, f.prog.source(n)))
		}
		return v
	case opLiteral:
		return &n.lit
	case opItem:
		return f.items[len(f.items)-1]
	}
	f.temps = append(f.temps, f.eval(n))
	return &f.temps[len(f.temps)-1]
}

// dropTemps removes the temporaries from mark on.
func (f *frame) dropTemps(mark int) {
	clear(f.temps[mark:])
	f.temps = f.temps[:mark]
}

// eval evaluates any part.
func (f *frame) eval(n *node) value {
	switch n.op {
	case opLiteral, opSlot, opItem:
		return *f.operand(n)
	case opMember:
		return f.member(n, f.operand(n.args[0]), n.key)
	case opIndex:
		return f.at(n, f.operand(n.args[0]), f.operand(n.args[1]))
	case opCompute:
		return f.compute(n, f.operand(n.args[0]), f.operand(n.args[1]))
	case opNegate:
		v := f.operand(n.args[0])
		if v.kind != number {
			f.kindFault(n, v, numbers)
			return value{}
		}
		return negated(v)
	case opCoalesce:
		mark := f.traceMark()
		v := f.operand(n.args[0])
		if v.kind == absent && f.err == nil {
			v = f.operand(n.args[1])
		}
		f.dropMissing(mark, v.kind != absent)
		return *v
	case opChoose:
		switch f.truth(n.args[0]) {
		case True:
			return *f.operand(n.args[1])
		case False:
			return *f.operand(n.args[2])
		}
		return value{}
	case opList:
		if !f.spendMemory(len(n.args)) || !f.spend(perCall+perItem*len(n.args)) {
			return value{}
		}
		items := make([]value, len(n.args))
		for i, arg := range n.args {
			items[i] = *f.operand(arg)
		}
		return value{kind: list, tree: &tree{items: items}}
	case opCall:
		return f.call(n)
	case opQuantify:
		if n.code == codeFilter || n.code == codeMap || n.code == codeCount {
			return f.gather(n)
		}
	}
	return truthValue(f.truth(n))
}

func (f *frame) compare(n *node) Truth {
	a, b := f.operand(n.args[0]), f.operand(n.args[1])
	if a.kind == absent || b.kind == absent {
		return Unknown
	}
	if a.kind == b.kind {
		switch a.kind {
		case number:
			o := compareNumbers(a, b)
			return truthOf(order(n.code, o < 0, o == 0))
		case text:
			f.spend(min(len(a.str), len(b.str)) / 64)
			if n.code == codeEqual {
				return truthOf(a.str == b.str)
			}
			return truthOf(order(n.code, a.str < b.str, a.str == b.str))
		}
		if n.code == codeEqual || n.code == codeUnequal {
			return truthOf(f.same(a, b) == (n.code == codeEqual))
		}
	}
	f.fault(n, a.kind.String()+" is not compared with "+b.kind.String())
	return Unknown
}

func order(code uint8, less, equal bool) bool {
	switch code {
	case codeEqual:
		return equal
	case codeUnequal:
		return !equal
	case codeLess:
		return less
	case codeLessEqual:
		return less || equal
	case codeMore:
		return !less && !equal
	}
	return !less
}

func (f *frame) text(n *node) Truth {
	a, b := f.operand(n.args[0]), f.operand(n.args[1])
	if a.kind == list && n.code == codeContains {
		if !f.hasKind(n, b, numbers|texts|booleans) {
			return Unknown
		}
		return f.listContains(n, a, b)
	}
	if !f.hasKind(n, a, texts) || !f.hasKind(n, b, texts) {
		return Unknown
	}
	f.spend(min(len(a.str), len(b.str)) / 64)
	switch n.code {
	case codeStartsWith:
		return truthOf(strings.HasPrefix(a.str, b.str))
	case codeEndsWith:
		return truthOf(strings.HasSuffix(a.str, b.str))
	}
	f.spend(len(a.str) / 16)
	return truthOf(strings.Contains(a.str, b.str))
}

// matches evaluates `matches`. It spends the length of the text times the size of the pattern, which is the worst case.
func (f *frame) matches(n *node) Truth {
	a := f.operand(n.args[0])
	if !f.hasKind(n, a, texts) || !f.spend(perPattern+len(a.str)*(n.cost+4)/6) {
		return Unknown
	}
	return truthOf(n.re.MatchString(a.str))
}

func (f *frame) compute(n *node, a, b *value) value {
	if a.kind == absent || b.kind == absent {
		return value{}
	}
	if n.code == codeAdd && a.kind == text && b.kind == text {
		if !f.spendMemory((len(a.str) + len(b.str)) / 16) {
			return value{}
		}
		return f.made(a.str + b.str)
	}
	if a.kind != number || b.kind != number {
		f.fault(n, a.kind.String()+" and "+b.kind.String()+" do not go together")
		return value{}
	}
	var r float64
	switch n.code {
	case codeAdd:
		r = a.num + b.num
	case codeSubtract:
		r = a.num - b.num
	case codeMultiply:
		r = a.num * b.num
	case codeDivide:
		r = a.num / b.num
	case codeModulo:
		f.spend(perPower)
		r = math.Mod(a.num, b.num)
	case codePower:
		f.spend(perPower)
		r = math.Pow(a.num, b.num)
	}
	if math.IsNaN(r) || math.IsInf(r, 0) {
		f.fault(n, "it has no result")
		return value{}
	}
	return numberValue(r)
}

func (f *frame) call(n *node) value {
	base, mark := len(f.args), f.traceMark()
	defer func() { clear(f.args[base:]); f.args = f.args[:base] }()
	for i, arg := range n.args {
		v := f.operand(arg)
		if !f.hasKind(n, v, n.fn.takes[i]) {
			return value{}
		}
		f.args = append(f.args, *v)
	}
	out := n.fn.run(f, f.args[base:])
	if out.kind == absent && n.fn.why != "" && f.err == nil {
		f.fault(n, n.fn.why)
	}
	f.dropMissing(mark, out.kind != absent)
	return out
}
