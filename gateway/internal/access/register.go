package access

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// sweepEvery is how often the store is asked whether tokens or tenants changed: one small read of each. A message of the store
	// makes it ask at once; without one, a change is known after this time.
	sweepEvery = 250 * time.Millisecond
	// restAfter is how long it does not ask after a sweep, as a multiple of the time that the sweep took, up to restMost. So a change
	// is known after restMost and the time of a sweep, whatever the load.
	restAfter = 3
	restMost  = 400 * time.Millisecond
)

// Register keeps the tokens and tenants of the store in memory. The exported fields are required.
type Register struct {
	Tokens  *Tokens
	Tenants *Tenants
	Store   state.Settings
	Clock   clock.Clock
	Log     *slog.Logger

	wentBack atomic.Pointer[time.Time] // when the store was last found in an older state
}

// Load reads everything that changed. Call it before the first request, and after the store was emptied.
func (r *Register) Load(ctx context.Context) error {
	err := errors.Join(r.Tokens.all.sweep(ctx), r.Tenants.records.sweep(ctx))
	if tokens, tenants := r.Tokens.all.takeMended(), r.Tenants.records.takeMended(); tokens+tenants > 0 {
		now := r.Clock.Now()
		r.wentBack.Store(&now)
		r.Log.Error("the store has an older state than before, such as after a failover that lost the last writes: tokens and tenants that were "+
			"deleted stay deleted, and those that it lost are written back; it has events, deliveries and documents as they were", "tokens", tokens, "tenants", tenants)
	}
	return err
}

// WentBack returns when the store was last found in an older state than before; zero: never.
func (r *Register) WentBack() time.Time {
	if at := r.wentBack.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Run keeps the register current until ctx ends, and writes down which tokens are used.
func (r *Register) Run(ctx context.Context) {
	changes, err := r.Store.Watch(ctx, ofGateway)
	if err != nil {
		r.Log.Warn("cannot watch the tokens and tenants in the store: changes are noticed a little later", "err", err)
	}
	failing := false
	var rested time.Duration // until when it rests
	next := r.Clock.Elapsed() + sweepEvery
	for ctx.Err() == nil {
		now := r.Clock.Elapsed()
		if now < next {
			after, stop := r.Clock.After(next - now)
			if r.wait(ctx, &changes, after) {
				next = min(next, max(r.Clock.Elapsed(), rested))
			}
			stop()
			continue
		}
		err := r.Load(ctx)
		done := r.Clock.Elapsed()
		rested = done + min(restAfter*(done-now), restMost)
		next = max(done+sweepEvery, rested)
		if (err != nil) != failing && ctx.Err() == nil {
			if failing = err != nil; failing {
				r.Log.Warn("cannot read the tokens and tenants in the store: those that are known stay in use", "err", err)
			}
		}
	}
}

// wait waits for what comes first. It reports whether a message says that a token or a tenant changed.
func (r *Register) wait(ctx context.Context, changes *<-chan state.Change, after <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-after:
		return false
	case token := <-r.Tokens.used:
		r.Tokens.writeUsed(ctx, token)
		return false
	case c, ok := <-*changes:
		if !ok {
			*changes = nil // the store is closed
			return false
		}
		return c.Tenant == ofGateway && (c.Kind == settingKind || c.Kind == KindTenant)
	}
}
