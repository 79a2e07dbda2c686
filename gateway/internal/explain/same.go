package explain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Same is the same event as it came with another proof: one that its source proves is accepted although a weaker one of
// its dedupe key came before.
type Same struct {
	ID       string    `json:"id"`
	Verified string    `json:"verified"`
	Received time.Time `json:"received"`
	// Proof is `better` or `weaker` than that of the event that was asked for.
	Proof string `json:"proof"`
}

// SameEvent finds the others of an event, best proved first, among those that are kept.
func SameEvent(ctx context.Context, store state.Reader, ev *event.Event) ([]Same, error) {
	var all []Same
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
			all = append(all, Same{id, record.Event.Verified, record.Event.Received, side.proof})
		}
	}
	return all, nil
}

// sentence says what happened, seen from an event that was received at a time.
func (s *Same) sentence(received time.Time, when func(time.Time) string) string {
	order := "before"
	if s.Received.After(received) {
		order = "later"
	}
	return fmt.Sprintf("the same event came %s with a %s proof: %s, received %s, verified by %s",
		order, s.Proof, s.ID, when(s.Received), verifier(s.Verified))
}

// verifier says who proved an event.
func verifier(verified string) string {
	switch verified {
	case "":
		return "nothing"
	case event.VerifiedAPI:
		return "a token of the API, not by its source"
	}
	return verified
}
