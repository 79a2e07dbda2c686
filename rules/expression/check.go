package expression

import (
	"fmt"
	"strconv"

	"github.com/expr-lang/expr/ast"
)

// need adds a fault unless a part may have one of the allowed kinds.
func (c *compiler) need(at ast.Node, n *node, allowed kinds, message string) bool {
	return c.needHint(at, n, allowed, message, "")
}

func (c *compiler) needHint(at ast.Node, n *node, allowed kinds, message, remedy string) bool {
	if n.kinds&allowed != 0 {
		return true
	}
	if remedy == "" && allowed == numbers && n.kinds == texts {
		remedy = fmt.Sprintf("write number(%s)", c.show(at))
		if n.op == opLiteral {
			remedy = "write it without quotes"
		}
	}
	c.fault(at, fmt.Sprintf("%s, and `%s` is %s", message, c.show(at), n.kinds), remedy)
	return false
}

// mixed returns a remedy for mixing a number and a text.
func (c *compiler) mixed(l, r ast.Node, left, right *node) string {
	for range 2 {
		if left.kinds == numbers && right.op == opLiteral && right.lit.kind == text {
			if _, err := strconv.ParseFloat(right.lit.str, 64); err == nil {
				return fmt.Sprintf("write %s without quotes", right.lit.str)
			}
			return "compare it with a number"
		}
		if left.kinds == texts && right.op == opLiteral && right.lit.kind == number {
			return fmt.Sprintf("write number(%s), or %q", c.show(l), c.show(r))
		}
		if left.kinds == booleans && right.op == opLiteral && right.lit.kind == text {
			return "write true or false without quotes"
		}
		l, r, left, right = r, l, right, left
	}
	return ""
}

func compareRemedy(k kinds) string {
	switch k {
	case numbers:
		return "compare it, as in nps_score <= 6"
	case texts:
		return `compare it, as in survey.type == "nps", or ask has(x)`
	}
	return "ask has(x), len(x) > 0 or any(x, …)"
}

// orRemedy returns a remedy for `survey.type == "nps" or "csat"`.
func (c *compiler) orRemedy(n *ast.BinaryNode, part ast.Node) string {
	left, ok := n.Left.(*ast.BinaryNode)
	if _, fixed := part.(*ast.StringNode); ok && fixed && left.Operator == "==" {
		return fmt.Sprintf("write %s in [%s, %s]", c.show(left.Left), c.show(left.Right), c.show(part))
	}
	return ""
}

func inRemedy(c *compiler, n *ast.BinaryNode, left, right *node) string {
	if left.kinds.has(text) && right.kinds.has(text) {
		return fmt.Sprintf("write %s contains %s", c.show(n.Right), c.show(n.Left))
	}
	return `as in survey.type in ["nps", "csat"]`
}
