package run

import (
	"context"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// countGone bounds how many waiting deliveries are looked at for a step that is gone, so that a reload stays quick.
	countGone = 1000
	// countGoneFor bounds how long all that counting takes.
	countGoneFor = 5 * time.Second
)

// ownedStep is a step as one tenant has it.
type ownedStep struct {
	tenant, name string
	origin       state.Origin
}

// stepsOf are the steps of a configuration, with their destinations.
func stepsOf(p *decide.Plan) map[ownedStep]string {
	all := map[ownedStep]string{}
	for _, r := range p.Config.Rules {
		for _, s := range r.Steps {
			for tenant := range s.Build {
				all[ownedStep{tenant, s.Name, decide.OriginOf(r)}] = s.Destination
			}
		}
	}
	return all
}

// warnOfGone says how many deliveries wait for steps that a reload took away: they become dead letters if these do not come back.
func (g *running) warnOfGone(ctx context.Context, before, now *decide.Plan) {
	ctx, cancel := context.WithTimeout(ctx, countGoneFor)
	defer cancel()
	kept := stepsOf(now)
	for s, destination := range stepsOf(before) {
		if _, ok := kept[s]; ok {
			continue
		}
		n, more, err := g.waitingFor(ctx, s, destination)
		switch {
		case err != nil:
			g.log.Warn("cannot count what waits for a step that is gone", "tenant", s.tenant, "rule", s.origin.Name, "step", s.name, "err", err)
		case n > 0:
			g.log.Warn("deliveries wait for a step that is gone: it has an hour to come back from when they are due, then they are dead letters, which `dead replay` sends once it is back",
				"tenant", s.tenant, "rule", s.origin.Name, "step", s.name, "destination", destination, "count", n, "more", more)
		}
	}
}

// waitingFor counts what waits for a step, and says whether there may be more.
func (g *running) waitingFor(ctx context.Context, s ownedStep, destination string) (n int, more bool, err error) {
	q := state.DeliveryQuery{State: state.Waiting, Destination: destination, Rule: s.origin.Name, Limit: 200}
	for seen := 0; seen < countGone; {
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
