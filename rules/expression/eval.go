package expression

import (
	"math"
	"slices"
	"strings"
)

// truth evaluates a part that is true or false. Where absent values leave it open it is Unknown.
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
		f.trace = nil // asked whether it is there: then it is not missed
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
		mark := f.mark()
		t := f.truth(n.args[0])
		if t == Unknown && f.err == nil {
			t = f.truth(n.args[1])
		}
		f.settle(mark, t != Unknown)
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
	f.mismatch(n, v.kind.String()+" is neither true nor false")
	return Unknown
}

// junction is and, or: one that decides ends it, else one unknown leaves it unknown.
func (f *frame) junction(n *node) Truth {
	ends := False
	if n.op == opOr {
		ends = True
	}
	mark := f.mark()
	open := false
	for _, arg := range n.args {
		switch t := f.truth(arg); {
		case f.err != nil:
			return Unknown
		case t == ends:
			f.settle(mark, true)
			return ends
		case t == Unknown:
			open = true
		}
	}
	if open {
		return Unknown
	}
	f.settle(mark, true)
	if ends == True {
		return False
	}
	return True
}

// operand gives a part's value without copying one that is at hand. What had to be worked out lies among
// the frame's temporaries until the expression, or the item it is asked of, is done.
func (f *frame) operand(n *node) *value {
	switch n.op {
	case opSlot:
		v := f.value(n.slot)
		if f.trace != nil && v.kind == absent {
			f.trace.miss(f.prog.source(n))
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

// forget drops the temporaries after a mark.
func (f *frame) forget(mark int) {
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
			f.misfit(n, v, numbers)
			return value{}
		}
		return numberValue(-v.num)
	case opCoalesce:
		mark := f.mark()
		v := f.operand(n.args[0])
		if v.kind == absent && f.err == nil {
			v = f.operand(n.args[1])
		}
		f.settle(mark, v.kind != absent)
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
		if !f.take(len(n.args)) {
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
			return truthOf(order(n.code, a.num < b.num, a.num == b.num))
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
	f.mismatch(n, a.kind.String()+" is not compared with "+b.kind.String())
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

// same compares two values of whatever kinds.
func (f *frame) same(a, b *value) bool {
	if a.kind != b.kind || !f.spend(1) {
		return false
	}
	switch a.kind {
	case number:
		return a.num == b.num
	case text:
		return f.spend(min(len(a.str), len(b.str))/64) && a.str == b.str
	case boolean:
		return a.yes == b.yes
	case list, object:
		x, y := f.open(a), f.open(b)
		if x == nil || y == nil || len(x.items) != len(y.items) {
			return false
		}
		for i := range x.items {
			other := i
			if a.kind == object {
				if other = slices.Index(y.keys, x.keys[i]); other < 0 || !f.spend(1+other) {
					return false
				}
			}
			if !f.same(&x.items[i], &y.items[other]) {
				return false
			}
		}
	}
	return true
}

// in looks for a value in a list, or for a key in an object. An absent item leaves open what is not found.
func (f *frame) in(n *node) Truth {
	a := f.operand(n.args[0])
	if n.args[1].op == opList {
		return f.inList(n, a)
	}
	b := f.operand(n.args[1])
	switch {
	case a.kind == absent || b.kind == absent:
		return Unknown
	case b.kind == object && a.kind == text:
		t := f.open(b)
		return truthOf(t != nil && f.spend(len(t.keys)) && slices.Contains(t.keys, a.str))
	case b.kind != list:
		f.mismatch(n, b.kind.String()+" is not a list")
		return Unknown
	}
	t := f.open(b)
	if t == nil {
		return Unknown
	}
	fits, open := len(t.items) == 0, false
	for i := range t.items {
		item := &t.items[i]
		if f.same(a, item) {
			return True
		}
		fits = fits || item.kind == a.kind
		open = open || item.kind == absent
	}
	return f.notIn(n, a, fits, open)
}

// inList is `x in [1, 2, 3]`, which needs no list made.
func (f *frame) inList(n *node, a *value) Truth {
	mark := f.mark()
	items := n.args[1].args
	fits, open := len(items) == 0, false
	for _, arg := range items {
		item := f.operand(arg)
		if a.kind != absent && f.same(a, item) {
			f.settle(mark, true)
			return True
		}
		fits = fits || item.kind == a.kind
		open = open || item.kind == absent
	}
	if a.kind == absent {
		return Unknown
	}
	return f.notIn(n, a, fits, open)
}

func (f *frame) notIn(n *node, a *value, fits, open bool) Truth {
	switch {
	case open:
		return Unknown
	case !fits:
		f.mismatch(n, "the list holds no "+strings.TrimPrefix(a.kind.String(), "a "))
		return Unknown
	}
	return False
}

func (f *frame) text(n *node) Truth {
	a, b := f.operand(n.args[0]), f.operand(n.args[1])
	if !f.fit(n, a, texts) || !f.fit(n, b, texts) {
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

// matches may cost the length of the text times the size of the pattern, so that much is spent.
func (f *frame) matches(n *node) Truth {
	a := f.operand(n.args[0])
	if !f.fit(n, a, texts) || !f.spend(len(a.str)*n.cost/8) {
		return Unknown
	}
	return truthOf(n.re.MatchString(a.str))
}

func (f *frame) compute(n *node, a, b *value) value {
	if a.kind == absent || b.kind == absent {
		return value{}
	}
	if n.code == codeAdd && a.kind == text && b.kind == text {
		if !f.take((len(a.str) + len(b.str)) / 16) {
			return value{}
		}
		return f.made(a.str + b.str)
	}
	if a.kind != number || b.kind != number {
		f.mismatch(n, a.kind.String()+" and "+b.kind.String()+" do not go together")
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
		r = math.Mod(a.num, b.num)
	case codePower:
		r = math.Pow(a.num, b.num)
	}
	if math.IsNaN(r) || math.IsInf(r, 0) {
		f.mismatch(n, "it has no result")
		return value{}
	}
	return numberValue(r)
}

func (f *frame) call(n *node) value {
	base := len(f.args)
	defer func() { clear(f.args[base:]); f.args = f.args[:base] }()
	for i, arg := range n.args {
		v := f.operand(arg)
		if !f.fit(n, v, n.fn.takes[i]) {
			return value{}
		}
		f.args = append(f.args, *v)
	}
	out := n.fn.run(f, f.args[base:])
	if out.kind == absent && n.fn.name == "number" {
		f.mismatch(n, "the text is no number")
	}
	return out
}

// quantify asks every item: all, any, none, one. An unknown answer leaves open what the others do not decide.
func (f *frame) quantify(n *node) Truth {
	items, ok := f.list(n, f.operand(n.args[0]))
	if !ok {
		return Unknown
	}
	mark := f.mark()
	trues, open := 0, false
	for i := range items {
		t := f.ask(n, &items[i])
		switch {
		case f.err != nil:
			return Unknown
		case t == Unknown:
			open = true
		case t == True:
			trues++
			if n.code == codeAny || n.code == codeNone || n.code == codeOne && trues > 1 {
				f.settle(mark, true)
				return truthOf(n.code == codeAny)
			}
		case n.code == codeAll:
			f.settle(mark, true)
			return False
		}
	}
	if open {
		return Unknown
	}
	switch n.code {
	case codeAll, codeNone:
		return True
	case codeOne:
		return truthOf(trues == 1)
	}
	return False
}

// gather is filter, map and count. As in a rule's own condition, what is unknown does not match.
func (f *frame) gather(n *node) value {
	items, ok := f.list(n, f.operand(n.args[0]))
	if !ok {
		return value{}
	}
	var kept []value
	count := 0
	mark := f.mark()
	for i := range items {
		if n.code == codeMap {
			if !f.push(n, &items[i]) {
				return value{}
			}
			temps := len(f.temps)
			v := f.eval(n.args[1])
			f.forget(temps)
			f.pop()
			if v.kind != absent && f.take(1) {
				kept = append(kept, v)
			}
		} else if f.ask(n, &items[i]) == True {
			count++
			if n.code == codeFilter && f.take(1) {
				kept = append(kept, items[i])
			}
		}
		if f.err != nil {
			return value{}
		}
	}
	f.settle(mark, true)
	if n.code == codeCount {
		return numberValue(float64(count))
	}
	return value{kind: list, tree: &tree{items: kept}}
}

func (f *frame) list(n *node, of *value) ([]value, bool) {
	if !f.fit(n, of, lists) {
		return nil, false
	}
	t := f.open(of)
	if t == nil {
		return nil, false
	}
	return t.items, true
}

func (f *frame) ask(n *node, item *value) Truth {
	if !f.push(n, item) {
		return Unknown
	}
	temps := len(f.temps)
	t := f.truth(n.args[1])
	f.forget(temps)
	f.pop()
	return t
}

func (f *frame) push(n *node, item *value) bool {
	f.items = append(f.items, item)
	return f.spend(2 + int(n.args[1].weight))
}

func (f *frame) pop() { f.items = f.items[:len(f.items)-1] }

func (f *frame) member(n *node, of *value, key string) value {
	if !f.fit(n, of, objects) {
		return value{}
	}
	t := f.open(of)
	if t == nil || !f.spend(len(t.keys)/4) {
		return value{}
	}
	if i := slices.Index(t.keys, key); i >= 0 && t.items[i].kind != absent {
		return t.items[i]
	}
	if f.trace != nil {
		f.trace.miss(f.prog.source(n))
	}
	return value{}
}

func (f *frame) at(n *node, of, at *value) value {
	switch {
	case of.kind == absent || at.kind == absent:
		return value{}
	case of.kind == object && at.kind == text:
		return f.member(n, of, at.str)
	case of.kind == list && at.kind == number && at.num == math.Trunc(at.num):
		v := f.place(of, int(max(min(at.num, math.MaxInt32), math.MinInt32)))
		if v.kind == absent && f.trace != nil {
			f.trace.miss(f.prog.source(n))
		}
		return v
	}
	f.mismatch(n, of.kind.String()+" has no item at "+at.kind.String())
	return value{}
}

// place is an item of a list, counted from its end where negative.
func (f *frame) place(of *value, i int) value {
	t := f.open(of)
	if t == nil {
		return value{}
	}
	if i < 0 {
		i += len(t.items)
	}
	if i < 0 || i >= len(t.items) {
		return value{}
	}
	return t.items[i]
}
