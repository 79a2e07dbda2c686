package expression

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// compiler compiles the text of one expression into nodes, and collects all faults.
type compiler struct {
	src    *source
	want   purpose
	base   int // offset of the expression in a longer text
	scope  *scope
	faults Errors
	depth  int
	deep   bool // the fault of nesting too deeply is reported already
}

// purpose is the use of an expression. It determines the required kind, and the remedies.
type purpose uint8

const (
	asCondition purpose = iota
	asValue
	asHole
)

// newCompiler returns a compiler that adds the event values of the text to a scope. The caller seals the scope afterwards.
func newCompiler(text string, base int, want purpose, s *scope) *compiler {
	return &compiler{src: newSource(text), base: base, want: want, scope: s}
}

// compile parses and checks the text. The result is valid only if there are no faults.
func (c *compiler) compile() *node {
	tree := c.parse()
	if tree == nil {
		return nil
	}
	root := c.node(tree)
	if c.want == asCondition && len(c.faults) == 0 && !root.kinds.has(boolean) {
		c.fault(tree, fmt.Sprintf("a condition is true or false, and `%s` is %s", c.show(tree), root.kinds), compareRemedy(root.kinds))
	}
	c.quotingHint()
	return root
}

// program returns the program of a single expression.
func (c *compiler) program(root *node) *program {
	return &program{text: c.src.text, roots: []*node{root}, scope: c.scope, weight: root.weight}
}

// fault adds a fault of a part.
func (c *compiler) fault(at ast.Node, message, remedy string) {
	from, to := c.src.span(at)
	c.faultAt(from, to, message, remedy)
}

func (c *compiler) faultAt(from, to int, message, remedy string) {
	c.faults = append(c.faults, &Error{Offset: c.base + from, Length: max(to-from, 1), Message: message, Remedy: remedy})
}

// show returns the text of a part, shortened for a message.
func (c *compiler) show(at ast.Node) string {
	from, to := c.src.span(at)
	return clip(c.src.text[from:to])
}

func clip(s string) string {
	const most = 60
	if len(s) > most*utf8.UTFMax { // of a long text, what is shown is looked at alone
		s = s[:most*utf8.UTFMax]
	}
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// node compiles a part. A part with a fault is compiled to a literal that may have any kind, so that it causes no further faults.
func (c *compiler) node(n ast.Node) *node {
	c.depth++
	defer func() { c.depth-- }()
	if c.depth > MaxDepth {
		if !c.deep {
			c.deep = true
			c.fault(n, fmt.Sprintf("this nests deeper than %d", MaxDepth), "split the rule in two")
		}
		return c.unclear()
	}
	out := c.part(n)
	from, to := c.src.span(n)
	out.from, out.to = int32(from), int32(to)
	out.weight = 1
	for _, arg := range out.args {
		out.weight += arg.weight
	}
	return out
}

func (c *compiler) unclear() *node { return &node{op: opLiteral, kinds: anything} }

func (n *node) isUnclear() bool { return n.op == opLiteral && n.kinds == anything }

func (c *compiler) part(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return &node{op: opLiteral, kinds: numbers, lit: wholeValue(n.Value)}
	case *ast.FloatNode:
		return &node{op: opLiteral, kinds: numbers, lit: numberValue(n.Value)}
	case *ast.StringNode:
		return &node{op: opLiteral, kinds: texts, lit: textValue(n.Value)}
	case *ast.BoolNode:
		return &node{op: opLiteral, kinds: booleans, lit: truthValue(truthOf(n.Value))}
	case *ast.NilNode:
		c.fault(n, "`nil` is not a value: what is absent is unknown", "ask has(x) or not has(x)")
	case *ast.IdentifierNode:
		return c.name(n, []string{n.Value})
	case *ast.ChainNode: // a?.b is a.b: what is absent is unknown anyway
		return c.part(n.Node)
	case *ast.MemberNode:
		return c.member(n)
	case *ast.PointerNode:
		if n.Name != "" {
			c.fault(n, fmt.Sprintf("`#%s` is not part of the rule language", n.Name), "# is the item, .name its field")
			return c.unclear()
		}
		return &node{op: opItem, kinds: anything}
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.choose(n)
	case *ast.ArrayNode:
		out := &node{op: opList, kinds: lists}
		for _, item := range n.Nodes {
			out.args = append(out.args, c.node(item))
		}
		return out
	case *ast.BuiltinNode:
		return c.builtin(n)
	case *ast.CallNode:
		return c.call(n)
	case *ast.SliceNode:
		c.fault(n, "slices `[from:to]` are not part of the rule language", "take one item, as in x[0], or first(x), last(x)")
	case *ast.MapNode:
		c.fault(n, "mappings `{…}` are not part of an expression", "write a mapping as YAML, with an expression for each field")
	case *ast.BytesNode:
		c.fault(n, "bytes `b'…'` are not part of the rule language", "write a text: '…'")
	case *ast.VariableDeclaratorNode:
		c.fault(n, "`let` is not part of the rule language", "write the expression where it is used")
	case *ast.SequenceNode:
		c.fault(n, "`;` is not part of the rule language", "join conditions with and, or")
	default:
		c.fault(n, fmt.Sprintf("`%s` is not part of the rule language", c.show(n)), "")
	}
	return c.unclear()
}

