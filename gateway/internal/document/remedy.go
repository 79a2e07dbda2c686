package document

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// DidYouMean is a remedy: the nearest known word, else all of them.
func DidYouMean(word string, known []string) string {
	if nearest := event.Nearest(word, known); nearest != "" {
		return "did you mean " + nearest + "?"
	}
	return OneOf(known)
}

// OneOf is a remedy that lists what is known.
func OneOf(known []string) string {
	if len(known) == 0 {
		return ""
	}
	known = slices.Clone(known)
	slices.Sort(known)
	return "one of: " + strings.Join(known, ", ")
}
