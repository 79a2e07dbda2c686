package run

import (
	"context"
	"net"
	"path/filepath"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/socket"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// trim ends what retention ends, in small pieces, until nothing is left to end.
func (g *running) trim(ctx context.Context) {
	for g.pause(ctx, trimEvery) {
		for ctx.Err() == nil {
			done, err := g.trimOnce(ctx)
			if err != nil {
				if ctx.Err() == nil {
					g.log.Warn("cannot trim what is kept", "err", err)
				}
				break
			}
			if *done == (state.Trimmed{}) {
				break
			}
			if done.Overdue > 0 {
				g.log.Warn("deliveries exceeded retention.waiting and are dead letters now: the reason of each names the bound", "count", done.Overdue)
			}
		}
	}
}

// watchStore logs when the store cannot make events durable any more, and when it can again.
func (g *running) watchStore(ctx context.Context) {
	var since time.Time
	for g.pause(ctx, lookEvery) {
		h := g.stats.Health(ctx)
		switch away := h.Err != nil; {
		case away && ctx.Err() == nil && since.IsZero():
			since = g.clock.Now()
			g.log.Error("the store cannot make events durable: senders are answered 503 until it can", "err", h.Err)
		case !away && !since.IsZero():
			g.log.Info("the store is back", "after", g.clock.Now().Sub(since).Round(time.Second), "pending", h.Pending, "waiting", h.Waiting)
			since = time.Time{}
		}
	}
}

// trimOnce asks the store for the bounds that the configuration does not say.
func (g *running) trimOnce(ctx context.Context) (*state.Trimmed, error) {
	shares, err := g.store.Shares(ctx)
	if err != nil {
		return nil, err
	}
	return g.store.Trim(ctx, g.plan.Load().Config.Retention.With(shares))
}

func (g *running) pause(ctx context.Context, d time.Duration) bool {
	c, stop := g.clock.After(d)
	defer stop()
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// stale records for readiness why the changed configuration is not in use; "" means that it is.
func (g *running) stale(why string) { g.behind.Store(&why) }

// problems lists what a person should look at, as sentences for readiness.
func (g *running) problems() []string {
	all := append(g.descriptors.Problems(), g.streams.Problems()...)
	all = append(all, g.folderProblems()...)
	if why := g.behind.Load(); why != nil && *why != "" {
		all = append(all, "the configuration that was changed is not in use: "+*why+"; the log says more")
	}
	all = append(all, g.onHoldProblems()...)
	return all
}

// planOf returns a tenant's part of a generation: the running plan, or an older one that can only explain.
func (g *running) planOf(ctx context.Context, tenant, generation string) (*decide.Plan, error) {
	if p := g.plan.Load(); p.Config.Generation == generation {
		return p, nil
	}
	return g.generations.plan(ctx, tenant, generation)
}

// started says where everything is.
func (g *running) started(ctx context.Context, public net.Listener) Started {
	c := g.plan.Load().Config
	s := Started{
		Address: public.Addr().String(), Socket: filepath.Join(g.data, socket.Name), Data: g.data,
		Engine: c.Engine(), Prefix: c.Redis.Prefix, Warnings: append(g.folderProblems(), g.store.Health(ctx).Warnings...),
		Sources: c.SourceURLs("http://"+public.Addr().String(), false),
	}
	if g.first != nil {
		s.Token = g.first.Text
	}
	return s
}
