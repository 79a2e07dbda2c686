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

// The cost of a match can be the length of the text times the size of the pattern, and strangers choose the text. Both are
// therefore limited. A longer text does not match.
const (
	patternSize = 1000 // instructions
	patternText = 64 << 10
)

// Pattern is a regular expression (RE2), compiled when it is read.
type Pattern struct {
	*regexp.Regexp
	// needs is a literal that every match contains; empty if there is none. Most texts do not contain it, and searching for it
	// is much cheaper than a match. With fold, it is in lower case and matches either case.
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
		return fmt.Errorf("pattern: it has %d steps, and at most %d are allowed: use fewer repetitions", n, patternSize)
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

// MatchString reports whether a text matches. A text that is too long does not.
func (p *Pattern) MatchString(text string) bool {
	return len(text) <= patternText && p.Regexp.MatchString(text)
}

// FindStringSubmatch is like regexp's; nil for a text that is too long.
func (p *Pattern) FindStringSubmatch(text string) []string {
	if len(text) > patternText {
		return nil
	}
	return p.Regexp.FindStringSubmatch(text)
}

// fits reports whether a text matches, checking the required literal first.
func (p *Pattern) fits(text string) bool { return p.may(text) && p.MatchString(text) }

// may returns false for a text that cannot match.
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
	return any >= utf8.RuneSelf // non-ASCII letters may fold to ASCII: the Kelvin sign is a k
}

// matches reports whether a scalar's text matches, in most cases without unquoting it.
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
