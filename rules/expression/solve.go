package expression

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// truths is a set of results.
type truths uint8

const (
	onlyTrue  truths = 1 << True
	onlyFalse truths = 1 << False
	onlyOpen  truths = 1 << Unknown
	anyTruth         = onlyTrue | onlyFalse | onlyOpen
)

func (s truths) has(t Truth) bool { return s&(1<<t) != 0 }

// turned exchanges true and false.
func (s truths) turned() truths {
	out := s & onlyOpen
	if s.has(True) {
		out |= onlyFalse
	}
	if s.has(False) {
		out |= onlyTrue
	}
	return out
}

// goal wants a part to have one of some results.
type goal struct {
	n  *node
	in truths
}

// cost is that of reducing the goal: logic is taken apart, and of everything else a name is made.
func (g goal) cost() int {
	if g.n.op == opAnd || g.n.op == opOr || g.n.op == opNot {
		return 1 + len(g.n.args)
	}
	return 1 + int(g.n.weight)
}

// solver looks for values of an event with which all goals are met. It knows nothing of how values depend on each other, so that
// it may find values which no event has. It is exact in the other direction: if it finds none, there are none.
type solver struct {
	p      *program
	known  map[string]domain
	trail  []earlier
	budget *int // of parts that are looked at
}

// earlier is what a domain was before it was restricted.
type earlier struct {
	key string
	was domain
	had bool
}

// pending are goals that are not met yet.
type pending struct {
	goals []goal
	next  *pending
}

// choice are alternatives of which one has to be met. They wait until all goals without alternatives are met.
type choice struct {
	ways [][]goal
	next *choice
}

// possible reports whether all goals may be met. It takes its work from the budget, and is also true when that is exhausted.
func (p *program) possible(budget *int, goals ...goal) bool {
	s := solver{p: p, known: map[string]domain{}, budget: budget}
	return s.meet(&pending{goals: goals}, nil)
}

func (s *solver) meet(open *pending, later *choice) bool {
	for open != nil {
		if len(open.goals) == 0 {
			open = open.next
			continue
		}
		g := open.goals[0]
		open = &pending{open.goals[1:], open.next}
		if *s.budget -= g.cost(); *s.budget < 0 {
			return true
		}
		met, all, ways := s.reduce(g)
		switch {
		case !met:
			return false
		case len(all) > 0:
			open = &pending{all, open}
		case len(ways) == 1:
			open = &pending{ways[0], open}
		}
		if len(ways) > 1 {
			later = &choice{ways, later}
		}
	}
	if later == nil {
		return true
	}
	for _, way := range later.ways {
		mark := len(s.trail)
		if s.meet(&pending{goals: way}, later.next) {
			return true
		}
		s.undo(mark)
	}
	return false
}

func (s *solver) undo(mark int) {
	for i := len(s.trail) - 1; i >= mark; i-- {
		if e := s.trail[i]; e.had {
			s.known[e.key] = e.was
		} else {
			delete(s.known, e.key)
		}
	}
	s.trail = s.trail[:mark]
}

// reduce meets a goal, or returns the goals that it consists of: all of them, and one of the ways. met is false if it cannot be met.
func (s *solver) reduce(g goal) (met bool, all []goal, ways [][]goal) {
	n, in := g.n, g.in
	switch {
	case in == 0:
		return false, nil, nil
	case in == anyTruth:
		return true, nil, nil
	}
	switch n.op {
	case opAnd, opOr:
		return s.junction(n, in)
	case opNot:
		return true, []goal{{n.args[0], in.turned()}}, nil
	case opLiteral:
		if n.lit.kind == boolean {
			return in.has(truthOf(n.lit.yes)), nil, nil
		}
		return true, nil, nil
	case opHas:
		switch in &^ onlyOpen {
		case onlyTrue:
			return s.presence(n.args[0], true)
		case onlyFalse:
			return s.presence(n.args[0], false)
		case 0:
			return false, nil, nil
		}
		return true, nil, nil
	case opCoalesce:
		ways = append(ways, []goal{{n.args[0], onlyOpen}, {n.args[1], in}})
		if decided := in &^ onlyOpen; decided != 0 {
			ways = append(ways, []goal{{n.args[0], decided}})
		}
		return true, nil, ways
	case opChoose:
		return true, nil, chosen(n.args[0], in, goal{n.args[1], in}, goal{n.args[2], in})
	case opCompare, opIn, opText, opMatches:
		return s.relation(n, in)
	case opCall:
		if both := twoComparisons(n); both != nil {
			return true, []goal{{both, in}}, nil
		}
	}
	return s.restrict(n, decided(), in), nil, nil
}

