package expression

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// name compiles a path of the event, or adds a fault with the name that was probably meant.
func (c *compiler) name(n ast.Node, path []string) *node {
	for i := len(path); i > 0; i-- {
		prefix := strings.Join(path[:i], ".")
		field, ok := fields[prefix]
		if !ok {
			continue
		}
		rest := path[i:]
		switch {
		case len(rest) == 0:
			return &node{op: opSlot, kinds: field.kinds, slot: c.scope.slot(field.slot())}
		case field.open:
			var b strings.Builder
			b.WriteString(field.path)
			for _, key := range rest {
				b.WriteByte('.')
				b.WriteString(jsonpath.Escape(key))
			}
			return &node{op: opSlot, kinds: anything, slot: c.scope.slot(slot{how: fromData, path: b.String()})}
		case field.kinds == objects:
			c.unknown(n, path)
		case field.path == "response.answers":
			c.fault(n, fmt.Sprintf("`%s` is a list: it has no fields", prefix), fmt.Sprintf("write answer(%q)", rest[0]))
		case field.kinds == lists:
			c.fault(n, fmt.Sprintf("`%s` is a list: it has no fields", prefix), fmt.Sprintf("ask its items: any(%s, .%s == …)", prefix, rest[0]))
		default:
			remedy := ""
			if near := nearest(strings.Join(path, ".")); near != "" {
				remedy = fmt.Sprintf("did you mean %s?", near)
			}
			c.fault(n, fmt.Sprintf("`%s` is %s: it has no fields", prefix, field.kinds), remedy)
		}
		return c.unclear()
	}
	c.unknown(n, path)
	return c.unclear()
}

// unknown adds the fault for a name that events do not have.
func (c *compiler) unknown(n ast.Node, path []string) {
	name := strings.Join(path, ".")
	remedy := ""
	switch {
	case absentWords[strings.ToLower(name)]:
		remedy = "what is absent is unknown: ask has(x) or not has(x)"
	case len(path) == 1 && isFunction(name) && synonyms[name] == "":
		remedy = "it is a function: " + functionForm(name)
	case len(path) == 2 && (path[0] == "answers" || path[0] == "answer"):
		remedy = fmt.Sprintf("an answer is found by its question: answer(%q)", path[1])
	default:
		near := nearest(name)
		switch {
		case near != "" && (c.want == asCondition || !strings.Contains(near, "==")):
			remedy = fmt.Sprintf("did you mean %s?", near)
		case c.want != asValue: // in a value, the name may be a literal without quotes
			remedy = "`surveygate fields` lists the names"
		}
	}
	c.fault(n, fmt.Sprintf("`%s` is not a name of the rule language", name), remedy)
}

var absentWords = map[string]bool{"null": true, "none": true, "undefined": true, "empty": true, "nil": true, "missing": true}

// Operators returns all operators of the language, symbols and words, sorted.
func Operators() []string {
	all := []string{"!", "&&", "?:", "??", "and", "in", "matches", "not", "or", "||"}
	for _, of := range []map[string]uint8{compares, textOperators, computes} {
		for name := range of {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// Functions returns the names of all functions, sorted.
func Functions() []string { return functionNames() }
