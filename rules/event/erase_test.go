package event_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Of an erased event its id, place and times stay, and nothing that a person wrote.
func TestErase(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before, err := event.New(event.Header{
		Tenant: "acme", Source: "app", SourceKind: "pollqr", Type: event.TypeResponseCompleted, SurveyID: "s1", ResponseID: "r-jo",
		OrigType: "done", OrigID: "jo-1", Time: now, Received: now.Add(time.Second), DedupeKey: "jo@example.com", Verified: "token",
	}, &event.Data{
		Respondent: event.Respondent{Email: "jo@example.com", Name: "Jo Miller", Phone: "+905551112233"},
		Response:   event.Response{Feedback: "slow"},
	}, event.Raw{Body: []byte(`{"email":"jo@example.com"}`)})
	if err != nil {
		t.Fatal(err)
	}
	at := now.Add(time.Hour)
	erased, err := event.Erase(before, at)
	if err != nil {
		t.Fatal(err)
	}
	read, err := event.Decode(erased.Envelope(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, e := range map[string]*event.Event{"made": erased, "read": read} {
		if !e.IsErased() || !e.Erased.Equal(at) || e.ID != before.ID || e.Tenant != "acme" || e.Source != "app" || e.Type != before.Type ||
			e.SurveyID != "s1" || !e.Time.Equal(before.Time) || !e.Received.Equal(before.Received) || e.Verified != "token" {
			t.Errorf("%s: %+v", what, e.Header)
		}
		for _, word := range []string{"jo", "Jo", "Miller", "555", "slow", "done"} {
			if bytes.Contains(e.EnvelopeWithRaw(), []byte(word)) {
				t.Errorf("%s: %q is left in %s", what, word, e.EnvelopeWithRaw())
			}
		}
		if email, phone, external := e.Person(); email+phone+external != "" || e.ResponseKey() != "" {
			t.Errorf("%s: it still has a person or a response", what)
		}
	}
	if before.IsErased() || !bytes.Contains(before.Envelope(), []byte("Miller")) {
		t.Error("the event before was changed")
	}
}
