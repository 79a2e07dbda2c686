package expression

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// Text is a compiled text with {{ expression }} holes. It is safe for concurrent use. The zero value is an absent text.
type Text struct {
	text     string
	literals []string // the literal text before each hole and after the last one
	prog     *program // the holes; nil without any
}

// CompileText compiles a text. The error is of type Errors.
func CompileText(text string) (Text, error) {
	var t Text
	err := t.UnmarshalText([]byte(text))
	return t, err
}

// MustText is CompileText for constant texts, such as the defaults of a connector. It panics on an error.
func MustText(text string) Text {
	t, err := CompileText(text)
	if err != nil {
		panic(fmt.Sprintf("text %q: %v", text, err))
	}
	return t
}

// UnmarshalText compiles the text. The error is of type Errors, with the errors of all holes.
func (t *Text) UnmarshalText(b []byte) error {
	s := new(scope)
	out, err := compileText(string(b), s)
	if err != nil {
		return err
	}
	s.seal()
	*t = out
	return nil
}

func compileText(s string, scope *scope) (Text, error) {
	if len(s) > MaxTextLength {
		return Text{}, Errors{{Offset: MaxTextLength, Length: 1, Message: fmt.Sprintf("this text is longer than %d bytes", MaxTextLength), Remedy: "shorten it"}}
	}
	out := Text{text: s}
	prog := &program{text: s, scope: scope}
	var faults Errors
	nodes := 0
	at := 0
	for {
		open := strings.Index(s[at:], "{{")
		if open < 0 {
			break
		}
		open += at
		end, fault := hole(s, open)
		if fault != nil {
			faults = append(faults, fault)
			break
		}
		out.literals = append(out.literals, s[at:open])
		at = end + 2
		k := newCompiler(s[open+2:end], open+2, asHole, scope)
		root := k.compile()
		faults = append(faults, k.faults...)
		if len(k.faults) > 0 {
			continue
		}
		shift(root, int32(open+2))
		prog.roots = append(prog.roots, root)
		prog.weight += root.weight
		if nodes += int(root.weight); nodes > MaxNodes {
			faults = append(faults, &Error{
				Offset: open, Length: end + 2 - open,
				Message: fmt.Sprintf("the holes of this text have more than %d parts", MaxNodes), Remedy: "shorten it",
			})
			break
		}
	}
	if len(faults) > 0 {
		return Text{}, faults.sorted()
	}
	out.literals = append(out.literals, s[at:])
	if len(prog.roots) > 0 {
		out.prog = prog
	}
	return out, nil
}

// shift moves the positions of a node, which was compiled from a hole, to those in the whole text.
func shift(n *node, by int32) {
	n.from += by
	n.to += by
	for _, arg := range n.args {
		shift(arg, by)
	}
}

// hole returns the offset of the }} that ends the hole at open. It skips quoted texts.
func hole(s string, open int) (end int, fault *Error) {
	quote, quoted := byte(0), 0
	for i := open + 2; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\' && quote != '`':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote, quoted = c, i
		case c == '}' && strings.HasPrefix(s[i:], "}}"):
			return i, nil
		case c == '{' && strings.HasPrefix(s[i:], "{{"):
			return 0, unclosed(s, open)
		}
	}
	if quote != 0 && strings.Contains(s[quoted:], "}}") {
		return 0, &Error{Offset: quoted, Length: 1, Message: fmt.Sprintf("a text that begins with %c is not closed in this hole", quote), Remedy: quoteRemedy}
	}
	return 0, unclosed(s, open)
}

func unclosed(s string, open int) *Error {
	remedy := "close it with }}"
	if rest := strings.TrimSpace(s[open+2:]); strings.HasSuffix(rest, "(") {
		remedy = quoteRemedy // a quote of YAML has ended the text
	}
	return &Error{Offset: open, Length: 2, Message: "the hole {{ is not closed", Remedy: remedy}
}

const quoteRemedy = `inside a double-quoted YAML text write single quotes: "{{ answer('4') }}"`

// Literals returns the literal text before each hole and after the last one, so it has one element more than there are holes.
func (t Text) Literals() []string {
	if t.prog == nil {
		return []string{t.text}
	}
	return slices.Clone(t.literals)
}

// String returns the text as it was written.
func (t Text) String() string { return t.text }

// IsZero reports whether there is no text.
func (t Text) IsZero() bool { return t.text == "" }

// Render fills the holes for an event. A hole with an absent value is empty. The value of each hole is passed to escape, if it is
// given, because a respondent may have written it; the literal text, which the operator wrote, is not. The error is that of an
// exceeded limit or event.Budget.
func (t Text) Render(ev *event.Event, escape ...func(string) string) (out string, err error) {
	if t.prog == nil {
		return t.text, nil
	}
	f, err := t.prog.scope.beginBuilding(ev)
	if err != nil {
		return "", err
	}
	defer f.end()
	defer rescue(&err)
	return t.render(f, escape)
}

func (t *Text) render(f *frame, escape []func(string) string) (string, error) {
	if t.prog == nil {
		return t.text, f.build.Spend(0, len(t.text))
	}
	before := f.beginBuild(t.prog)
	f.spendBytes(len(t.text))
	b := make([]byte, 0, len(t.text)+64)
	for i, root := range t.prog.roots {
		b = append(b, t.literals[i]...)
		f.clear()
		f.memory = maxMemory
		at, left := len(b), f.build.Bytes
		b = f.appendText(b, f.operand(root))
		if f.err != nil {
			break
		}
		for _, e := range escape {
			b = append(b[:at], e(string(b[at:]))...)
		}
		if len(escape) > 0 { // the size of the escaped text counts
			f.build.Bytes = left
			f.spendText(textOf(b[at:]))
		}
	}
	if err := f.endBuild(before); err != nil {
		return "", err
	}
	return string(append(b, t.literals[len(t.literals)-1]...)), nil
}

// Missing returns the absent fields that leave a hole empty.
func (t Text) Missing(ev *event.Event) []string {
	if t.prog == nil {
		return nil
	}
	return t.prog.missing(ev)
}
