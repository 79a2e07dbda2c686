package expression

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// function is a function of values. Functions of event fields, such as answer(), are compiled by call.
type function struct {
	name     string
	use      string // an example of a call, for remedies
	min, max int
	takes    []kinds // the allowed kinds of each argument
	gives    kinds
	run      func(f *frame, args []value) value
	// why says why a call has no value although its arguments have; it is then a fault. Empty: that is no fault.
	why string
}

var functions = map[string]*function{}

func init() {
	for _, fn := range []*function{
		{name: "len", use: "len(feedback)", min: 1, max: 1, takes: []kinds{texts | lists | objects}, gives: numbers, run: runLen},
		{name: "lower", use: "lower(feedback)", min: 1, max: 1, takes: []kinds{texts}, gives: texts, run: func(f *frame, a []value) value { return f.made(strings.ToLower(a[0].str)) }},
		{name: "upper", use: "upper(feedback)", min: 1, max: 1, takes: []kinds{texts}, gives: texts, run: func(f *frame, a []value) value { return f.made(strings.ToUpper(a[0].str)) }},
		{name: "trim", use: "trim(feedback)", min: 1, max: 2, takes: []kinds{texts, texts}, gives: texts, run: runTrim},
		{name: "split", use: `split(feedback, " ")`, min: 2, max: 3, takes: []kinds{texts, texts, numbers}, gives: lists, run: runSplit},
		{name: "first", use: `first(answer("4"))`, min: 1, max: 1, takes: []kinds{lists}, gives: anything, run: func(f *frame, a []value) value { return f.item(&a[0], 0) }},
		{name: "last", use: `last(answer("4"))`, min: 1, max: 1, takes: []kinds{lists}, gives: anything, run: func(f *frame, a []value) value { return f.item(&a[0], -1) }},
		{name: "number", use: `number(answer("4"))`, min: 1, max: 1, takes: []kinds{texts | numbers}, gives: numbers, run: runNumber, why: "the text is no number"},
		{name: "between", use: "between(nps_score, 7, 8)", min: 3, max: 3, takes: []kinds{ordered, ordered, ordered}, gives: booleans, run: runBetween, why: "it compares a number with a text"},
		{name: "contains_any", use: `contains_any(feedback, ["slow", "late"])`, min: 2, max: 2, takes: []kinds{texts | lists, lists}, gives: booleans, run: runContainsAny},
	} {
		functions[fn.name] = fn
	}
}

// formOf has an example of a call for each function that is not in functions.
var formOf = map[string]string{
	"has": "has(email)", "answer": `answer("4")`, "answered": `answered("4")`, "raw": `raw("data.id")`,
	"all": "all(response.answers, .value != 1)", "any": "any(response.answers, .value == 1)",
	"none": "none(response.answers, .value == 1)", "one": "one(response.answers, .value == 1)",
	"filter": "filter(response.answers, .value == 1)", "map": "map(response.answers, .value)",
	"count": "count(response.answers, .value == 1)", "any_answer": `any_answer("refund")`,
	"duration": `duration("36h")`, "csat_percent": "csat_percent(5)",
}

func isFunction(name string) bool { return functionForm(name) != "" }

func functionForm(name string) string {
	if fn := functions[name]; fn != nil {
		return fn.use
	}
	return formOf[name]
}

