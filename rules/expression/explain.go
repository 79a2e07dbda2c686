package expression

import (
	"errors"
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
	var walk func(n *node, depth int)
	walk = func(n *node, depth int) {
		if n.op == opLiteral || err != nil {
			return
		}
		may := min(left, maxSteps)
		f.enter(p, may)
		f.spend(int(n.weight))
		got := f.eval(n)
		left -= may - f.steps
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
			walk(arg, depth+1)
		}
	}
	walk(p.roots[0], 0)
	return parts, err
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
