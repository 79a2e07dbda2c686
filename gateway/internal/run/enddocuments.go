package run

import (
	"context"

	"github.com/surveygate/surveygate/gateway/internal/settings"
)

// newLeaving returns what ends the deliveries that wait for deleted destinations.
func (g *gateway) newLeaving() *settings.Leaving {
	return &settings.Leaving{
		Store: g.store, Clock: g.clock, Log: g.traffic, HoldsChanged: g.loop.HoldsChanged, Due: g.loop.Wake,
		HasDestination: func(tenant, name string) bool { return g.plan.Load().Destination(tenant, name) != nil },
	}
}

// endDocuments ends the secrets whose time is over, and what waits for deleted destinations. Every replica does, and each step is done
// once, whoever does it.
func (g *gateway) endDocuments(ctx context.Context) {
	for again := true; again; again = g.sleep(ctx, g.options.lookEvery) { // at once: what ended while no gateway ran has ended
		if err := g.leaving.End(ctx); err != nil && ctx.Err() == nil {
			g.traffic.Warn("cannot end what waits for deleted destinations; trying again", "err", err)
		}
		if err := g.book.EndSecrets(ctx); err != nil && ctx.Err() == nil {
			g.traffic.Warn("cannot end secrets of webhooks whose time is over; trying again", "err", err)
		}
	}
}