func functionNames() []string {
	names := make([]string, 0, len(functions)+len(formOf))
	for name := range functions {
		names = append(names, name)
	}
	for name := range formOf {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// builtin compiles a call that expr's parser recognised as one of expr's own functions.
func (c *compiler) builtin(n *ast.BuiltinNode) *node {
	if code, ok := quantifiers[n.Name]; ok {
		return c.quantify(n, code)
	}
	return c.named(n, n.Name, n.Arguments)
}

func (c *compiler) call(n *ast.CallNode) *node {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		name, object := "", ast.Node(n)
		if m, ok := n.Callee.(*ast.MemberNode); ok {
			if p, ok := m.Property.(*ast.StringNode); ok {
				name, object = p.Value, m.Node
			}
		}
		c.fault(n, "values have no methods", methodRemedy(c, name, object, n.Arguments))
		return c.unclear()
	}
	switch callee.Value {
	case "has":
		return c.has(n)
	case "answer", "answered", "raw":
		return c.lookup(n, callee.Value)
	}
	return c.named(n, callee.Value, n.Arguments)
}

// named compiles a call of a function that takes values.
func (c *compiler) named(n ast.Node, name string, arguments []ast.Node) *node {
	switch name {
	case "duration":
		return c.duration(n, arguments)
	case "csat_percent":
		return c.percent(n, arguments)
	case "any_answer":
		return c.anyAnswer(n, arguments)
	}
	return c.function(n, name, arguments)
}

func methodRemedy(c *compiler, name string, object ast.Node, args []ast.Node) string {
	switch name = strings.ToLower(name); {
	case (name == "contains" || name == "includes") && len(args) == 1:
		return fmt.Sprintf("write %s contains %s", c.show(object), c.show(args[0]))
	case name == "startswith" && len(args) == 1:
		return fmt.Sprintf("write %s startsWith %s", c.show(object), c.show(args[0]))
	case name == "endswith" && len(args) == 1:
		return fmt.Sprintf("write %s endsWith %s", c.show(object), c.show(args[0]))
	case name == "tolowercase", name == "lower":
		return fmt.Sprintf("write lower(%s)", c.show(object))
	}
	return "write a function, as in lower(feedback), or an operator, as in feedback contains 'slow'"
}

func (c *compiler) function(n ast.Node, name string, arguments []ast.Node) *node {
	fn := functions[name]
	if fn == nil {
		remedy := "there are: " + strings.Join(functionNames(), " ")
		if clockFunctions[strings.ToLower(name)] {
			remedy = noClock
		} else if near := event.Nearest(name, functionNames()); near != "" {
			remedy = "did you mean " + functionForm(near) + "?"
		} else if _, ok := fields[name]; ok {
			remedy = fmt.Sprintf("%s is a field: write it without brackets", name)
		}
		from, _ := c.src.span(n)
		at := c.src.tokens[c.src.find(c.src.at(n.Location().From))]
		if at.from >= from {
			from = at.from
		}
		c.faultAt(from, from+len(name), fmt.Sprintf("`%s` is not a function of the rule language", name), remedy)
		return c.unclear()
	}
	if len(arguments) < fn.min || len(arguments) > fn.max {
		c.fault(n, fmt.Sprintf("`%s` takes %s, not %d", name, countOf(fn.min, fn.max), len(arguments)), "as in "+fn.use)
		return c.unclear()
	}
	out := &node{op: opCall, fn: fn, kinds: fn.gives}
	for i, argument := range arguments {
		arg := c.node(argument)
		c.need(argument, arg, fn.takes[i], fmt.Sprintf("`%s` wants %s", name, fn.takes[i]))
		out.args = append(out.args, arg)
	}
	switch name {
	case "between":
		c.canOrder(n, arguments, out.args)
	case "contains_any":
		c.canContain(arguments, out.args)
	}
	return out
}

func countOf(least, most int) string {
	switch {
	case least != most:
		return fmt.Sprintf("%d to %d values", least, most)
	case least == 1:
		return "one value"
	}
	return fmt.Sprintf("%d values", least)
}

// has compiles has(field), which is never unknown.
func (c *compiler) has(n *ast.CallNode) *node {
	if len(n.Arguments) != 1 {
		c.fault(n, fmt.Sprintf("`has` takes one field, not %d", len(n.Arguments)), "as in has(email)")
		return c.unclear()
	}
	if s, ok := n.Arguments[0].(*ast.StringNode); ok {
		c.fault(n.Arguments[0], "`has` asks for a field, not for a text", fmt.Sprintf("write has(%s)", s.Value))
		return c.unclear()
	}
	arg := c.node(n.Arguments[0])
	switch arg.op {
	case opSlot, opMember, opIndex, opItem:
	default:
		if len(c.faults) == 0 {
			c.fault(n.Arguments[0], fmt.Sprintf("`has` asks for a field, and `%s` is none", c.show(n.Arguments[0])), "as in has(email)")
		}
	}
	return &node{op: opHas, kinds: booleans, args: []*node{arg}}
}

// maxRawPath bounds the length of a path into the raw body, because gjson's work grows with it.
const maxRawPath = 256

// lookup compiles answer, answered and raw, whose argument must be a constant text.
func (c *compiler) lookup(n *ast.CallNode, name string) *node {
	if len(n.Arguments) != 1 {
		c.fault(n, fmt.Sprintf("`%s` takes one fixed text, not %d", name, len(n.Arguments)), "as in "+formOf[name])
		return c.unclear()
	}
	key, ok := n.Arguments[0].(*ast.StringNode)
	if !ok || key.Value == "" {
		remedy := "as in " + formOf[name]
		if !ok {
			if shown := c.show(n.Arguments[0]); !strings.ContainsAny(shown, "\"'`") {
				remedy = fmt.Sprintf("write %s('%s')", name, shown)
			}
		}
		c.fault(n.Arguments[0], fmt.Sprintf("`%s` wants a fixed text in quotes", name), remedy)
		return c.unclear()
	}
	if name == "raw" {
		err := jsonpath.CheckPath(key.Value)
		if err == nil && len(key.Value) > maxRawPath {
			err = fmt.Errorf("it is longer than %d bytes", maxRawPath)
		}
		if err != nil {
			c.fault(key, "this is not a path: "+err.Error(), `as in raw("data.id")`)
			return c.unclear()
		}
		return &node{op: opSlot, kinds: anything, slot: c.scope.slot(slot{how: fromRaw, path: key.Value})}
	}
	out := &node{op: opSlot, kinds: anything, slot: c.scope.slot(slot{how: fromAnswer, path: key.Value})}
	if name == "answered" {
		from, to := c.src.span(n)
		out.from, out.to = int32(from), int32(to)
		return &node{op: opHas, kinds: booleans, args: []*node{out}}
	}
	return out
}

// quantify compiles the functions that evaluate a predicate for each item of a list.
func (c *compiler) quantify(n *ast.BuiltinNode, code uint8) *node {
	out := &node{op: opQuantify, code: code, kinds: booleans}
	switch code {
	case codeFilter, codeMap:
		out.kinds = lists
	case codeCount:
		out.kinds = numbers
	}
	if len(n.Arguments) == 0 {
		c.fault(n, fmt.Sprintf("`%s` wants a list and what to ask of each item", n.Name), "as in "+formOf[n.Name])
		return out
	}
	of := c.node(n.Arguments[0])
	c.need(n.Arguments[0], of, lists, fmt.Sprintf("`%s` goes through a list", n.Name))
	out.args = append(out.args, of)
	if len(n.Arguments) == 1 { // count(list) counts the items that are true
		out.args = append(out.args, &node{op: opItem, kinds: anything, from: of.from, to: of.to, weight: 1})
		return out
	}
	predicate := n.Arguments[1]
	if p, ok := predicate.(*ast.PredicateNode); ok {
		predicate = p.Node
	}
	ask := c.node(predicate)
	if code != codeMap {
		c.need(predicate, ask, booleans, fmt.Sprintf("`%s` asks each item what is true or false", n.Name))
	}
	out.args = append(out.args, ask)
	return out
}

func (c *compiler) member(n *ast.MemberNode) *node {
	if path, ok := pathOf(n); ok {
		return c.name(n, path)
	}
	of := c.node(n.Node)
	if key, ok := n.Property.(*ast.StringNode); ok {
		c.need(n.Node, of, objects, "only an object has fields")
		return &node{op: opMember, kinds: anything, key: key.Value, args: []*node{of}}
	}
	at := c.node(n.Property)
	c.need(n.Node, of, lists|objects, "`[…]` takes an item of a list, or a field of an object")
	c.need(n.Property, at, numbers|texts, "`[…]` takes a number or a text")
	return &node{op: opIndex, kinds: anything, args: []*node{of, at}}
}

// pathOf returns the keys of a member chain such as params.plan; false if the node is not a chain of constant names.
func pathOf(n ast.Node) ([]string, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return []string{n.Value}, true
	case *ast.ChainNode:
		return pathOf(n.Node)
	case *ast.MemberNode:
		key, ok := n.Property.(*ast.StringNode)
		if !ok || n.Method || key.Value == "" {
			return nil, false
		}
		path, ok := pathOf(n.Node)
		return append(path, key.Value), ok
	}
	return nil, false
}

