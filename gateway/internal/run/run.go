// Package run wires the parts of a gateway, and owns its start, its reloads, its upkeep and its stop.
package run

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/deliver"
	"github.com/surveygate/surveygate/gateway/internal/files"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/repeats"
	"github.com/surveygate/surveygate/gateway/internal/socket"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/stream"
	"github.com/surveygate/surveygate/gateway/internal/web"
)

const (
	// drainFor bounds how long a stop waits for running attempts.
	drainFor = 20 * time.Second
	// trimEvery is how often retention is looked at.
	trimEvery = 10 * time.Second
	// lookEvery is how often the configuration's files are looked at for changes.
	lookEvery = 2 * time.Second
)

// Options are those of gateway.Options, where they are documented, and what only this package's callers know.
type Options struct {
	Config, Listen, Data, Redis string

	Env           func(name string) (string, bool)
	Log           *slog.Logger
	Reload, Leave <-chan os.Signal
	Started       func(Started)
	Token         func(data, token string)

	// Version is the program's, for the User-Agent and for metrics.
	Version string

	// unchangedFor is how long files that take away much must stand unchanged; 0 is the constant of that name.
	unchangedFor time.Duration
	files        *files.Reader // what reads the configuration; nil is a new one
}

// Started is gateway.Started, where it is documented.
type Started struct {
	Address  string             `json:"address"`
	Socket   string             `json:"socket"`
	Data     string             `json:"data"`
	Engine   config.Engine      `json:"engine"`
	Prefix   string             `json:"prefix,omitempty"`
	Warnings []string           `json:"warnings,omitempty"`
	Token    string             `json:"-"`
	Sources  []config.SourceURL `json:"sources"`
}

func (o Options) load() (*config.Config, error) {
	env := o.Env
	if env == nil {
		env = os.LookupEnv //nolint:forbidigo // the façade is where the process's environment comes in by default
	}
	return config.Load(config.Options{Path: o.Config, Env: env, Redis: o.Redis, Files: o.files})
}

// running is a gateway between start and stop.
type running struct {
	options Options
	data    string
	listen  string
	files   *files.Reader // what the configuration was read from last
	log     *slog.Logger
	traffic *slog.Logger // log, for every room whose lines events and requests can cause
	sums    *repeats.Log // of traffic
	clock   clock.Clock
	store   state.Store
	newest  *newest       // nil on the embedded engine, which has no replicas
	first   *access.First // of the goroutine that reloads, once it runs
	key     []byte        // of fingerprints
	access  *access.Access
	stats   *stats.Stats
	sender  *outbound.Sender
	loop    *deliver.Loop
	streams *stream.Readers
	web     *web.App
	// descriptors are how many files and connections each part may have.
	descriptors descriptors
	onHold      onHold
	public      net.Listener
	control     net.Listener
	plan        atomic.Pointer[decide.Plan]

	counting    atomic.Pointer[stats.Stats] // stats, for the store, which writes before they are there
	generations *generations                // older configurations, for explanations
	behind      atomic.Pointer[string]      // why the changed configuration is not in use
	asks        chan ask                    // reloads that somebody waits for

	// Of the goroutine that reloads.
	held  *held // a configuration that waits; nil is none
	again bool  // the store failed at the last reload
	// insisted: the last configuration may take away much.
	insisted bool
}

// listenAll takes the port and the control socket, or neither.
func (g *running) listenAll(ctx context.Context) error {
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", g.listen)
	if err != nil {
		return err
	}
	control, err := socket.Listen(ctx, g.data)
	if err != nil {
		return errors.Join(err, public.Close())
	}
	g.public, g.control = public, control
	return nil
}

// grouped counts how many of the store's callers shared a write.
func (g *running) grouped(calls int) {
	if s := g.counting.Load(); s != nil {
		s.Batch("write", calls)
	}
}

// Run runs a gateway until ctx ends: then it answers no new request, hands over what is held, and returns. See Options.Leave
// for a stop that is announced.
func Run(ctx context.Context, o Options) error {
	g, err := open(ctx, o)
	if err != nil {
		return err
	}
	served, closed := g.serve(ctx), g.close()
	if b, ok := g.store.(state.Breaker); ok && closed != nil {
		select {
		case <-b.Broken():
			return closed // whatever else failed, failed for that
		default:
		}
	}
	return errors.Join(served, closed)
}

