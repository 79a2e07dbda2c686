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

// FieldError is a fault of one field of a published event. It names no value.
type FieldError struct {
	// Path is the field as it was written, with dots; elements of arrays by number.
	Path string
	// Problem says what is wrong with it.
	Problem string
	// Nearest is the known field that was probably meant; empty where none is near.
	Nearest string
}

func (e *FieldError) Error() string {
	text := "`" + e.Path + "` " + e.Problem
	if e.Nearest != "" {
		text += "; did you mean `" + e.Nearest + "`?"
	}
	return text
}

// NotText is the fault of an id that would read as another one, because its bytes are no text.
func NotText(path string) error {
	return &FieldError{Path: path, Problem: "is no text: it holds bytes that are not UTF-8, or half of a surrogate pair"}
}
