package run

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// openVault makes the vault and checks that it has every key that the store needs. What was sealed with a key that the operator
// calls lost is deleted. It may be called again after a failure.
func (g *gateway) openVault(ctx context.Context, c *config.Config) error {
	called := slices.Clone(g.options.LostKeys)
	for {
		err := g.proveVault(ctx, c)
		lost, ok := errors.AsType[*vault.LostKeyError](err)
		if !ok || !slices.Contains(called, lost.ID) {
			if err == nil && len(called) > 0 {
				g.log.Warn("the store does not miss a key that is called lost: nothing was deleted", "key", strings.Join(called, ", "))
			}
			return err
		}
		called = slices.DeleteFunc(called, func(id string) bool { return id == lost.ID })
		deleted, err := vault.Forget(ctx, g.store, c.Keys, lost.ID)
		if err != nil {
			return err
		}
		g.log.Warn("what was sealed with a lost key is deleted", "key", lost.ID, "count", deleted)
	}
}

func (g *gateway) proveVault(ctx context.Context, c *config.Config) error {
	keys, err := c.Keys, error(nil)
	if c.Engine() == config.EngineEmbedded {
		if keys, err = vault.OwnKeys(ctx, g.data, g.store, keys); err != nil {
			return err
		}
	}
	g.vault = vault.New(vault.Options{Keys: keys, Store: g.store})
	if err := g.keyFault(c); err != nil {
		return err
	}
	err = g.vault.Prove(ctx)
	if lost, ok := errors.AsType[*vault.LostKeyError](err); ok && !g.vault.HasKey() && !slices.Contains(g.options.LostKeys, lost.ID) {
		// Only documents of tenants may need the key, and stand alone: keyFault refuses files that do.
		g.keyWarning = "secrets in the store cannot be opened: no connection of the files needs them now, and documents of tenants that have some are broken: " + err.Error()
		return nil
	}
	return err
}

// keyFault returns why a configuration that stores fetched tokens cannot be used: the vault has no key.
func (g *gateway) keyFault(c *config.Config) error {
	if g.vault.HasKey() {
		return nil
	}
	if fault := c.MissingKey(); fault != nil {
		return document.Faults{*fault}
	}
	if fetching := c.Fetching(); len(fetching) > 0 {
		return fmt.Errorf("the gateway fetches tokens for `%s`, and the key to seal them takes effect at the next start: restart", fetching[0].Name)
	}
	return nil
}

// keyProblems warns of a key that is missing, or that others may read.
func (g *gateway) keyProblems() []view.Warning {
	var problems []view.Warning
	if g.keyWarning != "" { // it says whose secrets those are
		problems = append(problems, view.Warning{Text: g.keyWarning, Hidden: "keys of secrets in the store that are missing"})
	}
	if path := filepath.Join(g.data, vault.KeyFile); isShown(path) {
		problems = append(problems, view.Public(fmt.Sprintf("users other than the gateway's may read %s, the key of the secrets in the store: run `chmod 600 %s` as the gateway's user", path, path)))
	}
	return problems
}
