package event

import (
	"strings"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Answer returns the first answer with this question id, or else the first one with exactly this question label. The result is
// false if there is none.
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

// Text returns the value in readable form: a text unchanged, numbers and booleans as the platform wrote them, several choices
// joined with commas, and a matrix or an address as `row: value` pairs joined with commas.
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

// IsEmpty reports whether the question was answered with nothing.
func (a *Answer) IsEmpty() bool { return emptyJSON(a.Value) && a.Comment == "" }