// open makes everything ready that needs no listener. What it opened is closed again where it fails.
func open(ctx context.Context, o Options) (_ *running, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	traffic, sums := repeats.New(o.Log.Handler(), clock.System())
	g := &running{options: o, log: o.Log, traffic: traffic, sums: sums, clock: clock.System(), access: &access.Access{}, asks: make(chan ask)}
	c, err := g.load()
	if err != nil {
		return nil, err
	}
	g.data, g.listen = cmp.Or(o.Data, c.Data, config.DefaultData), cmp.Or(o.Listen, c.Listen, config.DefaultListen)
	limit, err := descriptorLimit()
	if err != nil {
		return nil, err
	}
	if g.descriptors, err = share(limit); err != nil {
		return nil, err
	}
	if g.store, err = g.openStore(ctx, c); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	g.generations = newGenerations(g.store)
	if c.Engine() == config.EngineRedis {
		g.newest = &newest{store: g.store, clock: g.clock}
	}
	// Before a first token is made: it is shown only once, and a start that fails afterwards would never show it.
	if err = g.listenAll(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.public.Close(), g.control.Close())
		}
	}()
	if err = g.begin(ctx, c, func() error { return g.keepOwn(ctx, c) }); err != nil {
		return nil, err
	}
	var isNewest func(context.Context) bool
	if g.newest != nil {
		isNewest = g.isNewest
	}
	g.sender = outbound.New(outbound.Options{Policy: c.Outbound, Clock: g.clock, Version: o.Version, MaxConns: g.descriptors.outgoing})
	g.stats = stats.New(stats.Options{
		Store: g.store, Clock: g.clock, Log: traffic, Version: o.Version,
		Generation:   func() string { return g.plan.Load().Config.Generation },
		Destinations: func() map[string][]string { return g.plan.Load().Destinations() },
	})
	g.counting.Store(g.stats)
	g.loop = deliver.New(deliver.Options{
		Store: g.store, Sender: g.sender, Plan: g.plan.Load, Clock: g.clock, Log: traffic, Observer: g.stats,
		Jitter: mathrand.Float64, FingerprintKey: g.key, Drain: drainFor, Newest: isNewest,
	})
	host, _ := os.Hostname()
	g.streams = stream.New(stream.Options{
		Store: g.store, Stats: g.stats, Clock: g.clock, Log: traffic, Redis: c.Redis.URL.Expose(), Prefix: c.Redis.Prefix, Holder: host,
	})
	g.web = web.New(web.Options{
		Store: g.store, Plan: g.plan.Load, PlanOf: g.planOf, Access: g.access, Stats: g.stats, Clock: g.clock, Log: traffic,
		Bounds:   web.Bounds{Connections: g.descriptors.incoming, Control: g.descriptors.control, Bodies: maxBodies()},
		Problems: g.problems, Reload: g.askReload,
	})
	g.log.Info("bounds of connections", "port", g.descriptors.incoming, "control_socket", g.descriptors.control,
		"destinations", g.descriptors.outgoing, "file_descriptors", limit)
	for _, problem := range g.descriptors.Problems() {
		g.log.Warn("few file descriptors", "err", problem)
	}
	if err = g.begin(ctx, c, func() error { return g.web.Remember(ctx) }); err != nil {
		return nil, err
	}
	return g, nil
}

// begin does a step of the start that needs the store. Redis may be away for a moment; a disk that fails is said at once.
func (g *running) begin(ctx context.Context, c *config.Config, do func() error) error {
	if c.Engine() == config.EngineRedis {
		return g.await(ctx, do)
	}
	return do()
}

// keepOwn finds, or makes, what the gateway itself keeps in the store, and begins to use the configuration. It may be done
// again after it failed.
func (g *running) keepOwn(ctx context.Context, c *config.Config) (err error) {
	if len(c.Tokens) == 0 && g.first == nil {
		if g.first, err = access.OpenFirst(ctx, g.store); err != nil {
			return err
		}
	}
	if g.key, err = fingerprintKey(ctx, g.store, nil); err != nil {
		return err
	}
	return g.use(ctx, c)
}

func (g *running) close() error {
	defer g.sums.Flush()
	if g.sender != nil {
		g.sender.Close()
	}
	return g.store.Close()
}

