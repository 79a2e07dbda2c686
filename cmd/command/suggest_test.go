package command

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/client"
)

// The id of a question, which whoever fills in a form may choose, cannot look like other lines of what is shown.
func TestSuggestionsKeepToTheirLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	g := &globals{out: &out}
	const forged = "x\n\nsources:\n  forms: {}"
	g.showSuggestions(&client.Suggestions{Sources: []client.SourceSuggestions{{
		Source: "forms", Roles: []client.SuggestedRole{{
			Question: forged, Survey: forged, Field: "email", Evidence: []string{"its type is `" + forged + "`"}, Also: []string{forged},
		}},
	}}})
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(strings.TrimSpace(line), "sources:") {
			t.Errorf("a line of its own: %q in\n%s", line, out.String())
		}
	}
}
