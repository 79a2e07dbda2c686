package expression

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

// parse parses the text with expr's parser, or adds a fault.
func (c *compiler) parse() ast.Node {
	text := c.src.text
	switch {
	case len(text) > MaxLength:
		c.faultAt(MaxLength, MaxLength+1, fmt.Sprintf("this expression is longer than %d bytes", MaxLength), "split the rule in two")
		return nil
	case !utf8.ValidString(text):
		at := 0
		for i, r := range text {
			if r == utf8.RuneError {
				if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
					at = i
					break
				}
			}
		}
		c.faultAt(at, at+1, "this is not UTF-8 text", "save the file as UTF-8")
		return nil
	case strings.TrimSpace(text) == "":
		remedy := "as in nps_score <= 6"
		if c.want == asValue {
			remedy = `an empty text is quoted inside: "''"`
		}
		c.faultAt(0, len(text), "here stands no expression", remedy)
		return nil
	}
	tree, err := parser.ParseWithConfig(text, &conf.Config{MaxNodes: MaxNodes})
	if err == nil {
		return tree.Node
	}
	c.syntax(err)
	c.quotingHint()
	return nil
}

var (
	plainWords = regexp.MustCompile(`^[\pL\d][\pL\d _.,@:/!?&%#+-]*$`)
	arithmetic = regexp.MustCompile(` [-+/%] `)
)

// quotingHint adds a remedy to the faults of a value that consists of words only: a literal word needs inner quotes.
func (c *compiler) quotingHint() {
	if c.want != asValue || len(c.faults) == 0 {
		return
	}
	word := strings.TrimSpace(c.src.text)
	if !plainWords.MatchString(word) {
		return
	}
	if arithmetic.MatchString(word) {
		if strings.HasPrefix(c.faults[0].Remedy, "did you mean") {
			return
		}
		for _, t := range c.src.tokens {
			if _, ok := fields[t.Value]; ok {
				return // a computation with a typing error
			}
		}
	}
	quoted := fmt.Sprintf(`a fixed word is quoted inside: "'%s'"`, word)
	at := c.base + strings.Index(c.src.text, word)
	first := c.faults[0]
	if len(c.src.tokens) == 1 && len(c.faults) == 1 && c.src.broken == nil {
		if first.Remedy != "" {
			quoted = first.Remedy + " " + strings.ToUpper(quoted[:1]) + quoted[1:]
		}
		first.Remedy = quoted
		return
	}
	if name := strings.Split(word, "."); len(c.faults) == 1 && len(name) > 1 && fields[name[0]].kinds == objects {
		return // a path with a typing error, whose own remedy is better
	}
	c.faults = Errors{{Offset: at, Length: len(word), Message: fmt.Sprintf("`%s` is not an expression", clip(word)), Remedy: quoted}}
}

// syntax adds the fault of a text that expr's parser refuses: a common mistake, or else the position at which the parser stopped.
func (c *compiler) syntax(err error) {
	if c.commonMistake() {
		return
	}
	var fault *file.Error
	if !errors.As(err, &fault) {
		c.faultAt(0, len(c.src.text), "this cannot be read: "+err.Error(), "")
		return
	}
	from, to := c.src.at(fault.From), c.src.at(fault.To)
	message := fault.Message
	switch {
	case strings.Contains(message, "maximum allowed nodes"):
		c.faultAt(0, len(c.src.text), fmt.Sprintf("this expression has more than %d parts", MaxNodes), "split the rule in two")
		return
	case strings.Contains(message, "literal not terminated"):
		c.unterminated()
		return
	case strings.HasPrefix(message, "bad number syntax"):
		c.badNumber(from)
		return
	case strings.HasPrefix(message, "unrecognized character"):
		c.unknownCharacter(from, to)
		return
	case strings.Contains(message, "cannot be mixed"):
		c.faultAt(from, to, fmt.Sprintf("`%s` and `??` cannot be mixed without brackets", c.src.text[from:to]), "as in (nps_score ?? 10) <= 6")
		return
	case strings.HasPrefix(message, "unexpected token EOF"), strings.HasPrefix(message, "unexpected end"):
		if open := c.open(); open >= 0 {
			tok := c.src.tokens[open]
			remedy := ""
			if open > 0 && tok.Value == "(" && c.src.tokens[open-1].Kind == lexer.Identifier { // YAML ends a value in {…} at a comma
				remedy = "in {…} of YAML, write a condition with a comma in quotes: {when: 'between(nps_score, 0, 6)'}"
			}
			c.faultAt(tok.from, tok.to, fmt.Sprintf("`%s` is not closed", tok.Value), remedy)
			return
		}
		rest := strings.TrimRightFunc(c.src.text, unicode.IsSpace)
		_, last := utf8.DecodeLastRuneInString(rest)
		c.faultAt(len(rest)-last, len(rest), "this ends too early", "")
		return
	case strings.HasPrefix(message, "unexpected token"):
		if to <= from {
			to = from + 1
		}
		c.faultAt(from, to, fmt.Sprintf("`%s` does not belong here", c.src.text[from:min(to, len(c.src.text))]), c.missingOperatorHint(from))
		return
	}
	if strings.Contains(message, "value out of range") {
		c.faultAt(from, max(to, from+1), "this number is too large to be written as it is", `write number("…") around its digits`)
		return
	}
	c.faultAt(from, max(to, from+1), "this cannot be read: "+message, "")
}

