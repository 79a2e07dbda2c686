package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web"
)

// begin does a step of the start that needs the store. It waits for a Redis that is away for a moment; an error of a disk is
// returned at once.
func (g *gateway) begin(ctx context.Context, c *config.Config, do func() error) error {
	if c.Engine() == config.EngineRedis {
		return g.await(ctx, do)
	}
	return do()
}

// keepOwn reads, or makes, what the gateway itself keeps in the store, and begins to use the configuration. It may be called
// again after a failure.
func (g *gateway) keepOwn(ctx context.Context, c *config.Config) (err error) {
	if len(c.Tokens) == 0 && g.firstToken == nil {
		if g.firstToken, err = access.OpenFirst(ctx, g.store); err != nil {
			return err
		}
	}
	if g.key, err = fingerprintKey(ctx, g.store, nil); err != nil {
		return err
	}
	_, err = g.use(ctx, c)
	return err
}

// use makes a configuration the running one, with the overlays of all tenants over it. On an error nothing changed. It returns the
// plan before.
func (g *gateway) use(ctx context.Context, c *config.Config) (*decide.Plan, error) {
	return g.plan.rebase(c, func(overlays []*config.TenantConfig) error {
		// The generation is stored before anything is decided with it, so that every decision can be explained.
		seen, err := g.stored.keep(ctx, tenantGeneration{systemTenant, c.Generation}, c.Kept)
		if err != nil {
			return err
		}
		if err := g.keepGenerations(ctx, overlays); err != nil {
			return err
		}
		if g.newest != nil && (!seen || g.plan.Load() != nil) {
			if err := g.newest.take(ctx, c.Generation); err != nil {
				return err
			}
		}
		return g.access.Load(c.Tokens, g.firstToken)
	})
}

// newRegister makes what knows the tokens and tenants in the store.
func (g *gateway) newRegister() {
	tokens := access.NewTokens(g.store, g.clock, g.traffic)
	g.access.Stored = tokens
	g.register = &access.Register{Tokens: tokens, Tenants: web.NewTenants(g.store, g.plan.Load, tokens), Store: g.store, Clock: g.clock, Log: g.traffic}
}

// maxKeeping is how many generations are stored at once.
const maxKeeping = 16

// keepGenerations stores the generations of overlays.
func (g *gateway) keepGenerations(ctx context.Context, overlays []*config.TenantConfig) error {
	next, failed := make(chan *config.TenantConfig), make(chan error, maxKeeping)
	var keeping sync.WaitGroup
	for range min(maxKeeping, len(overlays)) {
		keeping.Go(func() {
			var err error
			for o := range next {
				if err == nil {
					err = g.keepGeneration(ctx, o)
				}
			}
			failed <- err
		})
	}
	for _, o := range overlays {
		next <- o
	}
	close(next)
	keeping.Wait()
	close(failed)
	var err error
	for each := range failed {
		err = errors.Join(err, each)
	}
	return err
}

// keepGeneration stores the generation of an overlay, if it has one.
func (g *gateway) keepGeneration(ctx context.Context, o *config.TenantConfig) error {
	if o.Generation == "" {
		return nil
	}
	_, err := g.stored.keep(ctx, tenantGeneration{o.Tenant, o.Generation}, o.Kept)
	return err
}

const (
	// systemTenant owns what belongs to the gateway itself. A tenant cannot have this name.
	systemTenant = "*"
	kindKey      = "key"
)

// fingerprintKey returns the key of the fingerprints of credentials, which the first start makes. If the store has none, the
// given key is stored; nil makes a new one.
func fingerprintKey(ctx context.Context, store state.Settings, key []byte) ([]byte, error) {
	if key == nil {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails: it ends the program instead
	}
	_, err := store.Put(ctx, systemTenant, kindKey, "fingerprint", key, 0)
	if err == nil {
		return key, nil
	}
	if !errors.Is(err, state.ErrConflict) {
		return nil, fmt.Errorf("keep a key: %w", err)
	}
	kept, err := store.Get(ctx, systemTenant, kindKey, "fingerprint")
	if err != nil {
		return nil, fmt.Errorf("find the key: %w", err)
	}
	return kept.Value, nil
}
