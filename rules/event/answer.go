package event

import (
	"strings"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Answer finds an answer by its question's id, then by its exact label.
func (d *Data) Answer(key string) (Answer, bool) {
	for i := range d.Response.Answers {
		if d.Response.Answers[i].QuestionID == key {
			return d.Response.Answers[i], true
		}
	}
	if key != "" {
		for i := range d.Response.Answers {
			if d.Response.Answers[i].Question == key {
				return d.Response.Answers[i], true
			}
		}
	}
	return Answer{}, false
}

// Text is the value as a person reads it: text as it is, numbers and booleans as they were written,
// several choices with commas between them, and of a matrix or an address `row: value` with commas.
func (a Answer) Text() string { return text(jsonpath.Parse(a.Value)) }

func text(v jsonpath.Result) string {
	switch v.Kind() {
	case jsonpath.Array, jsonpath.Object:
		var parts []string
		v.ForEach(func(key string, value jsonpath.Result) bool {
			part := text(value)
			if part == "" {
				return true
			}
			if key != "" {
				part = key + ": " + part
			}
			parts = append(parts, part)
			return true
		})
		return strings.Join(parts, ", ")
	}
	return v.Text()
}
