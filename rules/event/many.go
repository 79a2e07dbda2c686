package event

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Parsed is one event of a body with several events, or its error.
type Parsed struct {
	Event *Event
	Err   error
	// Line is the line number in NDJSON, from 1; 0 in any other body.
	Line int
}

// ParseMany parses a body with one event, a JSON array of events, or one event per line (NDJSON), each as ParseOne does. It
// returns one result per event, in order. The raw bytes of an event are its own part of the body. The error concerns the whole
// body; an invalid event, or an NDJSON line that is not JSON, is an error of its own result only.
func ParseMany(body []byte, d Defaults) ([]Parsed, error) {
	// An element of an array may nest as deep as a single event. One that is too deep is an error of its own result only.
	err := checkTo(body, maxArrayDepth)
	switch {
	case err == nil:
		if whole := jsonpath.Parse(body); whole.Kind() == jsonpath.Array {
			return parseArray(whole, d, ParseOne)
		}
		ev, err := ParseOne(body, d)
		if errors.Is(err, ErrTooDeep) {
			return nil, err
		}
		return []Parsed{{Event: ev, Err: err}}, nil
	case errors.Is(err, ErrNotJSON) && looksLikeLines(body):
		return ParseLines(body, d)
	}
	return nil, err
}

// maxArrayDepth is the nesting depth up to which a body is scanned to find its elements.
const maxArrayDepth = 1000

func parseArray(whole jsonpath.Result, d Defaults, one func([]byte, Defaults) (*Event, error)) ([]Parsed, error) {
	var all []Parsed
	whole.Each(func(_ []byte, v jsonpath.Result) bool {
		if len(all) > MaxEvents {
			return false
		}
		ev, err := one(v.Raw(), d)
		all = append(all, Parsed{Event: ev, Err: err})
		return true
	})
	if len(all) > MaxEvents {
		return nil, ErrTooManyEvents
	}
	return all, nil
}

// ParseLines parses NDJSON, which may be a single line, and returns one result per line that is not empty. An invalid line is an
// error of its own result only.
func ParseLines(body []byte, d Defaults) ([]Parsed, error) {
	var all []Parsed
	number := 0
	for line := range bytes.Lines(body) {
		number++
		if line = bytes.TrimSpace(line); len(jsonpath.TrimBOM(line)) == 0 {
			continue
		}
		if len(all) == MaxEvents {
			return nil, ErrTooManyEvents
		}
		ev, err := ParseOne(line, d)
		all = append(all, Parsed{ev, err, number})
	}
	if len(all) == 0 {
		return nil, ErrNotJSON
	}
	return all, nil
}

// looksLikeLines reports whether a body that is not JSON is probably NDJSON with errors, and not a JSON document that is invalid
// or cut off: its first line is a complete object, or most of its lines are. In a document that spans several lines, the first
// one is not complete, and most others end in a comma.
func looksLikeLines(body []byte) bool {
	lines, objects, first := 0, 0, false
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(jsonpath.TrimBOM(line)); len(line) == 0 {
			continue
		}
		lines++
		if first && lines == 2 {
			return true
		}
		if line[0] == '{' && !errors.Is(checkTo(line, maxArrayDepth), ErrNotJSON) {
			objects++
			first = first || lines == 1
		}
	}
	return lines > 1 && 2*objects > lines
}

// check returns an error that wraps ErrNotJSON for invalid JSON, and ErrTooDeep for JSON that nests deeper than MaxDepth.
func check(body []byte) error { return checkTo(body, MaxDepth) }

func checkTo(body []byte, depth int) error {
	err := jsonpath.Check(body, depth)
	if err == nil || errors.Is(err, ErrTooDeep) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotJSON, err)
}
