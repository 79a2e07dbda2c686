package run

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// maxCounted bounds how many waiting deliveries are read for one removed step.
	maxCounted = 1000
	// countTimeout bounds the counting for one removed step.
	countTimeout = 5 * time.Second
	// maxUncounted bounds the removed steps in memory that are not counted yet.
	maxUncounted = 10_000
	// maxStanding is how many destinations are looked at with one read.
	maxStanding = 500
)

// tenantStep is a step as one tenant has it.
type tenantStep struct {
	tenant, name string
	origin       state.Origin
}

// removedStep is a step with the destination that it had.
type removedStep struct {
	tenantStep
	destination string
}

// removedSteps are steps that changes removed, and for which the log does not say yet how many deliveries wait for them. Counting
// reads the store, so one worker does it: neither a reload nor the change of another tenant waits for it.
type removedSteps struct {
	mu      sync.Mutex
	steps   map[tenantStep]string // to their destinations
	dropped int                   // steps beyond maxUncounted

	wake chan struct{} // receives after add
}

func newRemovedSteps() *removedSteps {
	return &removedSteps{steps: map[tenantStep]string{}, wake: make(chan struct{}, 1)}
}

// add adds the steps that a change of these tenants removed, or of all tenants if none is given.
func (r *removedSteps) add(before, now *decide.Plan, tenants ...string) {
	changed := slices.Values(tenants)
	if len(tenants) == 0 {
		changed = before.Tenants()
	}
	r.mu.Lock()
	for step, destination := range removedBetween(before, now, changed) {
		if len(r.steps) >= maxUncounted {
			r.dropped++
			continue
		}
		r.steps[step] = destination
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take removes and returns all steps, and how many were dropped.
func (r *removedSteps) take() (steps map[tenantStep]string, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	steps, dropped = r.steps, r.dropped
	r.steps, r.dropped = map[tenantStep]string{}, 0
	return steps, dropped
}

// removedBetween yields the steps that tenants had before and lack now, with their destinations.
func removedBetween(before, now *decide.Plan, tenants iter.Seq[string]) iter.Seq2[tenantStep, string] {
	return func(yield func(tenantStep, string) bool) {
		for tenant := range tenants {
			for _, r := range before.Rules(tenant) {
				origin := decide.OriginOf(r)
				for _, s := range r.Steps {
					step := tenantStep{tenant, s.Name, origin}
					if _, _, had := before.Target(tenant, s); had && step.isRemovedFrom(now) && !yield(step, s.Destination) {
						return
					}
				}
			}
		}
	}
}

// isRemovedFrom reports whether a plan lacks the step. A step of a document that is there and has a fault is not removed.
func (s tenantStep) isRemovedFrom(plan *decide.Plan) bool {
	return !plan.HasStep(s.tenant, s.origin, s.name) && !plan.IsBroken(s.tenant, s.origin)
}

// warnOfRemovedSteps logs how many deliveries wait for removed steps: they become dead letters if the steps do not come back.
func (g *gateway) warnOfRemovedSteps(ctx context.Context) {
	for {
		select {
		case <-g.removed.wake:
		case <-ctx.Done():
			return
		}
		steps, dropped := g.removed.take()
		byTenant := map[string][]removedStep{}
		for step, destination := range steps {
			byTenant[step.tenant] = append(byTenant[step.tenant], removedStep{step, destination})
		}
		for tenant, steps := range byTenant {
			for some := range slices.Chunk(steps, maxStanding) {
				g.warnOfWaiting(ctx, tenant, some)
			}
		}
		if dropped > 0 {
			g.log.Warn("many steps were removed at once: the deliveries that wait for some of them are not counted", "count", dropped)
		}
	}
}

// warnOfWaiting is warnOfRemovedSteps for some steps of one tenant. One read finds the destinations that nothing waits for.
func (g *gateway) warnOfWaiting(ctx context.Context, tenant string, steps []removedStep) {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.destination
	}
	reading, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	standing, err := g.store.Standing(reading, tenant, names)
	if err != nil {
		if ctx.Err() == nil {
			g.traffic.Warn("cannot find out whether deliveries wait for removed steps", "tenant", tenant, "steps", len(steps), "err", err)
		}
		return
	}
	for i, s := range steps {
		if standing[i].Waiting > 0 && s.isRemovedFrom(g.plan.Load()) {
			g.warnOfRemovedStep(ctx, s.tenantStep, s.destination)
		}
	}
}

func (g *gateway) warnOfRemovedStep(ctx context.Context, s tenantStep, destination string) {
	counting, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	n, more, err := g.waitingFor(counting, s, destination)
	switch {
	case ctx.Err() != nil: // the gateway stops
	case err != nil:
		g.traffic.Warn("cannot count the deliveries that wait for a removed step", "tenant", s.tenant, "rule", s.origin.Name, "step", s.name, "err", err)
	case n > 0:
		g.log.Warn("deliveries wait for a removed step: if it is not back within an hour after they are due, they become dead letters, which `dead replay` sends once it is back",
			"tenant", s.tenant, "rule", s.origin.Name, "step", s.name, "destination", destination, "count", n, "more", more)
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
