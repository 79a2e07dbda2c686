package event

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Parsed is one event of a body with many, or what is wrong with it.
type Parsed struct {
	Event *Event
	Err   error
	// Line is where it stands in NDJSON, from 1; 0 in any other body.
	Line int
}

// ParseMany reads a body that holds one event, a JSON array of them, or one to a line (NDJSON), each as
// ParseOne does, and gives one result for each, in order. An event's raw bytes are its own part of the body.
// An error speaks of the whole body; of NDJSON a line that is not JSON is that line's error only.
func ParseMany(body []byte, d Defaults) ([]Parsed, error) {
	// Elements of an array may nest as deep as one event alone, and one that is too deep is its own fault only.
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

// maxArrayDepth is how deep a body is looked into to tell its elements apart.
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

// ParseLines reads NDJSON, also of one line. A line that cannot be read is that line's fault alone.
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

// looksLikeLines says whether a body that is not JSON is NDJSON with faults, and not a document that is broken or cut
// off: its first line is an object by itself, or most of its lines are. Of a document that is spread over lines the
// first is none, and most others end in a comma.
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

// check is nil for JSON that is not too deep; else it wraps ErrNotJSON or is ErrTooDeep.
func check(body []byte) error { return checkTo(body, MaxDepth) }

func checkTo(body []byte, depth int) error {
	err := jsonpath.Check(body, depth)
	if err == nil || errors.Is(err, ErrTooDeep) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotJSON, err)
}
