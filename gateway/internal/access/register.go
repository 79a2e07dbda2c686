package access

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// sweepEvery is how often the store is asked whether tokens or tenants changed: one small read of each. A message of the store
	// makes it ask at once; without one, a change is known after this time.
	sweepEvery = 250 * time.Millisecond
	// restAfter is how long it does not ask after a sweep, as a multiple of the time that the sweep took.
	restAfter = 3
)

// Register keeps the tokens and tenants of the store in memory. All fields are required.
type Register struct {
	Tokens  *Tokens
	Tenants *Tenants
	Store   state.Settings
	Clock   clock.Clock
	Log     *slog.Logger
}

// Load reads everything that changed. Call it before the first request, and after the store was emptied.
func (r *Register) Load(ctx context.Context) error {
	return errors.Join(r.Tokens.all.sweep(ctx), r.Tenants.records.sweep(ctx))
}

// Run keeps the register current until ctx ends, and writes down which tokens are used.
func (r *Register) Run(ctx context.Context) {
	changes, err := r.Store.Watch(ctx, ofGateway)
	if err != nil {
		r.Log.Warn("cannot watch the tokens and tenants in the store: changes are noticed a little later", "err", err)
	}
	failing := false
	var rest time.Duration // until when it does not sweep
	for {
		after, stop := r.Clock.After(sweepEvery)
		due := r.wait(ctx, &changes, after)
		stop()
		if ctx.Err() != nil {
			return
		}
		began := r.Clock.Elapsed()
		if !due || began < rest {
			continue
		}
		err := r.Load(ctx)
		now := r.Clock.Elapsed()
		rest = now + restAfter*(now-began)
		if (err != nil) != failing && ctx.Err() == nil {
			if failing = err != nil; failing {
				r.Log.Warn("cannot read the tokens and tenants in the store: those that are known stay in use", "err", err)
			}
		}
	}
}

// wait waits until a sweep may be due.
func (r *Register) wait(ctx context.Context, changes *<-chan state.Change, after <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-after:
		return true
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