func (c *compiler) unary(n *ast.UnaryNode) *node {
	arg := c.node(n.Node)
	switch n.Operator {
	case "-":
		c.need(n.Node, arg, numbers, "`-` wants a number")
		if arg.op == opLiteral && arg.lit.kind == number {
			return &node{op: opLiteral, kinds: numbers, lit: negated(&arg.lit)}
		}
		return &node{op: opNegate, kinds: numbers, args: []*node{arg}}
	case "+":
		c.need(n.Node, arg, numbers, "`+` wants a number")
		return arg
	}
	if !arg.kinds.has(boolean) {
		remedy := "ask has(x), or compare"
		if next := c.src.find(c.endOf(n.Node)-1) + 1; next < len(c.src.tokens) {
			if _, is := compares[c.src.tokens[next].Value]; is {
				remedy = "`not` binds tighter than a comparison: write not (…)"
			}
		}
		c.fault(n, fmt.Sprintf("`%s` wants true or false, and `%s` is %s", n.Operator, c.show(n.Node), arg.kinds), remedy)
		return c.unclear()
	}
	return &node{op: opNot, kinds: booleans, args: []*node{arg}}
}

func (c *compiler) endOf(n ast.Node) int {
	_, to := c.src.span(n)
	return to
}

func (c *compiler) binary(n *ast.BinaryNode) *node {
	switch n.Operator {
	case "and", "&&":
		return c.junction(n, opAnd)
	case "or", "||":
		return c.junction(n, opOr)
	case "..":
		c.fault(n, "ranges `..` are not part of the rule language", "compare twice, as in x >= 1 and x <= 5")
		return c.unclear()
	}
	if c.isDashedKey(n) {
		return c.unclear()
	}
	left, right := c.node(n.Left), c.node(n.Right)
	args := []*node{left, right}
	if code, ok := compares[n.Operator]; ok {
		return c.compare(n, code, args)
	}
	if code, ok := textOperators[n.Operator]; ok {
		return c.text(n, code, left, right)
	}
	if code, ok := computes[n.Operator]; ok {
		return c.compute(n, code, args)
	}
	switch n.Operator {
	case "matches":
		return c.matches(n, left, right)
	case "in":
		return c.in(n, left, right)
	case "??":
		return &node{op: opCoalesce, kinds: left.kinds | right.kinds, args: args}
	}
	c.fault(n, fmt.Sprintf("`%s` is not an operator of the rule language", n.Operator), "")
	return c.unclear()
}

