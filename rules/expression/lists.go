package expression

import (
	"math"
	"slices"
	"strings"
)

// quantify evaluates all, any, none and one. The result is unknown if it depends on an item whose predicate is unknown.
func (f *frame) quantify(n *node) Truth {
	items, ok := f.list(n, f.operand(n.args[0]))
	if !ok {
		return Unknown
	}
	mark := f.traceMark()
	trues, open := 0, false
	for i := range items {
		t := f.testItem(n, &items[i])
		switch {
		case f.err != nil:
			return Unknown
		case t == Unknown:
			open = true
		case t == True:
			trues++
			if n.code == codeAny || n.code == codeNone || n.code == codeOne && trues > 1 {
				f.dropMissing(mark, true)
				return truthOf(n.code == codeAny)
			}
		case n.code == codeAll:
			f.dropMissing(mark, true)
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

// gather evaluates filter, map and count. An item whose predicate is unknown does not match, as an event does not match a rule.
func (f *frame) gather(n *node) value {
	items, ok := f.list(n, f.operand(n.args[0]))
	if !ok {
		return value{}
	}
	var kept []value
	count := 0
	mark := f.traceMark()
	for i := range items {
		if n.code == codeMap {
			if !f.push(n, &items[i]) {
				return value{}
			}
			temps := len(f.temps)
			v := f.eval(n.args[1])
			f.dropTemps(temps)
			f.pop()
			if v.kind != absent && f.spendMemory(1) && f.spend(perItem) {
				kept = append(kept, v)
			}
		} else if f.testItem(n, &items[i]) == True {
			count++
			if n.code == codeFilter && f.spendMemory(1) && f.spend(perItem) {
				kept = append(kept, items[i])
			}
		}
		if f.err != nil {
			return value{}
		}
	}
	f.dropMissing(mark, true)
	if n.code == codeCount {
		return numberValue(float64(count))
	}
	return value{kind: list, tree: &tree{items: kept}}
}

func (f *frame) list(n *node, of *value) ([]value, bool) {
	if !f.hasKind(n, of, lists) {
		return nil, false
	}
	t := f.open(of)
	if t == nil {
		return nil, false
	}
	return t.items, true
}

func (f *frame) testItem(n *node, item *value) Truth {
	if !f.push(n, item) {
		return Unknown
	}
	temps := len(f.temps)
	t := f.truth(n.args[1])
	f.dropTemps(temps)
	f.pop()
	return t
}

func (f *frame) push(n *node, item *value) bool {
	f.items = append(f.items, item)
	return f.spend(2 + int(n.args[1].weight))
}

func (f *frame) pop() { f.items = f.items[:len(f.items)-1] }

func (f *frame) member(n *node, of *value, key string) value {
	if !f.hasKind(n, of, objects) {
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
		f.trace.addMissing(f.prog.source(n))
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
		v := f.item(of, int(max(min(at.num, math.MaxInt32), math.MinInt32)))
		if v.kind == absent && f.trace != nil {
			f.trace.addMissing(f.prog.source(n))
		}
		return v
	}
	f.fault(n, of.kind.String()+" has no item at "+at.kind.String())
	return value{}
}

// item returns the ith item of a list. A negative i counts from the end.
func (f *frame) item(of *value, i int) value {
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

// same reports whether two values of any kinds are equal.
func (f *frame) same(a, b *value) bool {
	if a.kind != b.kind || !f.spend(1) {
		return false
	}
	switch a.kind {
	case number:
		return compareNumbers(a, b) == 0
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

// in evaluates `in`: it searches a value in a list, or a key in an object. A single value is treated as a list with one item,
// because some platforms send the answer to a multiple-choice question as a text if there is only one choice.
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
	case b.kind == list:
		return f.listContains(n, b, a)
	case b.kind == a.kind:
		return truthOf(f.same(a, b))
	}
	f.fault(n, b.kind.String()+" is not a list")
	return Unknown
}

// listContains reports whether a list contains a value. If it does not, but has an absent item, the result is unknown.
func (f *frame) listContains(n *node, of, a *value) Truth {
	t := f.open(of)
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

// inList evaluates `x in [1, 2, 3]` without building the list.
func (f *frame) inList(n *node, a *value) Truth {
	mark := f.traceMark()
	items := n.args[1].args
	fits, open := len(items) == 0, false
	for _, arg := range items {
		item := f.operand(arg)
		if a.kind != absent && f.same(a, item) {
			f.dropMissing(mark, true)
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
		f.fault(n, "the list holds no "+strings.TrimPrefix(a.kind.String(), "a "))
		return Unknown
	}
	return False
}
