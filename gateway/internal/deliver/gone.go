package deliver

import (
	"context"
	"errors"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// absence finds out whether what a plan lacks is really deleted, or whether this replica is behind: another one may have a newer
// base, and the store a document that is not compiled here yet. It asks each question once and is used for one round.
type absence struct {
	ctx  context.Context
	loop *Loop
	plan *decide.Plan

	newest  *bool // nil: not asked yet
	pending map[tenantDocument]bool
}

type tenantDocument struct{ tenant, name string }

func (l *Loop) absence(ctx context.Context, plan *decide.Plan) *absence {
	return &absence{ctx: ctx, loop: l, plan: plan, pending: map[tenantDocument]bool{}}
}

// hasNewestBase reports whether no other replica has a newer base.
func (a *absence) hasNewestBase() bool {
	if a.newest == nil {
		newest := a.loop.Newest == nil || a.loop.Newest(a.ctx)
		a.newest = &newest
	}
	return *a.newest
}

// isGone reports whether the step of a delivery is deleted, which the plan lacks.
func (a *absence) isGone(d *state.Delivery) bool {
	if !a.hasNewestBase() {
		return false
	}
	for _, name := range a.plan.Missing(d.Tenant, d.Origin, d.Step) {
		key := tenantDocument{d.Tenant, name}
		pending, asked := a.pending[key]
		if !asked {
			pending = a.isPending(key)
			a.pending[key] = pending
		}
		if pending {
			return false
		}
	}
	return true
}

// isPending reports whether the store has, or may have, a version of a document that the plan was not made with.
func (a *absence) isPending(of tenantDocument) bool {
	stored, err := a.loop.Store.Get(a.ctx, of.tenant, state.KindDocument, of.name)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return false
	case err != nil:
		if a.ctx.Err() == nil {
			a.loop.Log.Warn("cannot find out whether a document has a missing step", "tenant", of.tenant, "document", of.name, "err", err)
		}
		return true
	}
	return a.plan.DocumentVersion(of.tenant, of.name) < stored.Version
}
