package source

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// A match may cost the length of the text times the size of the pattern, and a stranger chooses the text: so neither may
// be large. A longer text fits no pattern.
const (
	patternSize = 1000 // instructions
	patternText = 64 << 10
)

// Pattern is a regular expression (RE2), compiled when it is read.
type Pattern struct {
	*regexp.Regexp
	// needs is a literal that every match holds, where there is one: most answers and labels fail on it, and a look for
	// it costs a fraction of a match. With fold it is lower-case, and either case does.
	needs string
	fold  bool
}

// UnmarshalText compiles the pattern.
func (p *Pattern) UnmarshalText(b []byte) error {
	re, err := regexp.Compile(string(b))
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	tree, err := syntax.Parse(string(b), syntax.Perl)
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	if n := len(prog.Inst); n > patternSize {
		return fmt.Errorf("pattern: it has %d steps, at most %d: repeat less", n, patternSize)
	}
	*p = Pattern{Regexp: re}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	for _, part := range parts {
		if part.Op != syntax.OpLiteral || len(part.Rune) > 32 {
			continue
		}
		literal := string(part.Rune)
		if part.Flags&syntax.FoldCase == 0 {
			p.needs, p.fold = literal, false
			return nil
		}
		if p.needs == "" && ascii(literal) {
			p.needs, p.fold = strings.ToLower(literal), true
		}
	}
	return nil
}

// MatchString says whether a text matches that is not too long for it.
func (p *Pattern) MatchString(text string) bool {
	return len(text) <= patternText && p.Regexp.MatchString(text)
}

// FindStringSubmatch is nil for a text that is too long for it.
func (p *Pattern) FindStringSubmatch(text string) []string {
	if len(text) > patternText {
		return nil
	}
	return p.Regexp.FindStringSubmatch(text)
}

// fits says whether a text matches.
func (p *Pattern) fits(text string) bool { return p.may(text) && p.MatchString(text) }

// may is false for what cannot match.
func (p *Pattern) may(text string) bool {
	switch {
	case p.needs == "":
		return true
	case !p.fold:
		return strings.Contains(text, p.needs)
	}
	var any byte
	needs, first := p.needs, p.needs[0]|0x20
	for i := range len(text) {
		c := text[i]
		any |= c
		if c|0x20 == first && len(text)-i >= len(needs) && strings.EqualFold(text[i:i+len(needs)], needs) {
			return true
		}
	}
	return any >= utf8.RuneSelf // letters beyond ASCII fold into it: K is a k
}

// matches tells whether a scalar's text fits, mostly without unquoting it.
func (p *Pattern) matches(value jsonpath.Result) bool {
	raw := value.Raw()
	if !p.fold && !bytes.Contains(raw, []byte(p.needs)) && bytes.IndexByte(raw, '\\') < 0 {
		return false
	}
	return p.fits(plain(value))
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
