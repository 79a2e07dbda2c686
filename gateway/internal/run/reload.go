package run

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/files"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// unchangedFor is how long files that remove much must stay unchanged until they are used.
const unchangedFor = 30 * time.Second

// reloading is the state of reloads. Only requests and outdated are used by other goroutines than the one that reloads.
type reloading struct {
	requests chan reloadRequest
	outdated atomic.Pointer[string] // why the changed configuration is not in use; nil and "" mean that it is

	files    *files.Reader // reads the configuration, and notices changes of what it read
	deferred *deferred     // a configuration that waits; nil is none
	retry    bool          // the store failed at the last reload
	forced   bool          // the last configuration may remove much
}

// deferred is a configuration that removes much, as a file does that is empty or half written. It waits until its files
// stayed unchanged for a while, or somebody forces it.
type deferred struct {
	loaded  *config.Config
	removes string
	since   time.Time
	signals int // how many SIGHUPs came for it; the second forces it
}

// reloadRequest is a reload that a caller of the API waits for.
type reloadRequest struct {
	force bool
	done  chan<- view.Reloaded
}

// setOutdated records why the changed configuration is not in use; "" means that it is.
func (r *reloading) setOutdated(why string) { r.outdated.Store(&why) }

func (r *reloading) notInUse() string {
	if why := r.outdated.Load(); why != nil {
		return *why
	}
	return ""
}

// reloads reads the configuration again when somebody asks for it, or when a file that was read changed. A configuration
// with faults is refused as a whole.
func (g *gateway) reloads(ctx context.Context) {
	var emptied <-chan struct{}
	if e, ok := g.store.(state.Emptier); ok {
		emptied = e.Emptied()
	}
	for {
		c, stop := g.clock.After(g.options.lookEvery)
		var request *reloadRequest
		signalled := false
		select {
		case <-ctx.Done():
			stop()
			return
		case <-g.options.Reload:
			signalled = true
		case r := <-g.reloading.requests:
			request = &r
		case <-emptied:
			stop()
			g.refillUntilDone(ctx)
			continue
		case <-c:
		}
		stop()
		outcome := g.reloadIfNeeded(ctx, signalled || request != nil, signalled, request != nil && request.force)
		if request != nil {
			request.done <- outcome
		}
	}
}

