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
			return parseArray(whole, d)
		}
		ev, err := ParseOne(body, d)
		if errors.Is(err, ErrTooDeep) {
			return nil, err
		}
		return []Parsed{{ev, err}}, nil
	case errors.Is(err, ErrNotJSON):
		if parsed, ok, err := parseLines(body, d); ok {
			return parsed, err
		}
	}
	return nil, err
}

// maxArrayDepth is how deep a body is looked into to tell its elements apart.
const maxArrayDepth = 1000

func parseArray(whole jsonpath.Result, d Defaults) ([]Parsed, error) {
	var all []Parsed
	whole.Each(func(_ []byte, v jsonpath.Result) bool {
		if len(all) > MaxEvents {
			return false
		}
		ev, err := ParseOne(v.Raw(), d)
		all = append(all, Parsed{ev, err})
		return true
	})
	if len(all) > MaxEvents {
		return nil, ErrTooManyEvents
	}
	return all, nil
}

// parseLines reads NDJSON; ok is false where the body is none: then not each line begins and ends as an
// object does, which a broken or cut-off body of another form might do on some.
func parseLines(body []byte, d Defaults) (all []Parsed, ok bool, err error) {
	var lines [][]byte
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if line[0] != '{' || line[len(line)-1] != '}' {
			return nil, false, nil
		}
		if lines = append(lines, line); len(lines) > MaxEvents {
			return nil, true, ErrTooManyEvents
		}
	}
	if len(lines) < 2 {
		return nil, false, nil
	}
	for _, line := range lines {
		ev, err := ParseOne(line, d)
		all = append(all, Parsed{ev, err})
	}
	return all, true, nil
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