// twoComparisons returns `x >= low and x <= high` for between(x, low, high), which is the same for constants of one kind; nil for any other
// part.
func twoComparisons(n *node) *node {
	if n.op != opCall || n.fn.name != "between" {
		return nil
	}
	x, low, high := n.args[0], n.args[1], n.args[2]
	if low.op != opLiteral || high.op != opLiteral || low.lit.kind != high.lit.kind {
		return nil
	}
	compare := func(code uint8, with *node) *node {
		return &node{op: opCompare, code: code, kinds: booleans, weight: n.weight, args: []*node{x, with}, from: n.from, to: n.to}
	}
	return &node{
		op: opAnd, kinds: booleans, weight: 2 * n.weight, args: []*node{compare(codeMoreEqual, low), compare(codeLessEqual, high)}, from: n.from, to: n.to,
	}
}

// chosen are the ways of `condition ? yes : no`. If the condition is unknown, so is the whole.
func chosen(condition *node, in truths, yes, no goal) [][]goal {
	ways := [][]goal{{{condition, onlyTrue}, yes}, {{condition, onlyFalse}, no}}
	if in.has(Unknown) {
		ways = append(ways, []goal{{condition, onlyOpen}})
	}
	return ways
}

// junction reduces `and` and `or`: one operand that decides does so, and otherwise one that is unknown makes the result unknown.
func (s *solver) junction(n *node, in truths) (met bool, all []goal, ways [][]goal) {
	decisive, other := onlyFalse, onlyTrue
	if n.op == opOr {
		decisive, other = onlyTrue, onlyFalse
	}
	each := func(in truths) []goal {
		goals := make([]goal, len(n.args))
		for i, arg := range n.args {
			goals[i] = goal{arg, in}
		}
		return goals
	}
	one := func(in truths) (ways [][]goal) {
		for _, arg := range n.args {
			ways = append(ways, []goal{{arg, in}})
		}
		return ways
	}
	switch in {
	case other, other | onlyOpen:
		return true, each(in), nil
	case decisive, decisive | onlyOpen:
		return true, nil, one(in)
	case onlyOpen:
		return true, each(other | onlyOpen), one(onlyOpen)
	}
	return true, nil, append(one(decisive), each(other)) // it is decided
}

// relation reduces a comparison, or another question about values.
func (s *solver) relation(n *node, in truths) (met bool, all []goal, ways [][]goal) {
	for i, arg := range n.args { // what is asked of `x ?? y` is asked of x or of y
		switch arg.op {
		case opCoalesce:
			is := &node{op: opHas, kinds: booleans, args: arg.args[:1]}
			return true, nil, [][]goal{
				{{is, onlyTrue}, {n.with(i, arg.args[0]), in}},
				{{is, onlyFalse}, {n.with(i, arg.args[1]), in}},
			}
		case opChoose:
			return true, nil, chosen(arg.args[0], in, goal{n.with(i, arg.args[1]), in}, goal{n.with(i, arg.args[2]), in})
		}
	}
	if t, ok := s.p.constant(n); ok {
		return in.has(t), nil, nil
	}
	if of, want, ok := simple(n); ok {
		return s.restrict(of, want, in), nil, nil
	}
	// Nothing is known of it but that it is not true and false at once.
	key, turned := s.p.opaque(n)
	if turned {
		in = in.turned()
	}
	if !s.set(key, booleans, everyNumber, func(d *domain) { decided().apply(d, in) }) {
		return false, nil, nil
	}
	if !in.has(Unknown) {
		for _, arg := range n.args {
			if !s.present(arg) {
				return false, nil, nil
			}
		}
	}
	return true, nil, nil
}

// opaque returns a name for a question of which nothing is known; turned reports that it is the name of the opposite.
func (p *program) opaque(n *node) (key string, turned bool) {
	if n.op != opCompare {
		return p.canonical(n, false), false
	}
	left, right, code := n.args[0], n.args[1], n.code
	if p.canonical(left, false) > p.canonical(right, false) {
		left, right, code = right, left, mirrored[code]
	}
	if code == codeUnequal || code == codeMore || code == codeMoreEqual {
		code, turned = opposite[code], true
	}
	return p.canonicalCompare(code, left, right), turned
}

// with returns a copy of a node with another operand.
func (n *node) with(i int, arg *node) *node {
	c := *n
	c.args = slices.Clone(n.args)
	c.args[i] = arg
	return &c
}

// simple returns what a question asks of one value, if the rest of it are constants.
func simple(n *node) (of *node, want demand, ok bool) {
	exact := func(n *node) bool {
		return n.op == opLiteral && n.lit.kind != absent && (n.lit.kind != number || n.lit.str == "")
	}
	of = n.args[0]
	switch n.op {
	case opCompare:
		against, code := n.args[1], n.code
		if of.op == opLiteral {
			of, against, code = against, of, mirrored[code]
		}
		return of, compared(code, &against.lit), exact(against) && of.op != opLiteral
	case opIn:
		if list := n.args[1]; list.op == opList && len(list.args) > 0 && !slices.ContainsFunc(list.args, func(item *node) bool { return !exact(item) }) {
			return of, within(list.args), of.op != opLiteral
		}
	case opText:
		part := n.args[1]
		if of.kinds != texts || part.op != opLiteral || part.lit.kind != text || of.op == opLiteral {
			return nil, demand{}, false
		}
		look := map[uint8]func(s, part string) bool{codeContains: strings.Contains, codeStartsWith: strings.HasPrefix, codeEndsWith: strings.HasSuffix}[n.code]
		return of, tested(func(s string) bool { return look(s, part.lit.str) }), true
	case opMatches:
		return of, tested(n.re.MatchString), of.op != opLiteral
	}
	return nil, demand{}, false
}

