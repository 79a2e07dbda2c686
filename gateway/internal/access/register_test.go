package access

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// swept counts how often it is asked what changed last. Its messages are what a test sends.
type swept struct {
	state.Store
	changes chan state.Change
	asked   atomic.Int32
	// slow is how long each question takes.
	slow  time.Duration
	clock *clock.Manual
}

func (s *swept) Watch(context.Context, string) (<-chan state.Change, error) { return s.changes, nil }

func (s *swept) LastChanges(context.Context, string) ([]state.LastChange, error) {
	s.asked.Add(1)
	s.clock.Advance(s.slow)
	return nil, nil
}

func sweeping(t *testing.T, slow time.Duration) *swept {
	t.Helper()
	s := &swept{changes: make(chan state.Change), clock: clock.NewManual(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)), slow: slow}
	tokens := NewTokens(s, s.clock, slog.New(slog.DiscardHandler))
	r := &Register{Tokens: tokens, Tenants: NewTenants(TenantsOptions{Store: s}), Store: s, Clock: s.clock, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// Messages that are about something else do not delay the look for changes, however many there are.
func TestRegisterIsCurrentUnderLoad(t *testing.T) {
	t.Parallel()
	s := sweeping(t, 0)
	other := state.Change{Tenant: "acme", Kind: state.KindDocument, Name: "rule/a"}
	for range 10 { // one second
		s.changes <- other
		s.clock.Advance(100 * time.Millisecond)
		s.changes <- other
	}
	s.changes <- other
	if n := s.asked.Load() / 2; n < 3 { // of tokens and of tenants
		t.Errorf("%d sweeps in a second, want at least 3", n)
	}
}

// A change that is announced while it rests after a slow sweep is looked for when the rest ends.
func TestRegisterRests(t *testing.T) {
	t.Parallel()
	s := sweeping(t, 50*time.Millisecond) // a sweep takes 100 ms
	ours := state.Change{Tenant: ofGateway, Kind: KindTenant, Name: "acme"}
	s.changes <- ours
	s.changes <- ours // it has swept
	if n := s.asked.Load(); n != 2 {
		t.Fatalf("it asked %d times", n)
	}
	s.clock.Advance(restAfter*100*time.Millisecond - time.Millisecond)
	s.changes <- ours
	s.changes <- ours
	if n := s.asked.Load(); n != 2 {
		t.Errorf("it asked %d times while it rests", n)
	}
	s.clock.Advance(time.Millisecond)
	s.changes <- ours
	s.changes <- ours
	if n := s.asked.Load(); n != 4 {
		t.Errorf("it asked %d times after its rest", n)
	}
}
