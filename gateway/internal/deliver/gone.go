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

	newest    *bool // nil: not asked yet
	documents map[tenantOrigin]bool
}

type tenantOrigin struct {
	tenant string
	origin state.Origin
}

func (l *Loop) absence(ctx context.Context, plan *decide.Plan) *absence {
	return &absence{ctx: ctx, loop: l, plan: plan, documents: map[tenantOrigin]bool{}}
}

// hasNewestBase reports whether no other replica has a newer base.
func (a *absence) hasNewestBase() bool {
	if a.newest == nil {
		newest := a.loop.Newest == nil || a.loop.Newest(a.ctx)
		a.newest = &newest
	}
	return *a.newest
}

// isGone reports whether a step of a tenant's rule, webhook or tested destination is deleted that the plan lacks.
func (a *absence) isGone(tenant string, origin state.Origin) bool {
	if !a.hasNewestBase() {
		return false
	}
	key := tenantOrigin{tenant, origin}
	pending, asked := a.documents[key]
	if !asked {
		pending = a.hasPending(tenant, origin)
		a.documents[key] = pending
	}
	return !pending
}

// hasPending reports whether the store has, or may have, a document that may define the step and that the plan was not made
// with.
func (a *absence) hasPending(tenant string, origin state.Origin) bool {
	for _, name := range decide.DocumentsOf(origin) {
		stored, err := a.loop.Store.Get(a.ctx, tenant, state.KindDocument, name)
		switch {
		case errors.Is(err, state.ErrNotFound):
		case err != nil:
			if a.ctx.Err() == nil {
				a.loop.Log.Warn("cannot find out whether a document has a missing step", "tenant", tenant, "document", name, "err", err)
			}
			return true
		case a.plan.DocumentVersion(tenant, name) < stored.Version:
			return true
		}
	}
	return false
}
