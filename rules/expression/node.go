package expression

import (
	"regexp"

	"github.com/surveygate/surveygate/rules/event"
)

// op is the operation of a node.
type op uint8

const (
	opLiteral  op = iota // lit
	opSlot               // a value of the event: slot
	opItem               // # in a predicate
	opMember             // args[0].key
	opIndex              // args[0][args[1]]
	opAnd                // every of args
	opOr                 // any of args
	opNot                // args[0]
	opCompare            // args[0] code args[1]
	opIn                 // args[0] in args[1]
	opText               // args[0] contains, startsWith or endsWith args[1]; contains of a list is about its items
	opMatches            // args[0] matches pattern
	opCompute            // args[0] code args[1]
	opNegate             // -args[0]
	opCoalesce           // args[0] ?? args[1]
	opChoose             // args[0] ? args[1] : args[2]
	opList               // [args]
	opHas                // has(args[0]), answered
	opQuantify           // code(args[0], predicate args[1])
	opCall               // a function of values: fn(args)
)

// Codes of opCompare, opText, opCompute and opQuantify.
const (
	codeEqual uint8 = iota
	codeUnequal
	codeLess
	codeLessEqual
	codeMore
	codeMoreEqual

	codeContains
	codeStartsWith
	codeEndsWith

	codeAdd
	codeSubtract
	codeMultiply
	codeDivide
	codeModulo
	codePower

	codeAll
	codeAny
	codeNone
	codeOne
	codeFilter
	codeMap
	codeCount
)

var compares = map[string]uint8{
	"==": codeEqual, "!=": codeUnequal, "<": codeLess, "<=": codeLessEqual, ">": codeMore, ">=": codeMoreEqual,
}

var textOperators = map[string]uint8{"contains": codeContains, "startsWith": codeStartsWith, "endsWith": codeEndsWith}

var computes = map[string]uint8{
	"+": codeAdd, "-": codeSubtract, "*": codeMultiply, "/": codeDivide, "%": codeModulo, "**": codePower, "^": codePower,
}

var quantifiers = map[string]uint8{
	"all": codeAll, "any": codeAny, "none": codeNone, "one": codeOne,
	"filter": codeFilter, "map": codeMap, "count": codeCount,
}

// node is a part of a compiled expression. It is immutable after compilation.
type node struct {
	op     op
	code   uint8
	kinds  kinds // the possible kinds of its value
	weight int32 // the number of its parts, including itself: its cost in steps
	slot   int32
	args   []*node
	lit    value
	key    string // of opMember; of an opSlot that a function reads by itself, the field's name
	fn     *function
	re     *regexp.Regexp
	cost   int // instructions of re

	// from and to are its position in the text, in bytes.
	from, to int32
}

// program is one or more expressions over one scope of event values.
type program struct {
	text  string
	roots []*node
	scope *scope
	// weight is the number of its parts: the minimum cost of an evaluation.
	weight int32
	// remap maps the nodes' slots to those of a batch's scope; nil if they are the same.
	remap []int32
}

// source returns the text of a node.
func (p *program) source(n *node) string { return p.text[n.from:n.to] }

// missing evaluates every root and returns the absent fields that made one of them unknown.
func (p *program) missing(ev *event.Event) (missing []string) {
	f := p.scope.begin(ev)
	defer f.end()
	var err error
	defer rescue(&err) // Evaluate and Render report the error
	steps := maxSteps
	for _, root := range p.roots {
		f.enter(p, steps)
		f.trace = &trace{missing: missing}
		mark := f.traceMark()
		got := f.eval(root)
		f.dropMissing(mark, got.kind != absent)
		missing, steps = f.trace.missing, max(f.steps, 0)
	}
	return missing
}
