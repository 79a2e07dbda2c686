package run

import (
	"context"
	"errors"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// refillUntilDone writes what the gateway itself keeps into a store that was emptied. It tries again while the store fails.
func (g *gateway) refillUntilDone(ctx context.Context) {
	for {
		err := g.refill(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		g.log.Warn("cannot write into the emptied store what the gateway keeps there; trying again", "err", err)
		if !g.sleep(ctx, g.options.lookEvery) {
			return
		}
	}
}

// refill stores the running configuration, so that decisions can be explained; the key of fingerprints, so that credentials
// compare with those that were refused; the mark of the vault's key; and the names of the sources. The first token cannot be stored again, as only its
// hash is known: one replica makes a new one, all of them accept it, and it is shown.
func (g *gateway) refill(ctx context.Context) error {
	c := g.plan.Load().Config
	if _, err := g.store.Put(ctx, systemTenant, kindGeneration, c.Generation, c.Kept, 0); err != nil && !errors.Is(err, state.ErrConflict) {
		return err
	}
	if _, err := fingerprintKey(ctx, g.store, g.key); err != nil {
		return err
	}
	if g.vault.HasKey() {
		if err := g.vault.Prove(ctx); err != nil {
			return err
		}
	}
	if err := g.web.Remember(ctx); err != nil {
		return err
	}
	if g.firstToken == nil {
		return nil
	}
	first, err := access.OpenFirst(ctx, g.store)
	if err != nil {
		return err
	}
	g.firstToken = first.Replacing(g.firstToken)
	if err := g.access.Load(c.Tokens, g.firstToken); err != nil {
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
