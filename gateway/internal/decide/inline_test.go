package decide

import (
	"bytes"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// The events of a test can be read as often as somebody asks, and belong to one response unless they name their own.
func TestGiven(t *testing.T) {
	t.Parallel()
	r := &config.Rule{Match: &rules.Rule{Tenant: "acme", Events: []string{event.TypeResponseUpdated}}}
	text := []byte(` [{"nps_score": 3}, {"type": "response.partial", "response": {"feedback": "slow"}}, {"response": {"id": "own"}}, {}]`)
	given := config.Test{Given: bytes.Clone(text)}
	for range 3 {
		events, err := Given(r, given, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, ev := range events {
			got = append(got, ev.Type+" "+ev.ResponseID)
		}
		want := []string{"response.updated test", "response.partial test", "response.updated own", "response.updated test"}
		if len(got) != len(want) {
			t.Fatalf("%q", got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("event %d is %q, want %q", i, got[i], want[i])
			}
		}
		if !bytes.Equal(given.Given, text) {
			t.Fatalf("the test was changed: %s", given.Given)
		}
	}
}
