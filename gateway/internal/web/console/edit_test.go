package console

import (
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestAskedEvents: a rule without events is about completed responses; a webhook without events selects none by itself, so that any may be tried.
func TestAskedEvents(t *testing.T) {
	t.Parallel()
	all := []view.Event{{ID: "1", Type: "response.updated"}, {ID: "2", Type: "response.completed"}}
	for _, c := range []struct {
		kind, text string
		want       int
	}{
		{"rule", "when: nps_score <= 6\n", 1},
		{"webhook", "url: https://hook.example.com/in\n", 2},
		{"webhook", "events: [response.completed]\n", 1},
		{"webhook", "events: [\"*\"]\n", 2},
		{"rule", "events: [response.started]\n", 2},
		{"connection", "slack: {}\n", 2},
	} {
		e := &editor{editable: editableOf(c.kind), Text: c.text}
		if got := e.asked(all); len(got) != c.want {
			t.Errorf("%s %s: %+v", c.kind, c.text, got)
		}
	}
}
