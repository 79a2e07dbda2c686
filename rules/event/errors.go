package event

import (
	"errors"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Limits of one event.
const (
	// MaxAnswers bounds the answers of one event.
	MaxAnswers = 2000
	// MaxDepth bounds the nesting of a body.
	MaxDepth = jsonpath.MaxDepth
	// MaxEvents bounds the events of one body.
	MaxEvents = 10000
)

// Errors that callers branch on.
var (
	// ErrNotJSON: the body, or this part of it, is not JSON.
	ErrNotJSON = errors.New("not JSON")
	// ErrTooDeep: more than MaxDepth levels.
	ErrTooDeep = jsonpath.ErrTooDeep
	// ErrTooManyAnswers: more than MaxAnswers.
	ErrTooManyAnswers = errors.New("more than 2000 answers")
	// ErrTooManyEvents: more than MaxEvents in one body.
	ErrTooManyEvents = errors.New("more than 10000 events in one body")
)

// FieldError is an error in one field of a published event. It does not contain the field's value.
type FieldError struct {
	// Path is the field's path as it was written, with dots; an element of an array is a number.
	Path string
	// Problem completes the sentence that begins with the path, such as "must be text, not an array".
	Problem string
	// Nearest is the known field that was probably meant; empty if none is similar.
	Nearest string
}

func (e *FieldError) Error() string {
	text := "`" + e.Path + "` " + e.Problem
	if e.Nearest != "" {
		text += "; did you mean `" + e.Nearest + "`?"
	}
	return text
}

// NotTextError returns a *FieldError for an id with invalid bytes, which could be confused with another id (see
// jsonpath.Result.IsText).
func NotTextError(path string) error {
	return &FieldError{Path: path, Problem: "is no text: it holds bytes that are not UTF-8, or half of a surrogate pair"}
}