func runLen(f *frame, a []value) value {
	if a[0].kind == text {
		f.spend(len(a[0].str) / 16)
		return numberValue(float64(utf8.RuneCountInString(a[0].str)))
	}
	t := f.open(&a[0])
	if t == nil {
		return value{}
	}
	for i := range t.items {
		if t.items[i].kind == absent {
			return value{}
		}
	}
	return numberValue(float64(len(t.items)))
}

func runTrim(f *frame, a []value) value {
	if len(a) == 2 {
		f.spend(perCall + len(a[0].str)*(1+len(a[1].str)/16)/16)
		return textValue(strings.Trim(a[0].str, a[1].str))
	}
	f.spend(perCall)
	return textValue(strings.TrimSpace(a[0].str))
}

func runSplit(f *frame, a []value) value {
	most := -1
	if len(a) == 3 {
		most = int(max(min(a[2].num, maxMemory), -1))
	}
	if !f.spend(len(a[0].str) / 16) {
		return value{}
	}
	if n := min(strings.Count(a[0].str, a[1].str), maxMemory) + 1; !f.spendMemory(n) || !f.spend(perCall+perItem*n) {
		return value{}
	}
	parts := strings.SplitN(a[0].str, a[1].str, most)
	items := make([]value, len(parts))
	for i, part := range parts {
		items[i] = textValue(part)
	}
	return value{kind: list, tree: &tree{items: items}}
}

func runNumber(f *frame, a []value) value {
	if a[0].kind == number {
		return a[0]
	}
	if !f.spend(perNumber + len(a[0].str)/2) {
		return value{}
	}
	n, ok := parseNumber(a[0].str)
	if !ok {
		return value{}
	}
	v := numberValue(n)
	if len(a[0].str) > 15 {
		v.str = digitsOf(strings.TrimSpace(a[0].str), n)
	}
	return v
}

// parseNumber parses a number in JSON's grammar, with optional white space around it. It does not accept NaN, 0x10 or 1_000.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" || s[0] == '+' || s[0] == '.' {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}
