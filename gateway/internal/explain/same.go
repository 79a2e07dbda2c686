package explain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// SameEvent returns the other stored events that are the same event with another proof, best proof first.
func SameEvent(ctx context.Context, store state.Reader, ev *event.Event) ([]view.SameEvent, error) {
	if ev.IsErased() {
		return nil, nil // its dedupe key is gone
	}
	var all []view.SameEvent
	for _, side := range []struct {
		proof string
		ids   []string
	}{{"better", ev.StrongerIDs()}, {"weaker", ev.WeakerIDs()}} {
		for _, id := range side.ids {
			record, err := store.Event(ctx, ev.Tenant, id)
			if errors.Is(err, state.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("find the same event with another proof: %w", err)
			}
			all = append(all, view.SameEvent{ID: id, Verified: record.Event.Verified, Received: record.Event.Received, Proof: side.proof})
		}
	}
	return all, nil
}

// sameSentence describes what happened, from the point of view of an event that was received at a time.
func sameSentence(s *view.SameEvent, received time.Time, when func(time.Time) string) string {
	order := "before"
	if s.Received.After(received) {
		order = "later"
	}
	return fmt.Sprintf("the same event came %s with a %s proof: %s, received %s, verified by %s",
		order, s.Proof, s.ID, when(s.Received), verifier(s.Verified))
}

// verifier returns who proved an event.
func verifier(verified string) string {
	switch verified {
	case "":
		return "nothing"
	case event.VerifiedAPI:
		return "a token of the API, not by its source"
	}
	return verified
}
