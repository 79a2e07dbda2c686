package gateway

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/files"
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
				g.log.Warn("deliveries waited too long and are dead letters now", "count", done.Overdue)
			}
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

// reloads reads the configuration again when it is told to, or when something that was read last time changed. One with
// faults is refused as a whole.
func (g *running) reloads(ctx context.Context) {
	again := false // the store failed at the last reload
	for {
		c, stop := g.clock.After(lookEvery)
		asked := false
		select {
		case <-ctx.Done():
			stop()
			return
		case <-g.options.Reload:
			asked = true
		case <-c:
		}
		stop()
		changed := g.files.Changed()
		if !asked && !again && changed == "" {
			continue
		}
		if changed != "" {
			g.log.Info("a file of the configuration changed", "path", changed)
		}
		again = !g.reload(ctx)
	}
}

// reload loads the configuration and uses it if it has no faults. It returns false if the same files should be tried again.
func (g *running) reload(ctx context.Context) bool {
	loaded, err := g.load()
	if err != nil {
		g.refused(err)
		return true
	}
	before := g.plan.Load()
	running := before.Config
	if loaded.Redis != running.Redis {
		g.stale("`redis` changed, which needs a restart")
		g.log.Error("the new configuration is refused, the running one stays: `redis` changed, which needs a restart")
		return true
	}
	for what, differs := range map[string]bool{
		"listen": loaded.Listen != running.Listen,
		"data":   loaded.Data != running.Data,
	} {
		if differs {
			g.log.Warn("a setting takes effect at the next start only", "setting", what)
		}
	}
	if err := g.use(ctx, loaded); err != nil {
		g.stale("the store did not take it")
		g.log.Error("the new configuration cannot be used, the running one stays", "err", err)
		return false
	}
	g.stale("")
	g.warnOfGone(ctx, before, g.plan.Load())
	g.sender.SetPolicy(loaded.Outbound)
	if err := g.web.Remember(ctx); err != nil {
		g.log.Warn("cannot remember the sources after the reload", "err", err)
	}
	if err := g.streams.Use(loaded); err != nil {
		g.log.Error("a stream of the new configuration cannot be read", "err", err)
	}
	if err := g.loop.Reloaded(ctx); err != nil {
		g.log.Warn("cannot look at holds after the reload", "err", err)
	}
	if len(loaded.Tokens) == 0 && g.first == nil {
		g.log.Warn("the configuration has no tokens any more: until the next start the API is open over the socket only")
	}
	g.log.Info("configuration loaded", "generation", loaded.Generation)
	return true
}

// load reads the configuration and remembers the files it read, also when they have faults.
func (g *running) load() (*config.Config, error) {
	g.files = &files.Reader{}
	o := g.options
	o.files = g.files
	return o.load()
}

// stale records for readiness why the changed configuration is not in use; "" means that it is.
func (g *running) stale(why string) { g.behind.Store(&why) }

// problems lists what a person should look at, as sentences for readiness.
func (g *running) problems() []string {
	all := append(g.descriptors.Problems(), g.streams.Problems()...)
	if why := g.behind.Load(); why != nil && *why != "" {
		all = append(all, "the configuration that was changed is not in use: "+*why+"; the log says more")
	}
	all = append(all, g.onHoldProblems()...)
	return all
}

// refused says what is wrong with a new configuration: a line for each fault, as a line of a log is one.
func (g *running) refused(err error) {
	const message = "the new configuration is refused, the running one stays"
	g.stale("it has faults")
	var faults document.Faults
	if !errors.As(err, &faults) {
		g.log.Error(message, "err", err)
		return
	}
	for _, f := range faults.Sorted() {
		text := f.Message
		if f.Remedy != "" {
			text += "; " + f.Remedy
		}
		g.log.Error(message, "at", f.Position.String(), "err", text)
	}
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
		Address: public.Addr().String(), Socket: filepath.Join(g.data, SocketName), Data: g.data,
		Engine: engineOf(c), Prefix: c.Redis.Prefix, Warnings: g.store.Health(ctx).Warnings,
		Sources: sourceURLs(c, "http://"+public.Addr().String(), false),
	}
	if g.first != nil {
		s.Token = g.first.Text
	}
	return s
}
