package expression

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// DocsURL is where the language is explained to people; rules/README.md is its source.
const DocsURL = "https://github.com/surveygate/surveygate/blob/main/rules/README.md"

// Error is one fault of a text.
type Error struct {
	// Offset and Length are where, in bytes of the text.
	Offset, Length int
	// Message says what is wrong, Remedy what to write instead; Remedy may be empty.
	Message, Remedy string
	// Path leads to the faulty value where the text is one of a mapping's: keys, and positions as numbers.
	Path []string
}

func (e *Error) Error() string {
	var b strings.Builder
	if len(e.Path) > 0 {
		b.WriteString(strings.Join(e.Path, "."))
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

// Errors are all faults of a text, in the order they stand in it.
type Errors []*Error

func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives the single faults.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// sorted puts the faults into the order of the text.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int { return cmp.Compare(a.Offset, b.Offset) })
	return e
}

// rescue turns a panic into that expression's own error, so that the others go on.
func rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("evaluate: %v", r)
	}
}
