package console

import (
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// passed is the state of a test.
func passed(is bool) string {
	if is {
		return "passed"
	}
	return "failed"
}

// depth bounds how far a part of a condition is indented.
func depth(n int) int { return min(n, 4) }

// truth is the class of a value of a condition's part.
func truth(value string) string {
	switch value {
	case "true":
		return "yes"
	case "false":
		return "no"
	case "unknown":
		return "unknown"
	}
	return ""
}

// verdictOf is the state of a rule that was asked, answerOf its word.
func verdictOf(r view.ExplainedRule) string {
	switch {
	case r.Matched:
		return "matched"
	case r.Error != "":
		return "error"
	case len(r.Missing) > 0 || len(r.Faults) > 0:
		return "unknown"
	}
	return "no"
}

func answerOf(r view.ExplainedRule) string {
	if state := verdictOf(r); state != "no" {
		return state
	}
	return "no match"
}

// rowsOf is how many lines an editor shows at first.
func rowsOf(text string) int { return min(max(strings.Count(text, "\n")+3, 12), 40) }
