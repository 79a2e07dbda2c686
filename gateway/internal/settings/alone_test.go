package settings

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// leases counts what a writer asks of its lease, and fails it from then on when it is told to.
type leases struct {
	state.Settings
	asked chan time.Duration
	fail  error
}

func (l *leases) Lease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	if l.asked != nil {
		l.asked <- ttl
	}
	if l.fail != nil && ttl > 0 {
		return 0, l.fail
	}
	return l.Settings.Lease(ctx, name, holder, ttl)
}

// TestWriterRenewsItsLease: a writer that takes longer than its lease keeps others away; one that lost it is ended.
func TestWriterRenewsItsLease(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))
	l := &leases{Settings: local(t), asked: make(chan time.Duration, 8)}
	w := Writer{Store: l, Clock: manual}
	err := w.Alone(t.Context(), "acme", func(ctx context.Context) error {
		<-l.asked // its beginning
		for range 8 {
			<-manual.Set()
			manual.Advance(renewEvery)
			if ttl := <-l.asked; ttl != leaseFor {
				t.Errorf("renewed for %s", ttl)
			}
		}
		if err := ctx.Err(); err != nil {
			t.Errorf("after twice the time of its lease: %v", err)
		}
		<-manual.Set() // the renewal before has ended
		l.fail = state.ErrConflict
		manual.Advance(renewEvery)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