// junction compiles a chain of the same operator into one node, so that a long chain is not nested deeply.
func (c *compiler) junction(n *ast.BinaryNode, what op) *node {
	out := &node{op: what, kinds: booleans}
	var gather func(ast.Node)
	gather = func(part ast.Node) {
		if b, ok := part.(*ast.BinaryNode); ok {
			if w := b.Operator; (w == "and" || w == "&&") && what == opAnd || (w == "or" || w == "||") && what == opOr {
				gather(b.Left)
				gather(b.Right)
				return
			}
		}
		arg := c.node(part)
		c.needHint(part, arg, booleans, fmt.Sprintf("`%s` joins what is true or false", n.Operator), c.orRemedy(n, part))
		out.args = append(out.args, arg)
	}
	gather(n)
	return out
}

func (c *compiler) compare(n *ast.BinaryNode, code uint8, args []*node) *node {
	left, right := args[0], args[1]
	out := &node{op: opCompare, code: code, kinds: booleans, args: args}
	allowed := anything
	if code != codeEqual && code != codeUnequal {
		allowed = numbers | texts
		c.need(n.Left, left, allowed, fmt.Sprintf("`%s` compares numbers or texts", n.Operator))
		c.need(n.Right, right, allowed, fmt.Sprintf("`%s` compares numbers or texts", n.Operator))
	}
	if left.kinds&allowed != 0 && right.kinds&allowed != 0 && left.kinds&right.kinds == 0 {
		c.fault(n, fmt.Sprintf("`%s` is %s and `%s` is %s: they are never compared",
			c.show(n.Left), left.kinds, c.show(n.Right), right.kinds), c.mixed(n.Left, n.Right, left, right))
	}
	return out
}

func (c *compiler) compute(n *ast.BinaryNode, code uint8, args []*node) *node {
	left, right := args[0], args[1]
	if left.isUnclear() || right.isUnclear() {
		return c.unclear()
	}
	out := &node{op: opCompute, code: code, kinds: numbers, args: args}
	allowed := numbers
	if code == codeAdd {
		allowed = numbers | texts
		out.kinds = left.kinds & right.kinds & allowed
	}
	c.need(n.Left, left, allowed, fmt.Sprintf("`%s` wants %s", n.Operator, allowed))
	c.need(n.Right, right, allowed, fmt.Sprintf("`%s` wants %s", n.Operator, allowed))
	if out.kinds == 0 {
		if left.kinds&allowed != 0 && right.kinds&allowed != 0 {
			c.fault(n, fmt.Sprintf("`%s` is %s and `%s` is %s: `+` adds numbers or joins texts",
				c.show(n.Left), left.kinds, c.show(n.Right), right.kinds), `a text with holes joins anything: "NPS {{ nps_score }}"`)
		}
		out.kinds = allowed
	}
	return out
}

func (c *compiler) matches(n *ast.BinaryNode, left, right *node) *node {
	c.need(n.Left, left, texts, "`matches` wants a text")
	if right.op != opLiteral || right.lit.kind != text {
		if right.kinds&texts == 0 || right.op != opLiteral {
			c.fault(n.Right, "the pattern of `matches` is a fixed text", `as in feedback matches "(?i)refund"`)
		}
		return c.unclear()
	}
	out := &node{op: opMatches, kinds: booleans, args: []*node{left}}
	tree, err := syntax.Parse(right.lit.str, syntax.Perl)
	if err == nil {
		var prog *syntax.Prog
		if prog, err = syntax.Compile(tree.Simplify()); err == nil {
			out.cost = len(prog.Inst)
		}
	}
	if err == nil && out.cost > MaxPattern {
		c.fault(n.Right, fmt.Sprintf("this pattern is too large: %d steps, at most %d", out.cost, MaxPattern), "repeat less")
		return out
	}
	if err == nil {
		out.re, err = regexp.Compile(right.lit.str)
	}
	if err != nil {
		why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		c.fault(n.Right, "this is not a regular expression: "+why, `a sign that is meant as itself takes a backslash; in YAML write it in single quotes`)
	}
	return out
}

