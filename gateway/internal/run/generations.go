package run

import (
	"container/list"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// generations loads and caches configurations that decided events and no longer run, for explanations. It compiles only
// the asking tenant's rules, so the cost of one tenant's question does not grow with the other tenants.
type generations struct {
	store state.Settings
	// turns bounds the loads that run at once.
	turns chan struct{}

	mu      sync.Mutex
	plans   map[tenantGeneration]*list.Element // of *oldPlan
	recent  *list.List                         // least recently used at the back
	rules   int                                // of all cached plans
	loading map[string]chan struct{}           // by tenant; closed when the load ends
}

type tenantGeneration struct{ tenant, generation string }

// oldPlan is an entry of the cache.
type oldPlan struct {
	of   tenantGeneration
	plan *decide.Plan
}

const (
	// maxPlans and maxRules bound the cache; the most recently used plan stays whatever its size. A compiled rule takes
	// about 4 KiB, so the cache takes at most about 8 MiB.
	maxPlans, maxRules = 32, 2000
	// maxLoads is how many loads run at once over all tenants. One tenant has at most one.
	maxLoads = 2
	// loadFor is the timeout of one read of the store.
	loadFor = 30 * time.Second
)

func newGenerations(store state.Settings) *generations {
	return &generations{
		store: store, turns: make(chan struct{}, maxLoads), recent: list.New(),
		plans: map[tenantGeneration]*list.Element{}, loading: map[string]chan struct{}{},
	}
}

// plan returns a tenant's part of a configuration. Callers that ask for the same one share one load; a tenant's loads run
// one after the other. The plan can explain but not send: see config.LoadKept.
func (g *generations) plan(ctx context.Context, tenant, generation string) (*decide.Plan, error) {
	of := tenantGeneration{tenant, generation}
	for {
		g.mu.Lock()
		if e := g.plans[of]; e != nil {
			g.recent.MoveToFront(e)
			g.mu.Unlock()
			return e.Value.(*oldPlan).plan, nil
		}
		running := g.loading[tenant]
		if running == nil {
			running = make(chan struct{})
			g.loading[tenant] = running
			g.mu.Unlock()
			return g.load(ctx, of, running)
		}
		g.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// load reads and caches one. It continues when its caller gives up, because others may wait for it.
func (g *generations) load(ctx context.Context, of tenantGeneration, running chan struct{}) (*decide.Plan, error) {
	type result struct {
		plan *decide.Plan
		err  error
	}
	done := make(chan result, 1)
	go func() {
		plan, err := g.read(context.WithoutCancel(ctx), of)
		g.mu.Lock()
		delete(g.loading, of.tenant)
		if err == nil {
			g.remember(of, plan)
		}
		g.mu.Unlock()
		close(running)
		done <- result{plan, err}
	}()
	select {
	case r := <-done:
		return r.plan, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *generations) read(ctx context.Context, of tenantGeneration) (*decide.Plan, error) {
	g.turns <- struct{}{}
	defer func() { <-g.turns }()
	ctx, cancel := context.WithTimeout(ctx, loadFor)
	defer cancel()
	c, err := g.loadKept(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", of.generation, err)
	}
	return decide.New(c), nil
}

// loadKept loads a tenant's part of a configuration: of the base, or of the base and the tenant's overlay (config.OverGeneration).
func (g *generations) loadKept(ctx context.Context, of tenantGeneration) (*config.Config, error) {
	base, overlay, over := strings.Cut(of.generation, "+")
	kept, err := g.store.Get(ctx, systemTenant, kindGeneration, base)
	if err != nil {
		return nil, err
	}
	if !over {
		return config.LoadKept(kept.Value, of.tenant)
	}
	own, err := g.store.Get(ctx, of.tenant, kindGeneration, overlay)
	if err != nil {
		return nil, err
	}
	return config.LoadKeptOver(kept.Value, own.Value, of.tenant)
}

// remember caches a plan and evicts the least recently used ones beyond the bounds. g.mu is held.
func (g *generations) remember(of tenantGeneration, plan *decide.Plan) {
	g.plans[of] = g.recent.PushFront(&oldPlan{of, plan})
	g.rules += len(plan.Config.Rules)
	for g.recent.Len() > 1 && (g.recent.Len() > maxPlans || g.rules > maxRules) {
		last := g.recent.Remove(g.recent.Back()).(*oldPlan)
		delete(g.plans, last.of)
		g.rules -= len(last.plan.Config.Rules)
	}
}