// serve listens, runs every loop, and stops them in order: requests first, then deliveries, then what keeps the store.
func (g *running) serve(ctx context.Context) error {
	public, control := g.public, g.control
	failed := make(chan error, 4) // one for each that sends
	var servers, keepers sync.WaitGroup
	servers.Go(func() { failed <- g.web.Serve(public) })
	servers.Go(func() { failed <- g.web.ServeSocket(control) })

	deliveries, stopDeliveries := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDeliveries()
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		if err := g.loop.Run(deliveries); err != nil {
			failed <- err
		}
	}()
	upkeep, stopUpkeep := context.WithCancel(context.WithoutCancel(ctx))
	defer stopUpkeep()
	keepers.Go(func() { g.trim(upkeep) })
	keepers.Go(func() { g.watchStore(upkeep) })
	keepers.Go(func() { g.stats.Run(upkeep) })
	keepers.Go(func() { g.sums.Run(upkeep) })
	keepers.Go(func() { g.emptyFormerTexts(upkeep) })
	if err := g.streams.Use(g.plan.Load().Config); err != nil {
		failed <- err
	}
	keepers.Go(func() { g.reloads(upkeep) })
	if g.newest != nil {
		keepers.Go(func() { g.sayNewest(upkeep) })
	}

	if g.options.Started != nil {
		g.options.Started(g.started(ctx, public))
	}
	var broken <-chan struct{}
	if b, ok := g.store.(state.Breaker); ok {
		broken = b.Broken()
	}
	ended := ended{ctx: ctx, failed: failed, broken: broken}
	failure := ended.wait(g.options.Leave, func() (over <-chan time.Time, stop func()) {
		drain := g.plan.Load().Config.Drain
		g.log.Info("stopping: not ready any more, requests are still accepted", "for", drain)
		g.web.Leave()
		return g.clock.After(drain)
	})
	g.log.Info("stopping: no new requests, what is held is handed over")
	g.web.Drain()
	g.streams.Stop()
	// What is held is handed over whatever the clients of the requests that still run do.
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if err := within(ctx, g.web.Shutdown); err != nil {
			g.log.Warn("requests were given up that did not end in time", "err", err)
		}
		// A server that had not begun to serve when it was shut down would serve for ever.
		_, _ = public.Close(), control.Close()
	}()
	stopDeliveries()
	<-delivered
	g.log.Info("what was held is handed over")
	<-answered
	servers.Wait()
	stopUpkeep()
	keepers.Wait()
	failure = errors.Join(failure, within(ctx, g.stats.Close))
	_ = os.Remove(filepath.Join(g.data, socket.Name))
	return failure
}

// ended is what ends a gateway's work.
type ended struct {
	ctx    context.Context
	failed <-chan error
	// broken: whoever watches over the process starts another one; closing the store says why.
	broken <-chan struct{}
}

// wait returns at the end of the work, and with what failed. Told to leave, it calls leave, and returns at the latest
// when that is over.
func (e *ended) wait(told <-chan os.Signal, leave func() (over <-chan time.Time, stop func())) error {
	var over <-chan time.Time
	for {
		select {
		case <-told:
			if over == nil {
				c, stop := leave()
				defer stop()
				over = c
			}
		case <-over:
			return nil
		case <-e.ctx.Done():
			return nil
		case err := <-e.failed:
			return err
		case <-e.broken:
			return nil
		}
	}
}

// within gives one step of a stop its own time, whatever those before it took.
func within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	return do(ctx)
}

// use makes a configuration the running one, or changes nothing.
func (g *running) use(ctx context.Context, c *config.Config) error {
	// The generation is kept before anything is decided with it, so that every decision can be explained.
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
	if err := g.access.Load(c.Tokens, g.first); err != nil {
		return err
	}
	if before := g.plan.Load(); before != nil {
		inherit(before.Config, c)
	}
	g.plan.Store(decide.New(c))
	return nil
}

// inherit keeps what a reload must not restart: the windows of accept_test.
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
	// systemTenant owns what belongs to the gateway itself. No tenant can be named so.
	systemTenant   = "*"
	kindGeneration = "generation"
	kindKey        = "key"
)

// fingerprintKey keys the fingerprints of credentials; it is made at the first start. One that is in use already is kept
// where the store has none.
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
