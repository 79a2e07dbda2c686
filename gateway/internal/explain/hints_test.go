package explain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Each destination that wants something of a person is named with what it wants; beyond a bound they are counted.
func TestHintsNameTheirDestination(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{5: "d4: unarchive it", 10: "And 2 more: "} {
		steps := make([]view.ExplainedStep, n)
		for i := range steps {
			steps[i] = view.ExplainedStep{Destination: fmt.Sprintf("d%d", i), Hold: &view.ExplainedHold{Kind: "revoked", Hint: "unarchive it"}}
		}
		x := Explanation{view.Explanation{Rules: []view.ExplainedRule{{Steps: steps}}}}
		hints := x.hints()
		if len(hints) != min(n, maxHints+1) || !strings.HasPrefix(hints[len(hints)-1], want) || hints[0] != "d0: unarchive it" {
			t.Errorf("%d on hold: %q", n, hints)
		}
	}
	paused := Explanation{view.Explanation{Rules: []view.ExplainedRule{{Steps: []view.ExplainedStep{{Destination: "crm", Hold: &view.ExplainedHold{Kind: "paused", Hint: "crm was paused by hand"}}}}}}}
	if hints := paused.hints(); len(hints) != 1 || hints[0] != "crm was paused by hand" {
		t.Errorf("a hint that names its destination names it twice: %q", hints)
	}
}

// An attempt that counts by its status shows it beside what was odd about the answer.
func TestOddAnswerShowsItsStatus(t *testing.T) {
	t.Parallel()
	p := &printer{}
	p.attempt(view.ExplainedAttempt{N: 1, Verdict: "delivered", Status: 200, Reason: "the answer broke off"})
	p.attempt(view.ExplainedAttempt{N: 2, Verdict: "retry", Status: 503, Reason: "503 Service Unavailable"})
	if got := p.b.String(); !strings.Contains(got, "delivered: 200, the answer broke off,") || !strings.Contains(got, "retry: 503 Service Unavailable,") {
		t.Error(got)
	}
}