// missingOperatorHint returns a remedy for a syntax error at a byte: two adjacent values, a superfluous bracket, or a list in
// round brackets.
func (c *compiler) missingOperatorHint(from int) string {
	i := c.src.find(from)
	if i == 0 || i >= len(c.src.tokens) {
		return ""
	}
	before, here := c.src.tokens[i-1], c.src.tokens[i]
	if here.Kind == lexer.Bracket && bracketDepth(here) < 0 && c.open() < 0 {
		return "it closes nothing"
	}
	if here.Value == "," {
		if list := c.listOf(i); list != "" {
			return "a list stands in square brackets: " + list
		}
	}
	if valueLike(before) && valueLike(here) {
		return "an operator is missing before it: and, or, ==, contains …"
	}
	return ""
}

// listOf returns the text of a list in round brackets after `in`, given its first comma: country in ("DE", "AT").
func (c *compiler) listOf(comma int) string {
	for i := comma - 1; i > 0; i-- {
		switch t := c.src.tokens[i]; {
		case t.Value == "(" && t.Kind == lexer.Bracket:
			if in := c.src.tokens[i-1]; in.Kind != lexer.Operator || in.Value != "in" {
				return ""
			}
			return "in " + c.listFrom(i)
		case bracketDepth(t) != 0:
			return ""
		}
	}
	return ""
}

func valueLike(t token) bool {
	return t.Kind == lexer.Identifier || t.Kind == lexer.Number || t.Kind == lexer.String || t.Value == ")" || t.Value == "]"
}

// open returns the index of the last unclosed bracket, or -1.
func (c *compiler) open() int {
	var stack []int
	for i, t := range c.src.tokens {
		switch d := bracketDepth(t); {
		case d > 0:
			stack = append(stack, i)
		case d < 0 && len(stack) > 0:
			stack = stack[:len(stack)-1]
		}
	}
	if len(stack) == 0 {
		return -1
	}
	return stack[len(stack)-1]
}

// unterminated adds the fault for an unclosed quote, which is where the valid tokens end.
func (c *compiler) unterminated() {
	from := 0
	if n := len(c.src.tokens); n > 0 {
		from = c.src.tokens[n-1].to
	}
	if i := strings.IndexAny(c.src.text[from:], "\"'`"); i >= 0 {
		from += i
	}
	c.faultAt(from, from+1, fmt.Sprintf("the text that begins with %s is not closed", c.src.text[from:from+1]), quoteRemedy)
}

var lookalikes = map[rune]string{
	'≤': "<=", '≥': ">=", '≠': "!=", '–': "-", '—': "-", '−': "-", '×': "*", '÷': "/", '∧': "and", '∨': "or", '¬': "not",
}

