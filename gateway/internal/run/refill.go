package run

import (
	"context"

	"github.com/surveygate/surveygate/gateway/internal/access"
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
// compare with those that were refused; the mark of the vault's key; the documents of tenants that are in use; the tokens and
// tenants that are known; and the names of the sources. The first token cannot be stored again, as only its hash is known: one replica makes a new one, all of them accept
// it, and it is shown.
func (g *gateway) refill(ctx context.Context) error {
	c := g.plan.Load().Config
	if err := g.refreshGenerations(ctx); err != nil {
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
	if err := g.restoreDocuments(ctx); err != nil {
		return err
	}
	// Behind the documents, with which the store gets a new identity.
	if err := g.register.Load(ctx); err != nil {
		return err
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

// restoreDocuments writes the documents of tenants that are in use into the store, which lost them.
func (g *gateway) restoreDocuments(ctx context.Context) error {
	restored, err := g.settings.Restore(ctx)
	if restored.Documents > 0 {
		g.log.Error("the emptied store lost the documents of tenants: those in use stay in use, and were written back; changes that were not in use here yet are lost",
			"count", restored.Documents, "tenants", restored.Tenants)
	}
	return err
}
