package run

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// trimmedStore answers Trim with what a test lists.
type trimmedStore struct {
	state.Store
	answers []state.Trimmed
	calls   int
}

func (s *trimmedStore) Shares(context.Context) (state.Shares, error) { return state.Shares{}, nil }

func (s *trimmedStore) Trim(context.Context, state.Retention) (*state.Trimmed, error) {
	if s.calls++; s.calls > len(s.answers) {
		return &state.Trimmed{}, errors.New("no further call is expected")
	}
	return &s.answers[s.calls-1], nil
}

// A round of retention ends when a call has looked at everything: neither at one that removed nothing of its part, nor only at
// one that removed nothing at all. Between two calls is a pause.
func TestRetentionCompletesItsRound(t *testing.T) {
	t.Parallel()
	more := func(n int) state.Trimmed { return state.Trimmed{Events: n, More: true} }
	store := &trimmedStore{answers: []state.Trimmed{more(0), more(7), more(0), more(0), {Events: 3}}}
	c := clock.NewManual(time.Now())
	g := &gateway{store: store, clock: c, log: slog.New(slog.DiscardHandler)}
	g.plan.plan.Store(decide.New(&config.Config{}))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.trimRound(t.Context())
	}()
	for pauses := 0; ; {
		select {
		case <-c.Set():
			pauses++
			c.Advance(trimPause)
		case <-ended:
			if pauses != len(store.answers)-1 || store.calls != len(store.answers) {
				t.Errorf("%d calls with %d pauses, want %d calls and a pause between them", store.calls, pauses, len(store.answers))
			}
			return
		}
	}
}
