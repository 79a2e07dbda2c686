package run

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// forgetEvery is how often removed destinations are looked for.
	forgetEvery = time.Hour
	// removedFor is how long a destination must be missing from the running configuration before it is forgotten: one that was
	// removed by mistake keeps its hold for that long.
	removedFor = 24 * time.Hour
)

// tenantDestination is a destination of a tenant.
type tenantDestination struct{ tenant, name string }

// removals are destinations on hold that are in no configuration, by when this process saw that first. Retention forgets every
// other destination that nothing is left of.
type removals map[tenantDestination]time.Time

// forget forgets removed destinations, once an hour.
func (g *gateway) forget(ctx context.Context) {
	seen := removals{}
	for g.sleep(ctx, forgetEvery) {
		if err := g.forgetOnce(ctx, seen); err != nil && ctx.Err() == nil {
			g.log.Warn("cannot forget removed destinations", "err", err)
		}
	}
}

// forgetOnce forgets the destinations on hold that have been removed for removedFor, and that nothing was owed to for as long
// as history is kept.
func (g *gateway) forgetOnce(ctx context.Context, seen removals) error {
	if g.newest != nil && !g.isNewest(ctx) {
		return nil // another replica runs a newer configuration, which may have them
	}
	holds, err := g.store.Holds(ctx, systemTenant)
	if err != nil {
		return err
	}
	plan, now := g.plan.Load(), g.clock.Now()
	unused := now.Add(-plan.Config.Retention.History.Age)
	absent := removals{}
	var errs []error // what cannot be forgotten keeps no other from it
	for _, h := range holds {
		d := tenantDestination{h.Tenant, h.Destination}
		if h.Waiting > 0 || h.Hold.Since.After(unused) || plan.Destination(d.tenant, d.name) != nil {
			continue
		}
		// What a document defines may not be in the plan yet, after a write or a start.
		switch defined, err := g.isDefinedByDocument(ctx, d); {
		case state.StopsAll(err):
			return err
		case err != nil:
			errs = append(errs, err)
			continue
		case defined:
			continue
		}
		since, ok := seen[d]
		if !ok {
			since = now
		}
		absent[d] = since
		if now.Sub(since) < removedFor {
			continue
		}
		forgotten, err := g.store.Forget(ctx, d.tenant, d.name, &h.Hold)
		switch {
		case errors.Is(err, state.ErrConflict): // something is owed to it again, or it has another hold
			delete(absent, d)
		case state.StopsAll(err):
			return err
		case err != nil:
			errs = append(errs, err)
		case forgotten:
			delete(absent, d)
			g.log.Info("a removed destination is forgotten, with its hold", "tenant", d.tenant, "destination", d.name, "status", h.Hold.Kind, "since", h.Hold.Since)
		}
	}
	clear(seen)
	maps.Copy(seen, absent)
	return errors.Join(errs...)
}

// isDefinedByDocument reports whether the store has a document that defines a destination.
func (g *gateway) isDefinedByDocument(ctx context.Context, d tenantDestination) (bool, error) {
	for _, name := range decide.DocumentsOf(state.Origin{Kind: state.Test, Name: d.name}) {
		_, err := g.store.Get(ctx, d.tenant, state.KindDocument, name)
		if !errors.Is(err, state.ErrNotFound) {
			return err == nil, err
		}
	}
	return false, nil
}
