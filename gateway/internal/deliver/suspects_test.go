package deliver

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// suspecting is a store that has suspects: it gives the next one when the one before is committed or released.
type suspecting struct {
	state.Store
	mu       sync.Mutex
	suspects []state.Claimed
	held     string
	given    []string
}

func (s *suspecting) ClaimSuspect(context.Context) (*state.Claimed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != "" || len(s.suspects) == 0 {
		return nil, nil
	}
	c := s.suspects[0]
	s.suspects = s.suspects[1:]
	s.held = c.Event.ID
	s.given = append(s.given, c.Event.ID)
	return &c, nil
}

func (s *suspecting) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	done, err := s.Store.Commit(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && slices.ContainsFunc(c.Events, func(o state.Outcome) bool { return o.EventID == s.held }) {
		s.held = ""
	}
	return done, err
}

// Suspects are delivered one after the other and delay no healthy event. One that was claimed alone five times is a dead
// letter without being looked at.
func TestSuspectsBesideHealthyEvents(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm")), nil)
	answered := make(chan struct{})
	var store *suspecting
	b.wrap = func(s state.Store) state.Store { store = &suspecting{Store: s}; return store }
	b.make()
	ids := b.accept(3)
	claimed, err := b.store.Claim(t.Context(), 3, 0)
	if err != nil || len(claimed) != 3 {
		t.Fatalf("claimed %d, %v", len(claimed), err)
	}
	store.suspects = claimed
	for i, n := range []int{3, 7, 8} {
		claimed[i].Claims = n
	}
	first := claimed[0].Event.OrigID
	b.world.send = func(_ context.Context, s seen, _ outbound.Attempt) outbound.Result {
		if s.event == first {
			<-answered
		}
		return ok()
	}
	b.run()
	for _, id := range b.accept(50) {
		b.untilState(id, "crm", state.Delivered) // while the first suspect has no answer
	}
	close(answered)
	for _, id := range ids[:2] {
		b.untilState(id, "crm", state.Delivered)
	}
	b.until("the third is a dead letter", func() bool {
		r, err := b.store.Event(t.Context(), "default", ids[2])
		return err == nil && r.Outcome != nil && r.Outcome.Dead == "claimed 7 times without a commit, 5 of them alone"
	})
	if n := b.world.count(func(s seen) bool { return s.event == claimed[2].Event.OrigID }); n != 0 {
		t.Errorf("the dead one was sent %d times", n)
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	if !slices.Equal(store.given, ids) {
		t.Errorf("given %v", store.given)
	}
}
