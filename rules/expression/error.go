package expression

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// DocsURL is the address of the language's documentation, whose source is rules/README.md.
const DocsURL = "https://github.com/surveygate/surveygate/blob/main/rules/README.md"

// Error is one error in the text of an expression.
type Error struct {
	// Offset and Length are the position of the error, in bytes of the text.
	Offset, Length int
	// Message says what is wrong. Remedy says what to write instead; it may be empty.
	Message, Remedy string
	// Path is the path of the text within a mapping: keys, and positions in lists as numbers. It is empty outside a mapping.
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

// Errors are all errors of a text or a mapping, in the order of their positions.
type Errors []*Error

func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap returns the single errors.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// sorted sorts the errors by position.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int { return cmp.Compare(a.Offset, b.Offset) })
	return e
}

// rescue turns a panic into the error of the current expression, so that other expressions are still evaluated.
func rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("evaluate: %v", r)
	}
}
