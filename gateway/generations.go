package gateway

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// generations are configurations that decided events and do not run any more, as explanations ask for them. Of each only
// the asking tenant's part is made, and few are remembered: what one tenant asks costs no other tenant's rules.
type generations struct {
	store state.Settings
	// turns bounds how many are made at once.
	turns chan struct{}

	mu      sync.Mutex
	plans   map[tenantGeneration]*list.Element // of *oldPlan
	recent  *list.List                         // the one asked for last in front
	rules   int                                // in all of them
	loading map[string]chan struct{}           // by tenant, closed when its load ends
}

type tenantGeneration struct{ tenant, generation string }

// oldPlan is one that is remembered.
type oldPlan struct {
	of   tenantGeneration
	plan *decide.Plan
}

const (
	// maxPlans and maxRules bound what is remembered; the one asked for last is, whatever its size. A rule takes some 4 KiB.
	maxPlans, maxRules = 32, 2000
	// maxLoads is how many are made at once, over all tenants; of one tenant it is one.
	maxLoads = 2
	// loadFor bounds how long the store is asked.
	loadFor = 30 * time.Second
)

func newGenerations(store state.Settings) *generations {
	return &generations{
		store: store, turns: make(chan struct{}, maxLoads), recent: list.New(),
		plans: map[tenantGeneration]*list.Element{}, loading: map[string]chan struct{}{},
	}
}

// plan is what a configuration decides for a tenant. Callers that ask for the same one wait for one load, and a tenant's
// loads follow each other. It answers questions only: see config.LoadKept.
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

// load makes one. It goes on when its caller gives up, as others may wait for it.
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
	kept, err := g.store.Get(ctx, systemTenant, kindGeneration, of.generation)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", of.generation, err)
	}
	c, err := config.LoadKept(kept.Value, of.tenant)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", of.generation, err)
	}
	return decide.New(c), nil
}

// remember keeps a plan, and forgets those that nobody asked for the longest. g.mu is held.
func (g *generations) remember(of tenantGeneration, plan *decide.Plan) {
	g.plans[of] = g.recent.PushFront(&oldPlan{of, plan})
	g.rules += len(plan.Config.Rules)
	for g.recent.Len() > 1 && (g.recent.Len() > maxPlans || g.rules > maxRules) {
		last := g.recent.Remove(g.recent.Back()).(*oldPlan)
		delete(g.plans, last.of)
		g.rules -= len(last.plan.Config.Rules)
	}
}
