package expression

import (
	"errors"
	"io"
	"sort"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// token is a token of expr's lexer with its position in bytes; the lexer counts runes.
type token struct {
	lexer.Token
	from, to int
}

// source is the text of one expression with its tokens, to find the position of faults and parts.
type source struct {
	text   string
	runes  []int32 // byte offset of each rune; nil if all characters are ASCII
	tokens []token
	broken *file.Error // why the tokens end early
}

func newSource(text string) *source {
	s := &source{text: text}
	if utf8.RuneCountInString(text) != len(text) {
		for i := range text {
			s.runes = append(s.runes, int32(i))
		}
	}
	lex := lexer.New()
	lex.Reset(file.NewSource(text))
	for {
		tok, err := lex.Next()
		if err != nil {
			var fault *file.Error
			if !errors.Is(err, io.EOF) && errors.As(err, &fault) {
				s.broken = fault
			}
			return s
		}
		if tok.Kind == lexer.EOF {
			continue
		}
		s.tokens = append(s.tokens, token{Token: tok, from: s.at(tok.From), to: s.at(tok.To)})
	}
}

// at returns the byte offset of a rune.
func (s *source) at(r int) int {
	r = max(r, 0)
	if s.runes == nil {
		return min(r, len(s.text))
	}
	if r >= len(s.runes) {
		return len(s.text)
	}
	return int(s.runes[r])
}

// find returns the index of the token that begins at a byte, or of the one before it.
func (s *source) find(from int) int {
	return max(sort.Search(len(s.tokens), func(i int) bool { return s.tokens[i].from > from })-1, 0)
}

// span returns the first and last byte of a part of the expression, including its brackets.
func (s *source) span(node ast.Node) (from, to int) {
	if len(s.tokens) == 0 {
		return 0, len(s.text)
	}
	first, last := len(s.tokens), -1
	var walk func(ast.Node)
	seen := func(loc file.Location) {
		i := s.find(s.at(loc.From))
		first, last = min(first, i), max(last, i)
	}
	walk = func(n ast.Node) {
		for _, kid := range children(n) {
			walk(kid)
		}
		switch n := n.(type) {
		case *ast.ConditionalNode, *ast.ChainNode, *ast.PredicateNode:
			// The parser gives them the location of another token, so their children determine the position.
		case *ast.CallNode, *ast.BuiltinNode:
			i := s.find(s.at(n.Location().From))
			first, last = min(first, i), max(last, i)
			if i+1 < len(s.tokens) && s.tokens[i+1].Value == "(" {
				last = max(last, s.closing(i+1))
			}
		case *ast.ArrayNode:
			i := s.find(s.at(n.Location().From))
			first, last = min(first, i), max(last, s.closing(i))
		case *ast.PointerNode:
			i := s.find(s.at(n.Location().From))
			first, last = min(first, i), max(last, i)
		default:
			seen(n.Location())
		}
	}
	walk(node)
	if last < 0 {
		return 0, len(s.text)
	}
	first, last = s.balance(first, last)
	return s.tokens[first].from, s.tokens[last].to
}

// closing returns the index of the bracket that closes the one at open, or of the last token.
func (s *source) closing(open int) int {
	depth := 0
	for i := open; i < len(s.tokens); i++ {
		if s.tokens[i].Kind != lexer.Bracket {
			continue
		}
		switch s.tokens[i].Value {
		case "(", "[", "{":
			depth++
		default:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s.tokens) - 1
}

// balance extends a range of tokens until all its brackets are balanced.
func (s *source) balance(first, last int) (int, int) {
	opened, unopened := 0, 0
	for i := first; i <= last; i++ {
		switch d := bracketDepth(s.tokens[i]); {
		case d > 0:
			opened++
		case d < 0 && opened > 0:
			opened--
		case d < 0:
			unopened++
		}
	}
	for depth := 0; opened > 0 && last+1 < len(s.tokens); {
		last++
		switch d := bracketDepth(s.tokens[last]); {
		case d > 0:
			depth++
		case d < 0 && depth > 0:
			depth--
		case d < 0:
			opened--
		}
	}
	for depth := 0; unopened > 0 && first > 0; {
		first--
		switch d := bracketDepth(s.tokens[first]); {
		case d < 0:
			depth++
		case d > 0 && depth > 0:
			depth--
		case d > 0:
			unopened--
		}
	}
	return first, last
}

func bracketDepth(t token) int {
	if t.Kind != lexer.Bracket {
		return 0
	}
	switch t.Value {
	case "(", "[", "{":
		return 1
	}
	return -1
}

// children returns the child nodes of a node without nil ones.
func children(node ast.Node) []ast.Node {
	var kids []ast.Node
	add := func(nodes ...ast.Node) {
		for _, n := range nodes {
			if n != nil {
				kids = append(kids, n)
			}
		}
	}
	switch n := node.(type) {
	case *ast.UnaryNode:
		add(n.Node)
	case *ast.BinaryNode:
		add(n.Left, n.Right)
	case *ast.ChainNode:
		add(n.Node)
	case *ast.MemberNode:
		add(n.Node, n.Property)
	case *ast.SliceNode:
		add(n.Node, n.From, n.To)
	case *ast.CallNode:
		add(n.Callee)
		add(n.Arguments...)
	case *ast.BuiltinNode:
		add(n.Arguments...)
	case *ast.PredicateNode:
		add(n.Node)
	case *ast.ConditionalNode:
		add(n.Cond, n.Exp1, n.Exp2)
	case *ast.VariableDeclaratorNode:
		add(n.Value, n.Expr)
	case *ast.SequenceNode:
		add(n.Nodes...)
	case *ast.ArrayNode:
		add(n.Nodes...)
	case *ast.MapNode:
		add(n.Pairs...)
	case *ast.PairNode:
		add(n.Key, n.Value)
	}
	return kids
}