// text compiles contains, startsWith and endsWith. Of these, only contains accepts a list on the left, and searches its items.
func (c *compiler) text(n *ast.BinaryNode, code uint8, left, right *node) *node {
	out := &node{op: opText, code: code, kinds: booleans, args: []*node{left, right}}
	wanted, message := texts, fmt.Sprintf("`%s` wants a text", n.Operator)
	remedy := fmt.Sprintf("ask its items: any(%s, # %s %s)", c.show(n.Left), n.Operator, c.show(n.Right))
	if code == codeContains {
		wanted, message, remedy = texts|lists, "`contains` wants a text or a list", fmt.Sprintf("for a key of an object: %s in %s", c.show(n.Right), c.show(n.Left))
	}
	if left.kinds&(lists|objects) == 0 {
		remedy = ""
	}
	if !c.needHint(n.Left, left, wanted, message, remedy) {
		return out
	}
	if right.op == opList {
		c.fault(n.Right, fmt.Sprintf("`%s` wants a text, and `%s` is a list", n.Operator, c.show(n.Right)),
			fmt.Sprintf("ask for each: any(%s, %s %s #)", c.show(n.Right), c.show(n.Left), n.Operator))
		return out
	}
	if code != codeContains || left.kinds&lists == 0 {
		c.need(n.Right, right, texts, fmt.Sprintf("`%s` wants a text", n.Operator))
		return out
	}
	c.need(n.Right, right, numbers|texts|booleans, "`contains` looks for a text, a number, true or false")
	if left.kinds == lists {
		c.neverInList(n, n.Right, n.Left, right, left)
	}
	return out
}

// in compiles `x in list`. If the right side may be a list or a single value, as an answer may be one choice or several, a single
// value is treated as a list with one item.
func (c *compiler) in(n *ast.BinaryNode, left, right *node) *node {
	out := &node{op: opIn, kinds: booleans, args: []*node{left, right}}
	if c.needHint(n.Right, right, lists|objects, "`in` looks into a list", inRemedy(c, n, left, right)) {
		c.neverInList(n, n.Left, n.Right, left, right)
	}
	return out
}

// neverInList adds a fault if a list can never contain an item.
func (c *compiler) neverInList(n, itemAt, listAt ast.Node, item, list *node) {
	contained, remedy := c.itemsOf(list), ""
	if item.kinds&contained != 0 {
		return
	}
	if list.op == opList {
		remedy = c.mixed(itemAt, listAt, item, list.args[0])
	} else if contained == objects {
		remedy = fmt.Sprintf("ask what its items hold: any(%s, .value == %s)", c.show(listAt), c.show(itemAt))
	}
	c.fault(n, fmt.Sprintf("`%s` is %s and the list holds %s: it is never in it", c.show(itemAt), item.kinds, contained), remedy)
}

// itemsOf returns the possible kinds of a list's items, as far as they are known at load.
func (c *compiler) itemsOf(list *node) kinds {
	var contained kinds
	switch {
	case list.op == opList:
		for _, item := range list.args {
			contained |= item.kinds
		}
	case list.op == opSlot:
		if path := c.scope.slots[list.slot].path; path == "response.answers" || path == "response.leads" {
			contained = objects
		}
	}
	if contained == 0 {
		return anything
	}
	return contained
}

func (c *compiler) choose(n *ast.ConditionalNode) *node {
	if !n.Ternary {
		c.fault(n, "`if … else` is not part of the rule language", "write condition ? this : that")
		return c.unclear()
	}
	cond, yes, no := c.node(n.Cond), c.node(n.Exp1), c.node(n.Exp2)
	c.need(n.Cond, cond, booleans, "before `?` stands what is true or false")
	return &node{op: opChoose, kinds: yes.kinds | no.kinds, args: []*node{cond, yes, no}}
}