// restrict restricts the values of a part to those that give one of the wanted results.
func (s *solver) restrict(of *node, want demand, in truths) bool {
	if of.op == opSlot && s.p.scope.slots[of.slot].how == fromGroup {
		return s.restrictGroup(s.p.scope.slots[of.slot], func(d *domain) { want.apply(d, in) })
	}
	if !s.change(s.p.canonical(of, false), of, func(d *domain) { want.apply(d, in) }) {
		return false
	}
	return in.has(Unknown) || s.present(of)
}

// restrictGroup restricts the NPS score to those groups that remain.
func (s *solver) restrictGroup(group slot, restrict func(d *domain)) bool {
	d := domain{absent: true, kinds: texts, words: event.NPSGroups, limited: true}
	restrict(&d)
	var scores ranges
	if d.kinds.has(text) {
		for _, name := range d.possible() {
			scores = scores.or(groupRanges[name])
		}
	}
	score := slot{how: fromData, path: group.path}
	return s.changeSlot(score, numbers, func(of *domain) {
		of.absent = of.absent && d.absent
		of.nums = of.nums.and(scores)
	})
}

// presence reduces has().
func (s *solver) presence(n *node, is bool) (met bool, all []goal, ways [][]goal) {
	switch {
	case n.op == opCoalesce:
		has := func(i int) *node { return &node{op: opHas, kinds: booleans, args: n.args[i : i+1]} }
		if !is {
			return true, []goal{{has(0), onlyFalse}, {has(1), onlyFalse}}, nil
		}
		return true, nil, [][]goal{{{has(0), onlyTrue}}, {{has(1), onlyTrue}}}
	case is:
		return s.present(n), nil, nil
	case n.op == opLiteral || n.op == opList || n.op == opHas:
		return false, nil, nil
	}
	return s.changePresence(n, func(d *domain) { d.kinds = 0 }), nil, nil
}

// present requires that a part has a value, and what it is computed from.
func (s *solver) present(n *node) bool {
	switch n.op {
	case opLiteral, opList, opChoose, opCoalesce, opAnd, opOr, opNot, opHas, opCompare, opIn, opText, opMatches:
		return true
	case opCompute, opNegate:
		for _, arg := range n.args {
			if !s.present(arg) {
				return false
			}
		}
	}
	return s.changePresence(n, func(d *domain) { d.absent = false })
}

func (s *solver) changePresence(n *node, restrict func(d *domain)) bool {
	if n.op == opSlot && s.p.scope.slots[n.slot].how == fromGroup {
		return s.restrictGroup(s.p.scope.slots[n.slot], restrict)
	}
	return s.change(s.p.canonical(n, false), n, restrict)
}

// change restricts the domain of a part; false if nothing is left of it.
func (s *solver) change(key string, n *node, restrict func(d *domain)) bool {
	if n.op == opSlot {
		return s.changeSlot(s.p.scope.slots[n.slot], n.kinds, restrict)
	}
	nums := everyNumber
	if n.op == opCall && n.fn.name == "len" || n.op == opQuantify && n.code == codeCount {
		nums = numbersWhere(codeMoreEqual, 0)
	}
	return s.set(key, n.kinds, nums, restrict)
}

func (s *solver) changeSlot(of slot, kinds kinds, restrict func(d *domain)) bool {
	nums, _ := numbersOf(of)
	return s.set(slotKey(of), kinds, nums, restrict)
}

func (s *solver) set(key string, kinds kinds, nums ranges, restrict func(d *domain)) bool {
	was, had := s.known[key]
	d := was
	if !had {
		d = domain{absent: true, kinds: kinds, nums: nums, yes: true, no: true}
	}
	restrict(&d)
	s.trail = append(s.trail, earlier{key, was, had})
	s.known[key] = d
	return !d.isEmpty()
}

// pureFunctions have a result that depends on their arguments alone.
var pureFunctions = []string{"len", "lower", "upper", "trim", "split", "first", "last", "number"}

// constant returns the result of a part that reads nothing of an event.
func (p *program) constant(n *node) (Truth, bool) {
	reads := func(n *node) bool {
		return n.op == opSlot || n.op == opItem || n.op == opCall && !slices.Contains(pureFunctions, n.fn.name)
	}
	if n.anyPart(reads) {
		return Unknown, false
	}
	f := &frame{scope: p.scope}
	f.enter(p, maxSteps)
	f.remap = nil
	t := f.truth(n)
	return t, f.err == nil
}

// anyPart reports whether a part, or a part of it, is of some kind.
func (n *node) anyPart(is func(n *node) bool) bool {
	return is(n) || slices.ContainsFunc(n.args, func(arg *node) bool { return arg.anyPart(is) })
}
