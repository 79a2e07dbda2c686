package run

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// maxCounted bounds how many waiting deliveries are read for one removed step, so that a reload stays quick.
	maxCounted = 1000
	// countTimeout bounds the counting for all removed steps.
	countTimeout = 5 * time.Second
)

// tenantStep is a step as one tenant has it.
type tenantStep struct {
	tenant, name string
	origin       state.Origin
}

// removedSteps maps the steps to their destinations that tenants had before and lack now. A step of a document that is there
// and has a fault is not removed.
func removedSteps(before, now *decide.Plan, tenants iter.Seq[string]) map[tenantStep]string {
	removed := map[tenantStep]string{}
	for tenant := range tenants {
		for _, r := range before.Rules(tenant) {
			origin := decide.OriginOf(r)
			for _, s := range r.Steps {
				_, _, had := before.Target(tenant, s)
				if had && !now.HasStep(tenant, origin, s.Name) && !now.IsBroken(tenant, origin) {
					removed[tenantStep{tenant, s.Name, origin}] = s.Destination
				}
			}
		}
	}
	return removed
}

// warnOfRemovedSteps logs how many deliveries wait for steps that a change of these tenants removed, or of all tenants if none
// is given: they become dead letters if the steps do not come back.
func (g *gateway) warnOfRemovedSteps(ctx context.Context, before, now *decide.Plan, tenants ...string) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	changed := slices.Values(tenants)
	if len(tenants) == 0 {
		changed = before.Tenants()
	}
	for s, destination := range removedSteps(before, now, changed) {
		n, more, err := g.waitingFor(ctx, s, destination)
		switch {
		case err != nil:
			g.log.Warn("cannot count the deliveries that wait for a removed step", "tenant", s.tenant, "rule", s.origin.Name, "step", s.name, "err", err)
		case n > 0:
			g.log.Warn("deliveries wait for a removed step: if it is not back within an hour after they are due, they become dead letters, which `dead replay` sends once it is back",
				"tenant", s.tenant, "rule", s.origin.Name, "step", s.name, "destination", destination, "count", n, "more", more)
		}
	}
}

// waitingFor counts the deliveries that wait for a step. more: there may be others, which were not read.
func (g *gateway) waitingFor(ctx context.Context, s tenantStep, destination string) (n int, more bool, err error) {
	q := state.DeliveryQuery{State: state.Waiting, Destination: destination, Rule: s.origin.Name, Limit: 200}
	for seen := 0; seen < maxCounted; {
		page, err := g.store.Deliveries(ctx, s.tenant, q)
		if err != nil {
			return n, false, err
		}
		for _, d := range page.Items {
			if d.Origin == s.origin && d.Step == s.name {
				n++
			}
		}
		if page.Next == "" {
			return n, false, nil
		}
		seen += max(len(page.Items), 1)
		q.Cursor = page.Next
	}
	return n, true, nil
}
