package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
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
	return g.use(ctx, c)
}

// use makes a configuration the running one. On an error nothing changed.
func (g *gateway) use(ctx context.Context, c *config.Config) error {
	// The generation is stored before anything is decided with it, so that every decision can be explained.
	_, err := g.store.Put(ctx, systemTenant, kindGeneration, c.Generation, c.Kept, 0)
	seen := errors.Is(err, state.ErrConflict)
	if err != nil && !seen {
		return fmt.Errorf("keep the configuration: %w", err)
	}
	if g.newest != nil && (!seen || g.plan.Load() != nil) {
		if err := g.newest.take(ctx, c.Generation); err != nil {
			return err
		}
	}
	if err := g.access.Load(c.Tokens, g.firstToken); err != nil {
		return err
	}
	if before := g.plan.Load(); before != nil {
		inherit(before.Config, c)
	}
	g.plan.Store(decide.New(c))
	return nil
}

// inherit carries over what a reload must not restart: the time windows of accept_test.
func inherit(before, now *config.Config) {
	old := map[[2]string]*config.Source{}
	for _, s := range before.Sources {
		old[[2]string{s.Tenant, s.Name}] = s
	}
	for _, s := range now.Sources {
		if was := old[[2]string{s.Tenant, s.Name}]; was != nil {
			s.Receiver.Inherit(was.Receiver)
		}
	}
}

const (
	// systemTenant owns what belongs to the gateway itself. A tenant cannot have this name.
	systemTenant   = "*"
	kindGeneration = "generation"
	kindKey        = "key"
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