// requestReload reads the configuration now, for a caller of the API. With force, a configuration that removes much is used
// at once.
func (g *gateway) requestReload(ctx context.Context, force bool) (view.Reloaded, error) {
	done := make(chan view.Reloaded, 1)
	select {
	case g.reloading.requests <- reloadRequest{force, done}:
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

// reloadIfNeeded reads the configuration if somebody asked, if a file changed, or if the store failed at the last reload.
func (g *gateway) reloadIfNeeded(ctx context.Context, asked, signalled, force bool) view.Reloaded {
	r := &g.reloading
	changed := r.files.Changed()
	if changed != "" {
		g.log.Info("a file of the configuration changed", "path", changed)
	}
	if r.deferred != nil && changed == "" && !r.retry {
		if signalled {
			r.deferred.signals++
		}
		if force || r.deferred.signals >= 2 || g.clock.Now().Sub(r.deferred.since) >= g.options.unchangedFor {
			r.forced = true
			return g.adopt(ctx, r.deferred.loaded)
		}
		return g.waiting()
	}
	if !asked && !r.retry && changed == "" {
		return view.Reloaded{}
	}
	return g.reload(ctx, signalled, force)
}

// reload reads the configuration and uses it, unless it has faults or removes much.
func (g *gateway) reload(ctx context.Context, signalled, force bool) view.Reloaded {
	r := &g.reloading
	force = force || r.retry && r.forced // what the store refused need not be forced twice
	r.deferred, r.retry, r.forced = nil, false, force
	loaded, err := g.load()
	if err != nil {
		return g.refused(err)
	}
	running := g.plan.Load().Config
	if loaded.Redis != running.Redis {
		return g.refused(errors.New("`redis` changed, which needs a restart"))
	}
	if err := g.keyFault(loaded); err != nil {
		return g.refused(err)
	}
	if removes := differ(running, loaded).drastic(); removes != "" && !force {
		r.deferred = &deferred{loaded: loaded, removes: removes, since: g.clock.Now()}
		if signalled {
			r.deferred.signals = 1
		}
		g.log.Warn("the new configuration removes much, as a half-written file does: it waits until its files stay unchanged for a while; `surveygate reload --force` or a second SIGHUP uses it now",
			"removes", removes, "names", few(differ(running, loaded).removedNames), "for", g.options.unchangedFor)
		return g.waiting()
	}
	return g.adopt(ctx, loaded)
}

// waiting reports that a configuration waits.
func (g *gateway) waiting() view.Reloaded {
	r := &g.reloading
	r.setOutdated("it removes " + r.deferred.removes + ", and waits until its files stay unchanged for " + g.options.unchangedFor.String() +
		"; `surveygate reload --force` uses it now")
	g.stats.Reloaded(false, true)
	return view.Reloaded{
		Status: view.ReloadWaits, Difference: differ(g.plan.Load().Config, r.deferred.loaded).String(),
		Reason: "it removes " + r.deferred.removes + ": it is used once its files stay unchanged for " + g.options.unchangedFor.String() + ", or with --force",
	}
}

// adopt makes a configuration the running one and tells every part.
func (g *gateway) adopt(ctx context.Context, loaded *config.Config) view.Reloaded {
	g.reloading.deferred = nil
	running := g.plan.Load().Config
	difference := differ(running, loaded)
	for setting, differs := range map[string]bool{
		"listen":   loaded.Listen != running.Listen,
		"console":  loaded.Console != running.Console,
		"data":     loaded.Data != running.Data,
		"key_file": !loaded.Keys.Equal(running.Keys),
	} {
		if differs {
			g.log.Warn("a setting takes effect at the next start only", "setting", setting)
		}
	}
	// The policy first: a configuration with a tighter policy must not send anything under the old one.
	g.sender.SetPolicy(loaded.Outbound)
	before, err := g.use(ctx, loaded)
	if err != nil {
		g.sender.SetPolicy(running.Outbound)
		g.reloading.retry = true
		g.reloading.setOutdated("the store did not take it")
		g.stats.Reloaded(false, false)
		g.log.Error("the new configuration cannot be used, the running one stays", "err", err)
		return view.Reloaded{Status: view.ReloadRefused, Difference: difference.String(), Reason: "the store did not take it: " + err.Error()}
	}
	g.reloading.setOutdated("")
	g.stats.Reloaded(true, false)
	g.log.Info("configuration loaded", "generation", loaded.Generation, "difference", difference.String())
	if len(difference.removedNames) > 0 {
		g.log.Info("removed by the configuration", "names", few(difference.removedNames))
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
	if len(loaded.Tokens) == 0 && g.firstToken == nil {
		g.log.Warn("the configuration has no tokens any more: until the next start the API is open over the socket only")
	}
	now := g.plan.Load()
	g.logNewTroubles(before, now)
	g.removed.add(before, now)
	return view.Reloaded{Status: view.ReloadLoaded, Difference: difference.String(), Generation: loaded.Generation}
}

// load reads the configuration and remembers the files it read, also when they have faults.
func (g *gateway) load() (*config.Config, error) {
	g.reloading.files = &files.Reader{}
	o := g.options
	o.files = g.reloading.files
	return o.load()
}

// refused reports what is wrong with a new configuration: one line of the log for each fault.
func (g *gateway) refused(err error) view.Reloaded {
	const message = "the new configuration is refused, the running one stays"
	g.stats.Reloaded(false, false)
	var faults document.Faults
	if !errors.As(err, &faults) {
		g.reloading.setOutdated("it cannot be read") // err may name a file, which may be called after a tenant
		g.log.Error(message, "err", err)
		return view.Reloaded{Status: view.ReloadRefused, Reason: err.Error()}
	}
	g.reloading.setOutdated("it has faults")
	for _, f := range faults.Sorted() {
		text := f.Message
		if f.Remedy != "" {
			text += "; " + f.Remedy
		}
		g.log.Error(message, "at", f.Position.String(), "err", text)
	}
	return view.Reloaded{Status: view.ReloadRefused, Reason: "it has faults", Faults: faults.Sorted()}
}