// unknownCharacter adds the fault for a character that the language does not have.
func (c *compiler) unknownCharacter(from, to int) {
	sign := c.src.text[from:to]
	r, _ := utf8.DecodeRuneInString(sign)
	message, remedy := fmt.Sprintf("`%s` is not a sign of the rule language", sign), ""
	switch {
	case strings.ContainsRune("“”„‟«»‘’‚‹›", r):
		message, remedy = fmt.Sprintf("`%s` is a typographic quote", sign), `write ' or "`
	case lookalikes[r] != "":
		remedy = "write " + lookalikes[r]
	case r == '$':
		remedy = "names stand alone, without $"
	}
	c.faultAt(from, to, message, remedy)
}

// foreignWords maps operators of other languages to the remedy.
var foreignWords = map[string]string{
	"is": "ask has(x) or not has(x); compare with == or !=", "like": `write contains, or matches "pattern"`,
	"between": "compare twice, as in x >= 1 and x <= 5", "equals": "write ==", "eq": "write ==", "ne": "write !=",
	"lt": "write <", "lte": "write <=", "gt": "write >", "gte": "write >=", "includes": "write contains",
	"xor": "write (a or b) and not (a and b)", "then": "write condition ? this : that",
	"starts": "write startsWith", "ends": "write endsWith", "unless": "write not (…)", "when": "leave it out", "exists": "write has(x)",
}

var operatorWords = []string{"and", "or", "not", "in", "contains", "matches", "startsWith", "endsWith"}

// commonMistake adds the fault of the first construct from another language, and reports whether there is one.
func (c *compiler) commonMistake() bool {
	tokens := c.src.tokens
	for i, t := range tokens {
		next := func(value string) bool {
			return i+1 < len(tokens) && tokens[i+1].Value == value && tokens[i+1].from == t.to && tokens[i+1].Kind == lexer.Operator
		}
		switch {
		case t.Kind == lexer.Operator && t.Value == "=":
			switch {
			case next(">"):
				c.faultAt(t.from, t.to+1, "`=>` does not compare", "write >=")
			case next("<"):
				c.faultAt(t.from, t.to+1, "`=<` does not compare", "write <=")
			default:
				c.faultAt(t.from, t.to, "`=` does not compare", "write ==")
			}
			return true
		case t.Kind == lexer.Operator && (t.Value == "==" || t.Value == "!=") && next("="):
			c.faultAt(t.from, t.to+1, fmt.Sprintf("`%s=` is not an operator", t.Value), "write "+t.Value)
			return true
		case t.Kind == lexer.Operator && t.Value == "<" && next(">"):
			c.faultAt(t.from, t.to+1, "`<>` is not an operator", "write !=")
			return true
		case t.Kind == lexer.Operator && t.Value == "&":
			c.faultAt(t.from, t.to, "`&` is not an operator", "write and")
			return true
		case t.Kind == lexer.Operator && t.Value == "|" && (i+2 >= len(tokens) || tokens[i+2].Value != "("):
			c.pipeHint(i)
			return true
		case c.anyOf(i), c.calledOperator(i):
			return true
		case t.Kind == lexer.Operator && (t.Value == "if" || t.Value == "else"):
			c.faultAt(t.from, t.to, fmt.Sprintf("`%s` is not part of the rule language", t.Value), "write condition ? this : that")
			return true
		case t.Kind == lexer.Operator && t.Value == "let":
			c.faultAt(t.from, t.to, "`let` is not part of the rule language", "write the expression where it is used")
			return true
		case t.Kind == lexer.Identifier:
			beside := i > 0 && valueLike(tokens[i-1]) || i+1 < len(tokens) && valueLike(tokens[i+1])
			if !beside {
				continue
			}
			for _, word := range operatorWords {
				if strings.EqualFold(t.Value, word) || strings.EqualFold(t.Value, word+"s") && word != "in" || strings.EqualFold(t.Value, strings.ReplaceAll(word, "sWith", "s_with")) {
					c.faultAt(t.from, t.to, fmt.Sprintf("`%s` is not an operator", t.Value), "write "+word)
					return true
				}
			}
			if remedy, ok := foreignWords[strings.ToLower(t.Value)]; ok && i > 0 {
				c.faultAt(t.from, t.to, fmt.Sprintf("`%s` is not an operator of the rule language", t.Value), remedy)
				return true
			}
		}
	}
	return false
}
