package expression

import (
	"errors"
	"strconv"

	"github.com/surveygate/surveygate/rules/event"
)

// Part is a part of a condition, as it was written, and what it came to.
type Part struct {
	Text string
	// Value is true, false, unknown, a number, a quoted text, or the JSON of a list or object, cut short.
	Value string
	// Depth is 0 for the whole condition.
	Depth int
}

// Explain gives the parts of the condition with their values, the whole before what it is made of: and, or,
// comparisons, calls and names. What a list's items are asked one by one is not taken apart.
func (c *Condition) Explain(ev *event.Event) (parts []Part, err error) {
	if c.IsZero() {
		return nil, nil
	}
	f := c.prog.scope.begin(ev)
	defer f.end()
	f.work = newPot(4*maxSteps, 1)
	return f.explain(c.prog)
}

// explain evaluates every part by itself, and all of them with one part of the work.
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
				continue // answered("4") holds the same text
			}
			walk(arg, depth+1)
		}
	}
	walk(p.roots[0], 0)
	return parts, err
}

// maxShown bounds in bytes what is written out of a list to show its beginning.
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
