package expression

import "github.com/surveygate/surveygate/rules/event"

// Clause is a part of a condition that is true or false by itself: an operand of `and` and `or`, what `not` negates, what `?:` chooses by
// and between, or else a comparison, a call or a name. A constant is none, and neither is the condition as a whole where it is an `and`,
// `or` or `?:`.
type Clause struct {
	Text string
	// From and To are its position in the condition's text, in bytes.
	From, To int
}

// Clauses returns the clauses of the condition, each before those that it contains, in the order of the text.
func (c *Condition) Clauses() []Clause {
	if c.IsZero() {
		return nil
	}
	var all []Clause
	eachClause(c.prog.roots[0], true, func(n *node) {
		all = append(all, Clause{Text: c.prog.source(n), From: int(n.from), To: int(n.to)})
	})
	return all
}

// Decide evaluates the condition for one event, and returns its truth and that of each of its Clauses. A clause that the decision does
// not get to, because those before it decide, is Unknown. The error is that of Result.Err.
func (c *Condition) Decide(ev *event.Event) (whole Truth, clauses []Truth, err error) {
	if c.IsZero() {
		return True, nil, nil
	}
	f := c.prog.scope.begin(ev)
	defer f.end()
	defer rescue(&err)
	f.enter(c.prog, maxSteps)
	f.spend(int(c.prog.weight))
	d := &decision{frame: f, at: map[*node]int{}}
	eachClause(c.prog.roots[0], true, func(n *node) {
		d.at[n] = len(d.clauses)
		d.clauses = append(d.clauses, Unknown)
	})
	whole = d.truth(c.prog.roots[0])
	if f.err != nil {
		return Unknown, d.clauses, f.err
	}
	return whole, d.clauses, nil
}

// eachClause calls each for the clauses at and below n.
func eachClause(n *node, root bool, each func(*node)) {
	switch n.op {
	case opLiteral:
		return
	case opNot: // it is always the opposite of its operand
		if arg := n.args[0]; arg.from != n.from || arg.to != n.to { // of `x not in y` both have the same text
			eachClause(arg, false, each)
			return
		}
	case opAnd, opOr, opChoose:
		if !root {
			each(n)
		}
		for _, arg := range n.args {
			eachClause(arg, false, each)
		}
		return
	}
	each(n)
}

// decision evaluates a condition in the same way as frame.truth, and notes the truth of each clause.
type decision struct {
	frame   *frame
	at      map[*node]int // of clauses
	clauses []Truth
}

func (d *decision) truth(n *node) (t Truth) {
	switch n.op {
	case opAnd, opOr:
		t = d.junction(n)
	case opNot:
		switch d.truth(n.args[0]) {
		case True:
			t = False
		case False:
			t = True
		case Unknown:
		}
	case opChoose:
		switch d.truth(n.args[0]) {
		case True:
			t = d.truth(n.args[1])
		case False:
			t = d.truth(n.args[2])
		case Unknown:
		}
	default:
		t = d.frame.truth(n)
	}
	if i, found := d.at[n]; found {
		d.clauses[i] = t
	}
	return t
}

func (d *decision) junction(n *node) Truth {
	decisive, other := False, True
	if n.op == opOr {
		decisive, other = True, False
	}
	for _, arg := range n.args {
		switch t := d.truth(arg); {
		case d.frame.err != nil:
			return Unknown
		case t == decisive:
			return decisive
		case t == Unknown:
			other = Unknown
		}
	}
	return other
}
