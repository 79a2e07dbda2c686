package explain

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// The same event with two proofs: each one's text says when the other came and who proves it.
func TestSameEventWithAnotherProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	add := func(source, verified string) *event.Event {
		t.Helper()
		ev, err := event.New(event.Header{
			Source: source, Type: event.TypeResponseCompleted, Received: w.clock.Now(), DedupeKey: "k", Verified: verified,
		}, &event.Data{}, event.Raw{Body: []byte(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Append(t.Context(), []*event.Event{ev}); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
		return ev
	}
	vouched := add("pollqr", event.VerifiedAPI)
	other := add("popsee", "hmac")
	proved := add("pollqr", "hmac")
	for ev, want := range map[*event.Event][]string{
		vouched: {"verified by a token of the API, not by its source\n", "\n  the same event came later with a better proof: " + proved.ID + ", received 2026-01-02 12:02:00 UTC (1m0s ago), verified by hmac\n"},
		proved:  {"verified by hmac\n", "\n  the same event came before with a weaker proof: " + vouched.ID + ", received 2026-01-02 12:00:00 UTC (3m0s ago), verified by a token of the API, not by its source\n"},
		other:   {"verified by hmac\n"},
	} {
		x, err := w.asker.Event(t.Context(), "default", ev.ID)
		if err != nil {
			t.Fatal(err)
		}
		w.plain(t, x)
		var said strings.Builder
		if err := x.Text(&said); err != nil {
			t.Fatal(err)
		}
		text := said.String()
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s of %s is without %q:\n%s", ev.Verified, ev.Source, part, text)
			}
		}
		if strings.Contains(text, "the same event") != (len(want) > 1) {
			t.Errorf("%s of %s:\n%s", ev.Verified, ev.Source, text)
		}
	}
}
