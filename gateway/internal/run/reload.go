package run

import (
	"context"
	"errors"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/files"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// unchangedFor is how long files that take away much must stay as they are until they are used.
const unchangedFor = 30 * time.Second

// held is a configuration that takes away much, as a file does that is empty or half written: it waits until its files
// stood unchanged for a while, or somebody insists.
type held struct {
	loaded  *config.Config
	why     string // what it takes away
	since   time.Time
	signals int // SIGHUP came so often for it; the second insists
}

// ask is a reload that a person waits for.
type ask struct {
	force bool
	done  chan<- view.Reloaded
}

// reloads reads the configuration again when it is told to, or when something that was read last time changed. One with
// faults is refused as a whole.
func (g *running) reloads(ctx context.Context) {
	var emptied <-chan struct{}
	if e, ok := g.store.(state.Emptier); ok {
		emptied = e.Emptied()
	}
	for {
		c, stop := g.clock.After(lookEvery)
		var asked *ask
		signalled := false
		select {
		case <-ctx.Done():
			stop()
			return
		case <-g.options.Reload:
			signalled = true
		case a := <-g.asks:
			asked = &a
		case <-emptied:
			stop()
			g.refillUntilDone(ctx)
			continue
		case <-c:
		}
		stop()
		outcome := g.look(ctx, signalled || asked != nil, signalled, asked != nil && asked.force)
		if asked != nil {
			asked.done <- outcome
		}
	}
}

// Reload is what the API asks for a person: the configuration is read again now, and what takes away much is used at once
// where force says so.
func (g *running) askReload(ctx context.Context, force bool) (view.Reloaded, error) {
	done := make(chan view.Reloaded, 1)
	select {
	case g.asks <- ask{force, done}:
	case <-ctx.Done():
		return view.Reloaded{}, ctx.Err()
	}
	select {
	case outcome := <-done:
		return outcome, nil
	case <-ctx.Done():
		return view.Reloaded{}, ctx.Err()
	}
}

// look reads the configuration again if it was asked for, if a file changed, or if the store failed at the last reload.
func (g *running) look(ctx context.Context, asked, signalled, force bool) view.Reloaded {
	changed := g.files.Changed()
	if changed != "" {
		g.log.Info("a file of the configuration changed", "path", changed)
	}
	if g.held != nil && changed == "" && !g.again {
		if signalled {
			g.held.signals++
		}
		if force || g.held.signals >= 2 || g.clock.Now().Sub(g.held.since) >= g.options.settle() {
			g.insisted = true
			return g.adopt(ctx, g.held.loaded)
		}
		return g.waiting()
	}
	if !asked && !g.again && changed == "" {
		return view.Reloaded{}
	}
	return g.reload(ctx, signalled, force)
}

// settle is how long files that take away much must stand unchanged.
func (o *Options) settle() time.Duration {
	if o.unchangedFor > 0 {
		return o.unchangedFor
	}
	return unchangedFor
}

// reload loads the configuration and uses it if it has no faults, and takes away no more than somebody can want.
func (g *running) reload(ctx context.Context, signalled, force bool) view.Reloaded {
	force = force || g.again && g.insisted // the store failed, and nobody has to insist twice
	g.held, g.again, g.insisted = nil, false, force
	loaded, err := g.load()
	if err != nil {
		return g.refused(err)
	}
	running := g.plan.Load().Config
	if loaded.Redis != running.Redis {
		return g.refused(errors.New("`redis` changed, which needs a restart"))
	}
	if why := differ(running, loaded).drastic(); why != "" && !force {
		g.held = &held{loaded: loaded, why: why, since: g.clock.Now()}
		if signalled {
			g.held.signals = 1
		}
		g.log.Warn("the new configuration takes away much, as a file does that is half written: it waits until its files stood unchanged for a while; `surveygate reload --force` or a second SIGHUP uses it now",
			"removes", why, "names", few(differ(running, loaded).names), "for", g.options.settle())
		return g.waiting()
	}
	return g.adopt(ctx, loaded)
}

// waiting says that a configuration waits.
func (g *running) waiting() view.Reloaded {
	g.stale("it takes away " + g.held.why + ", and waits until its files stood unchanged for " + g.options.settle().String() +
		"; `surveygate reload --force` uses it now")
	g.stats.Reloaded(false, true)
	return view.Reloaded{
		Status: view.ReloadWaits, Difference: differ(g.plan.Load().Config, g.held.loaded).String(),
		Reason: "it takes away " + g.held.why + ": it is used once its files stood unchanged for " + g.options.settle().String() + ", or with --force",
	}
}

// adopt uses a configuration.
func (g *running) adopt(ctx context.Context, loaded *config.Config) view.Reloaded {
	g.held = nil
	before := g.plan.Load()
	running := before.Config
	difference := differ(running, loaded)
	for what, differs := range map[string]bool{
		"listen": loaded.Listen != running.Listen,
		"data":   loaded.Data != running.Data,
	} {
		if differs {
			g.log.Warn("a setting takes effect at the next start only", "setting", what)
		}
	}
	// First the policy: nothing may be sent with it by a configuration that came with a tighter one.
	g.sender.SetPolicy(loaded.Outbound)
	if err := g.use(ctx, loaded); err != nil {
		g.sender.SetPolicy(running.Outbound)
		g.again = true
		g.stale("the store did not take it")
		g.stats.Reloaded(false, false)
		g.log.Error("the new configuration cannot be used, the running one stays", "err", err)
		return view.Reloaded{Status: view.ReloadRefused, Difference: difference.String(), Reason: "the store did not take it: " + err.Error()}
	}
	g.stale("")
	g.stats.Reloaded(true, false)
	g.log.Info("configuration loaded", "generation", loaded.Generation, "difference", difference.String())
	if len(difference.names) > 0 {
		g.log.Info("taken away by the configuration", "names", few(difference.names))
	}
	if err := g.loop.Reloaded(ctx); err != nil {
		g.log.Warn("cannot look at holds after the reload", "err", err)
	}
	if err := g.web.Remember(ctx); err != nil {
		g.log.Warn("cannot remember the sources after the reload", "err", err)
	}
	if err := g.streams.Use(loaded); err != nil {
		g.log.Error("a stream of the new configuration cannot be read", "err", err)
	}
	if len(loaded.Tokens) == 0 && g.first == nil {
		g.log.Warn("the configuration has no tokens any more: until the next start the API is open over the socket only")
	}
	g.warnOfGone(ctx, before, g.plan.Load())
	return view.Reloaded{Status: view.ReloadLoaded, Difference: difference.String(), Generation: loaded.Generation}
}

// load reads the configuration and remembers the files it read, also when they have faults.
func (g *running) load() (*config.Config, error) {
	g.files = &files.Reader{}
	o := g.options
	o.files = g.files
	return o.load()
}

// refused says what is wrong with a new configuration: a line for each fault, as a line of a log is one.
func (g *running) refused(err error) view.Reloaded {
	const message = "the new configuration is refused, the running one stays"
	g.stats.Reloaded(false, false)
	var faults document.Faults
	if !errors.As(err, &faults) {
		g.stale(err.Error())
		g.log.Error(message, "err", err)
		return view.Reloaded{Status: view.ReloadRefused, Reason: err.Error()}
	}
	g.stale("it has faults")
	for _, f := range faults.Sorted() {
		text := f.Message
		if f.Remedy != "" {
			text += "; " + f.Remedy
		}
		g.log.Error(message, "at", f.Position.String(), "err", text)
	}
	return view.Reloaded{Status: view.ReloadRefused, Reason: "it has faults", Faults: faults.Sorted()}
}
