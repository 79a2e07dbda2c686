package run

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// shrinking is a store whose memory changes. It notes the bounds that it is trimmed to.
type shrinking struct {
	state.Store
	shares state.Shares
	got    state.Retention
}

func (s *shrinking) Shares(context.Context) (state.Shares, error) { return s.shares, nil }

func (s *shrinking) Trim(_ context.Context, r state.Retention) (*state.Trimmed, error) {
	s.got = r
	return &state.Trimmed{}, nil
}

// When the store gets less memory, its default bound on what waits goes down within an hour, and up at once; a configured one
// stays.
func TestWaitingBoundIsLoweredSlowly(t *testing.T) {
	t.Parallel()
	store, manual := &shrinking{}, clock.NewManual(time.Unix(1e9, 0))
	g := &gateway{store: store, clock: manual, log: slog.New(slog.DiscardHandler)}
	use := func(waiting int64) {
		g.plan.plan.Store(decide.New(&config.Config{Retention: state.Retention{Waiting: state.WaitingBound{Bytes: waiting}}}))
	}
	step := func(after time.Duration, share, want int64) {
		t.Helper()
		manual.Advance(after)
		store.shares = state.Shares{Events: share, Dedupe: share, Waiting: share}
		if _, err := g.trimOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := store.got; got.Waiting.Bytes != want || got.Events.Bytes != share || got.Dedupe.Bytes != share {
			t.Errorf("of %d: %+v, want %d", share, got, want)
		}
	}
	use(0)
	step(0, 6000, 6000)
	step(time.Hour, 6000, 6000)
	step(time.Minute, 1500, 6000)
	for range 3 { // however often it is asked
		step(5*time.Minute, 1500, store.got.Waiting.Bytes-500)
	}
	step(30*time.Minute, 1500, 1500)
	step(time.Minute, 1500, 1500)
	step(time.Minute, 9000, 9000)
	step(0, 3000, 9000)
	step(20*time.Minute, 3000, 6000)
	step(0, 7000, 7000) // it got some back
	step(0, 3000, 7000)
	step(2*time.Hour, 3000, 3000)
	use(100)
	step(0, 1, 100)
}
