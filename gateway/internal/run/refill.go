package run

import (
	"context"
	"errors"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// refillUntilDone puts what the gateway itself keeps into a store that was emptied. Where the store fails, it is tried
// again.
func (g *running) refillUntilDone(ctx context.Context) {
	for {
		err := g.refill(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		g.log.Warn("cannot put into the emptied store what the gateway keeps there, it is tried again", "err", err)
		if !g.pause(ctx, lookEvery) {
			return
		}
	}
}

// refill keeps the running configuration, so that decisions can be explained, the key of fingerprints, so that pauses for
// refused credentials compare, and what readiness remembers of sources. The first token cannot be kept again, as only its
// hash is known: one replica makes another, all of them take it, and it is said.
func (g *running) refill(ctx context.Context) error {
	c := g.plan.Load().Config
	if _, err := g.store.Put(ctx, systemTenant, kindGeneration, c.Generation, c.Kept, 0); err != nil && !errors.Is(err, state.ErrConflict) {
		return err
	}
	if _, err := fingerprintKey(ctx, g.store, g.key); err != nil {
		return err
	}
	if err := g.web.Remember(ctx); err != nil {
		return err
	}
	if g.first == nil {
		return nil
	}
	first, err := access.OpenFirst(ctx, g.store)
	if err != nil {
		return err
	}
	g.first = first.Replacing(g.first)
	if err := g.access.Load(c.Tokens, g.first); err != nil {
		return err
	}
	if first.Text != "" && len(c.Tokens) == 0 {
		g.log.Warn("the emptied store lost the first start's token: another one was made and is shown now; the former is accepted until each replica stops")
		if g.options.Token != nil {
			g.options.Token(g.data, first.Text)
		}
	}
	return nil
}
