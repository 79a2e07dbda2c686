package run

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/socket"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

const (
	// trimEvery is how often retention is applied.
	trimEvery = 10 * time.Second
	// trimPause is the shortest time between two calls of one round of retention.
	trimPause = 20 * time.Millisecond
	// lookEvery is how often the configuration's files and the store's health are looked at, where Options does not say.
	lookEvery = 2 * time.Second
)

// trim applies retention every trimEvery. The store does it in short calls: they follow each other until one has looked at
// everything, whether or not they removed something. Between two of them the store has at least as much time for events as the
// call took.
func (g *gateway) trim(ctx context.Context) {
	for g.sleep(ctx, trimEvery) {
		g.trimRound(ctx)
	}
}

func (g *gateway) trimRound(ctx context.Context) {
	for {
		began := g.clock.Now()
		done, err := g.trimOnce(ctx)
		if done != nil {
			for _, o := range done.OverdueOf {
				g.stats.Overdue(o.Tenant, o.Destination, o.Count)
				g.notices.Overdue(o.Tenant, o.Destination, o.Count)
			}
			if done.Overdue > 0 {
				g.log.Warn("deliveries exceeded retention.waiting and are dead letters now: the reason of each names the bound", "count", done.Overdue)
			}
		}
		if err != nil {
			if ctx.Err() == nil {
				g.log.Warn("cannot apply retention", "err", err)
			}
			return
		}
		if !done.More || !g.sleep(ctx, min(max(g.clock.Now().Sub(began), trimPause), trimEvery)) {
			return
		}
	}
}

// trimOnce does one step. Bounds that the configuration leaves out come from the store, which knows its size.
func (g *gateway) trimOnce(ctx context.Context) (*state.Trimmed, error) {
	shares, err := g.store.Shares(ctx)
	if err != nil {
		return &state.Trimmed{}, err
	}
	return g.store.Trim(ctx, g.retention(shares))
}

// watchStore logs when the store can no longer make events durable, and when it can again. What was changed meanwhile, or is in an
// older state after a failover, is then looked for at once.
func (g *gateway) watchStore(ctx context.Context) {
	var since, wentBack time.Time // since is zero while the store works
	for g.sleep(ctx, g.options.lookEvery) {
		h := g.stats.Health(ctx)
		switch failing := h.Err != nil; {
		case failing && ctx.Err() == nil && since.IsZero():
			since = g.clock.Now()
			g.log.Error("the store cannot make events durable: senders are answered 503 until it can", "err", h.Err)
		case !failing && !since.IsZero():
			g.log.Info("the store works again", "after", g.clock.Now().Sub(since).Round(time.Second), "pending", h.Pending, "waiting", h.Waiting)
			since = time.Time{}
			g.sweepDocuments(ctx)
		}
		if back := g.register.WentBack(); back != wentBack {
			wentBack = back
			g.sweepDocuments(ctx)
		}
	}
}

// sweepDocuments compares the documents in the store with those in use.
func (g *gateway) sweepDocuments(ctx context.Context) {
	if err := g.settings.Sweep(ctx); err != nil && ctx.Err() == nil {
		g.log.Warn("cannot compare the documents in the store with those in use; trying again within a minute", "err", err)
	}
}

// sleep waits for d. It returns false when ctx ends first.
func (g *gateway) sleep(ctx context.Context, d time.Duration) bool {
	c, stop := g.clock.After(d)
	defer stop()
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// planOf returns a tenant's part of a generation: the running plan, or an older one, which can explain but not send.
func (g *gateway) planOf(ctx context.Context, tenant, generation string) (*decide.Plan, error) {
	if p := g.plan.Load(); p.Generation(tenant) == generation {
		return p, nil
	}
	return g.generations.plan(ctx, tenant, generation)
}

// started describes the running gateway.
func (g *gateway) started(ctx context.Context) Started {
	c := g.plan.Load().Config
	address := g.public.Addr().String()
	s := Started{
		Address: address, Socket: filepath.Join(g.data, socket.Name), Data: g.data,
		Engine: c.Engine(), Prefix: c.Redis.Prefix, Warnings: slices.Concat(g.folderProblems(), view.Sentences(g.keyProblems(), true), g.store.Health(ctx).Warnings),
		Sources: c.SourceURLs(cmp.Or(c.PublicURL, "http://"+address), false),
	}
	if g.console != nil {
		s.Console = g.console.Addr().String()
	}
	if g.firstToken != nil {
		s.Token = g.firstToken.Text
	}
	return s
}
