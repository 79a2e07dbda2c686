package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The commands in the hints of the API are buttons of the console.
func TestHint(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	dead := &state.Delivery{ID: "dl_1_a-b", State: state.Dead, Reason: "404 Not Found", Connector: "slack"}
	for text, want := range map[string][]hintPart{
		"": nil,
		"The token is <b>wrong</b>; run `surveygate reload`.":                            {{Text: "The token is <b>wrong</b>; run `surveygate reload`."}},
		view.DeliveryHint(dead):                                                          {{Text: "The product says that the request is wrong: correct the settings of the rule or the connection. Then, to deliver it after all: "}, {Act: "Try now", Page: "/deliveries/dl_1_a-b"}},
		"To give it up: surveygate dead drop dl_1. Or wait.":                             {{Text: "To give it up: "}, {Act: "Drop", Page: "/deliveries/dl_1"}, {Text: ". Or wait."}},
		view.HoldHint(&state.Hold{Kind: state.HoldPaused, Since: noon}, "crm", "x", ""):  {{Text: "crm was paused by hand; it goes on with: "}, {Act: "Resume", Page: "/destinations/crm"}},
		view.HoldHint(&state.Hold{Kind: state.HoldCircuit, Since: noon}, "crm", "x", ""): {{Text: "Nearly all of crm's last answers were failures; it is asked again by itself."}},
	} {
		if diff := cmp.Diff(want, hint(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
