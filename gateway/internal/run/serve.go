package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/socket"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// listenAll takes the port, the console's own address (empty: it has none) and the control socket, or none of them.
func (g *gateway) listenAll(ctx context.Context, console string) (err error) {
	defer func() {
		if err != nil {
			g.closeAll()
		}
	}()
	var lc net.ListenConfig
	if g.public, err = lc.Listen(ctx, "tcp", g.listen); err != nil {
		return err
	}
	if console != "" {
		if g.console, err = lc.Listen(ctx, "tcp", console); err != nil {
			return fmt.Errorf("the console: %w", err)
		}
	}
	if g.control, err = socket.Listen(ctx, g.data); err != nil {
		return err
	}
	g.life.add(part{name: "listeners", close: func(context.Context) error {
		g.closeAll() // the servers have done it already, where they ran
		_ = os.Remove(filepath.Join(g.data, socket.Name))
		return nil
	}})
	return nil
}

// closeAll closes the listeners that are open.
func (g *gateway) closeAll() {
	for _, l := range []net.Listener{g.public, g.console, g.control} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// addParts adds what runs, in the order of its start.
func (g *gateway) addParts() {
	g.life.add(
		part{
			name:  "statistics",
			run:   func(ctx context.Context) error { g.stats.Run(ctx); return nil },
			close: func(ctx context.Context) error { return g.stats.Close(ctx) },
		},
		part{
			name:  "notices",
			run:   func(ctx context.Context) error { g.notices.Run(ctx); return nil },
			close: func(ctx context.Context) error { return g.notices.Close(ctx) },
		},
		g.worker("retention", g.trim),
		g.worker("removed destinations", g.forget),
		g.worker("watch of the store", g.watchStore),
		g.worker("removal of configuration texts", g.emptyOldTexts),
		g.worker("reloads", g.reloads),
		g.worker("newest configuration", g.announceNewest),
		g.worker("documents of tenants", g.settings.Run),
		g.worker("tokens and tenants", g.register.Run),
		g.worker("captures of requests", g.web.WatchCaptures),
		g.worker("ends of documents", g.endDocuments),
		g.worker("stored configurations", g.upkeepGenerations),
		g.worker("jobs", g.jobs.Run),
		g.worker("warnings of removed steps", g.warnOfRemovedSteps),
	)
	// Deliveries end while the requests that still run are waited for: they do not depend on the clients of those.
	g.life.add(
		part{name: "requests", run: g.answer, drain: func() { g.web.Drain() }},
		part{name: "streams", drain: func() { g.streams.Stop() }},
		part{name: "deliveries", run: g.deliver},
	)
}

// worker is a part that works until its context ends and cannot fail.
func (g *gateway) worker(name string, work func(context.Context)) part {
	return part{name: name, run: func(ctx context.Context) error { work(ctx); return nil }}
}

// deliver claims events and delivers them until ctx ends, and then lets running attempts finish.
func (g *gateway) deliver(ctx context.Context) error {
	err := g.loop.Run(ctx)
	g.log.Info("deliveries have stopped: finished ones are committed, the rest stays in the store")
	return err
}

// answer serves the port, the console's own address and the control socket until ctx ends, and then lets running requests finish.
func (g *gateway) answer(ctx context.Context) error {
	ended := make(chan error, 3)
	var servers sync.WaitGroup
	serve := []func() error{g.web.Serve(g.public), g.web.ServeSocket(g.control)}
	if g.console != nil {
		serve = append(serve, g.web.ServeConsole(g.console))
	}
	for _, each := range serve {
		servers.Go(func() { ended <- each() })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	if late := within(ctx, g.web.Shutdown); late != nil {
		g.log.Warn("requests were given up that did not end in time", "err", late)
	}
	// A server that had not begun to serve when it was shut down would serve for ever.
	g.closeAll()
	servers.Wait()
	return err
}

// serve runs every part until the gateway is to stop, and stops them all.
func (g *gateway) serve(ctx context.Context) error {
	// Before a reload can do the same with a newer configuration.
	err := g.streams.Use(g.plan.Load().Config)
	if err == nil {
		g.life.start(ctx)
		if g.options.Started != nil {
			g.options.Started(g.started(ctx))
		}
		g.wait(ctx)
		g.log.Info("stopping: new requests are refused, running attempts finish")
	}
	return errors.Join(err, g.life.stop(ctx))
}

// wait returns when the gateway is to stop: ctx ended, a part failed, the store is broken, or `drain` has passed since
// somebody announced the stop.
func (g *gateway) wait(ctx context.Context) {
	var broken <-chan struct{}
	if b, ok := g.store.(state.Breaker); ok {
		broken = b.Broken() // another start mends it; closing the store says why
	}
	announced := g.options.Leave
	var over <-chan time.Time
	for {
		select {
		case <-announced:
			announced = nil
			drain := g.plan.Load().Config.Drain
			g.log.Info("stopping soon: not ready any more, requests are still accepted", "for", drain)
			g.web.Leave()
			var cancel func()
			over, cancel = g.clock.After(drain)
			defer cancel()
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-g.life.failure():
			return
		case <-broken:
			return
		}
	}
}
