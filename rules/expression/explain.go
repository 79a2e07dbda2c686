package expression

import (
	"errors"
	"slices"
	"strconv"

	"github.com/surveygate/surveygate/rules/event"
)

// Part is a part of a condition with its value for an event.
type Part struct {
	Text string
	// Value is true, false, unknown, a number, a quoted text, or the beginning of the JSON of a list or object.
	Value string
	// Depth is the nesting level; 0 for the whole condition.
	Depth int
	// Decided marks the parts that the condition's result comes from: of a false `and`, the first part that is false.
	Decided bool
	// NotAsked marks parts that a decision does not evaluate, because parts before them decide. Their values are shown all the same.
	NotAsked bool
	// Operand marks what a comparison or a function reads: no condition of its own.
	Operand bool
}

// Explain returns the parts of the condition with their values: and, or, comparisons, calls and names, each before the parts that
// it contains. The predicate of a function on a list, such as any(), is not divided into parts.
func (c *Condition) Explain(ev *event.Event) (parts []Part, err error) {
	if c.IsZero() {
		return nil, nil
	}
	f := c.prog.scope.begin(ev)
	defer f.end()
	f.work = newWorkPool(4*maxSteps, 1)
	return f.explain(c.prog)
}

// explain evaluates every part separately. All of them together use the work of one evaluation.
func (f *frame) explain(p *program) (parts []Part, err error) {
	left := f.work.take()
	defer func() { f.work.give(left) }()
	defer rescue(&err)
	var walk func(n *node, depth int) explained
	walk = func(n *node, depth int) explained {
		if n.op == opLiteral {
			return explained{node: n, at: -1, truth: truthOfValue(&n.lit)}
		}
		x := explained{node: n, at: -1}
		if err != nil {
			return x
		}
		may := min(left, maxSteps)
		f.enter(p, may)
		f.spend(int(n.weight))
		got := f.eval(n)
		left -= may - f.steps
		x.at, x.truth = len(parts), truthOfValue(&got)
		parts = append(parts, Part{Text: p.source(n), Value: f.show(&got), Depth: depth})
		err = f.err
		args := n.args
		if n.op == opQuantify {
			args = args[:1]
		}
		for _, arg := range args {
			if arg.from == n.from && arg.to == n.to {
				continue // a literal shows no more than the call, such as answered("4")
			}
			x.args = append(x.args, walk(arg, depth+1))
		}
		return x
	}
	if whole := walk(p.roots[0], 0); err == nil {
		whole.decide(parts)
	}
	return parts, err
}

// explained is a part that was evaluated: at is its index in the list of parts, -1 of a literal.
type explained struct {
	node  *node
	at    int
	truth Truth
	args  []explained
}

// truthOfValue is the truth of the value of a part; Unknown of what is neither true nor false.
func truthOfValue(v *value) Truth {
	if v.kind == boolean {
		return truthOf(v.yes)
	}
	return Unknown
}

// decide marks, in parts, where the result of x comes from, as truth and junction find it.
func (x *explained) decide(parts []Part) {
	switch x.node.op {
	case opAnd:
		x.decideJunction(parts, False)
		return
	case opOr:
		x.decideJunction(parts, True)
		return
	case opNot:
		if len(x.args) == 1 {
			x.args[0].decide(parts)
			return
		}
	case opChoose:
		if len(x.args) == 3 {
			x.decideChoice(parts)
			return
		}
	case opCoalesce:
		if len(x.args) == 2 {
			if x.args[0].truth != Unknown {
				x.args[0].decide(parts)
				x.args[1].skip(parts)
			} else {
				x.args[1].decide(parts)
			}
			return
		}
	}
	if x.at >= 0 {
		parts[x.at].Decided = true
	}
	x.eachBelow(parts, func(p *Part) { p.Operand = true })
}

// decideJunction marks the operands of `and` or `or`: the first with the decisive truth decides alone; without one, those that are
// unknown do, and if there are none, all.
func (x *explained) decideJunction(parts []Part, decisive Truth) {
	if first := slices.IndexFunc(x.args, func(arg explained) bool { return arg.truth == decisive }); first >= 0 {
		for i := range x.args {
			switch {
			case i < first:
				x.args[i].ask(parts)
			case i == first:
				x.args[i].decide(parts)
			default:
				x.args[i].skip(parts)
			}
		}
		return
	}
	for i := range x.args {
		if x.truth == Unknown && x.args[i].truth != Unknown {
			x.args[i].ask(parts)
		} else {
			x.args[i].decide(parts)
		}
	}
}

// decideChoice marks the operands of `a ? b : c`.
func (x *explained) decideChoice(parts []Part) {
	chosen := 0
	switch x.args[0].truth {
	case True:
		chosen = 1
	case False:
		chosen = 2
	case Unknown:
	}
	for i := range x.args {
		switch i {
		case chosen:
			x.args[i].decide(parts)
		case 0:
			x.args[i].ask(parts)
		default:
			x.args[i].skip(parts)
		}
	}
}

// ask marks x as what was evaluated and did not decide.
func (x *explained) ask(parts []Part) {
	x.decide(parts)
	x.each(parts, func(p *Part) { p.Decided = false })
}

// skip marks x as what was not evaluated.
func (x *explained) skip(parts []Part) {
	x.decide(parts)
	x.each(parts, func(p *Part) { p.Decided, p.NotAsked = false, true })
}

// each calls do with the part of x and with those that it contains.
func (x *explained) each(parts []Part, do func(*Part)) {
	if x.at >= 0 {
		do(&parts[x.at])
	}
	x.eachBelow(parts, do)
}

func (x *explained) eachBelow(parts []Part, do func(*Part)) {
	for i := range x.args {
		x.args[i].each(parts, do)
	}
}

// maxShown is the number of bytes that are written of a list or object to show its beginning.
const maxShown = 64 << 10

func (f *frame) show(v *value) string {
	f.own = event.Budget{Bytes: maxShown}
	f.build = &f.own
	defer func() { f.build = nil }()
	switch {
	case f.err != nil:
		return "error"
	case v.kind == absent:
		return Unknown.String()
	case v.kind == text:
		return strconv.Quote(clip(v.str))
	case v.kind == list || v.kind == object:
		out, ok := f.export(*v)
		if errors.Is(f.err, event.ErrSize) {
			f.err = nil
			return v.kind.String() + " that is too long to be shown"
		}
		if !ok {
			return Unknown.String()
		}
		j, err := marshal(out)
		if err != nil {
			return "error"
		}
		return clip(string(j))
	}
	return string(f.appendText(nil, v))
}
