// Package run wires the parts of a gateway, and owns its start, its reloads, its upkeep and its stop.
package run

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/deletion"
	"github.com/surveygate/surveygate/gateway/internal/deliver"
	"github.com/surveygate/surveygate/gateway/internal/erase"
	"github.com/surveygate/surveygate/gateway/internal/files"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/notice"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/repeats"
	"github.com/surveygate/surveygate/gateway/internal/replay"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/stream"
	"github.com/surveygate/surveygate/gateway/internal/tail"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/web"
)

// Options are those of gateway.Options, where they are documented, and what only this package's callers know.
type Options struct {
	Config, Listen, Data, Redis string

	Env           func(name string) (string, bool)
	Log           *slog.Logger
	Reload, Leave <-chan os.Signal
	Started       func(Started)
	Token         func(data, token string)

	// LostKeys are the ids of keys of the vault that are lost for good.
	LostKeys []string

	// Version is the program's, for the User-Agent and for metrics.
	Version string

	// What tests set; zero is the constant of that name, and the system's clock.
	clock        clock.Clock
	lookEvery    time.Duration
	unchangedFor time.Duration

	files *files.Reader // what reads the configuration; nil is a new one
}

// Started is gateway.Started, where it is documented.
type Started struct {
	Address  string             `json:"address"`
	Console  string             `json:"console,omitempty"`
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
	return config.Load(config.Options{Path: o.Config, Env: env, Listen: o.Listen, Redis: o.Redis, Files: o.files})
}

// gateway is everything between start and stop.
type gateway struct {
	options Options
	data    string // folder of the store and of the control socket
	listen  string // host:port
	life    *lifecycle
	log     *slog.Logger
	traffic *slog.Logger // log, for lines that events and requests can cause: repeated ones are summed up
	clock   clock.Clock

	store      state.Store
	storeErr   error         // of closing the store
	newest     *newest       // nil on the embedded engine, which has no replicas
	firstToken *access.First // used by the goroutine that reloads, once that runs; nil where the configuration has tokens
	key        []byte        // of fingerprints of credentials
	vault      *vault.Vault  // seals secrets in the store
	keyWarning string        // of a missing key that nothing needs
	access     *access.Access
	register   *access.Register // of the tokens and tenants in the store
	stats      *stats.Stats
	counting   atomic.Pointer[stats.Stats] // stats, for the store, which writes before they are there
	sender     *outbound.Sender
	loop       *deliver.Loop
	streams    *stream.Readers
	web        *web.App
	public     net.Listener
	console    net.Listener // nil if the console has no address of its own
	control    net.Listener

	descriptors descriptors // how many files and connections each part may have
	onHold      onHold

	waitingBound waitingBound // used by the goroutine that applies retention

	plan        running
	removed     *removedSteps
	settings    *settings.Worker // brings documents of tenants into the plan
	book        *settings.Book   // reads and changes the documents of tenants
	leaving     *settings.Leaving
	jobs        *job.Jobs          // replays of many deliveries, and other work that outlives a request
	stored      *storedGenerations // configurations in the store, for later explanations
	generations *generations       // older configurations, for explanations
	reloading   reloading
	audit       *audit.Log
	notices     *notice.Notifier
	tail        *tail.Hub // tells who watches what happens
}

// grouped counts how many callers of the store shared a write.
func (g *gateway) grouped(calls int) {
	if s := g.counting.Load(); s != nil {
		s.Batch("write", calls)
	}
}

// tokenFetched counts a request to a token endpoint.
func (g *gateway) tokenFetched(tenant, destination, result string) {
	if s := g.counting.Load(); s != nil {
		s.TokenFetched(tenant, destination, result)
	}
}

// Run is gateway.Run.
func Run(ctx context.Context, o Options) error {
	g, err := open(ctx, o)
	if err != nil {
		return err
	}
	err = g.serve(ctx)
	if b, ok := g.store.(state.Breaker); ok && g.storeErr != nil {
		select {
		case <-b.Broken():
			return g.storeErr // the cause of every other error
		default:
		}
	}
	return err
}

// open makes every part; serve runs them. Where it fails, it closes what it opened.
func open(ctx context.Context, o Options) (_ *gateway, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.clock == nil {
		o.clock = clock.System()
	}
	o.lookEvery, o.unchangedFor = cmp.Or(o.lookEvery, lookEvery), cmp.Or(o.unchangedFor, unchangedFor)
	traffic, sums := repeats.New(o.Log.Handler(), o.clock)
	g := &gateway{
		options: o, life: newLifecycle(), log: o.Log, traffic: traffic, clock: o.clock, access: &access.Access{},
		reloading: reloading{requests: make(chan reloadRequest)}, removed: newRemovedSteps(),
	}
	g.life.add(part{
		name:  "sums of repeated log lines",
		run:   func(ctx context.Context) error { sums.Run(ctx); return nil },
		close: func(context.Context) error { sums.Flush(); return nil },
	})
	c, err := g.load()
	if err != nil {
		return nil, err
	}
	g.data, g.listen = cmp.Or(o.Data, c.Data, config.DefaultData), cmp.Or(c.Listen, config.DefaultListen)
	limit, err := descriptorLimit()
	if err != nil {
		return nil, err
	}
	if g.descriptors, err = share(limit, c.Console.Listen != ""); err != nil {
		return nil, err
	}
	if g.store, err = g.openStore(ctx, c); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.life.stop(ctx))
		}
	}()
	g.life.add(part{name: "store", close: func(context.Context) error {
		g.storeErr = g.store.Close()
		return g.storeErr
	}})
	g.stored, g.generations = newStoredGenerations(g.store, g.clock), newGenerations(g.store)
	if c.Engine() == config.EngineRedis {
		g.newest = &newest{store: g.store, clock: g.clock}
	}
	// Before the first token is made: it is shown only once, and a start that failed afterwards would never show it.
	if err = g.listenAll(ctx, c.Console.Listen); err != nil {
		return nil, err
	}
	if err = g.begin(ctx, c, func() error { return g.openVault(ctx, c) }); err != nil {
		return nil, err
	}
	g.newRegister()
	if err = g.begin(ctx, c, func() error { return g.register.Load(ctx) }); err != nil {
		return nil, err
	}
	// Before the first plan: no event may be decided by the base alone because its tenant's documents were not read yet.
	if err = g.begin(ctx, c, func() error { return g.loadDocuments(ctx) }); err != nil {
		return nil, err
	}
	if err = g.begin(ctx, c, func() error { return g.keepOwn(ctx, c) }); err != nil {
		return nil, err
	}
	var isNewest func(context.Context) bool
	if g.newest != nil {
		isNewest = g.isNewest
	}
	tokens := oauth.New(oauth.Options{
		Store: g.store, Vault: g.vault, Clock: g.clock, Log: traffic, Jitter: mathrand.Float64, FingerprintKey: g.key,
		Fetched: g.tokenFetched,
	})
	g.sender = outbound.New(outbound.Options{
		Policy: c.Outbound, Clock: g.clock, Version: o.Version, MaxConns: g.descriptors.outgoing, Tokens: tokens,
	})
	g.life.add(part{name: "sender", close: func(context.Context) error { g.sender.Close(); return nil }})
	holder := ""
	if g.newest == nil {
		tokens.Holder, holder = "gateway", "gateway" // the only process of this store
	}
	g.life.add(part{name: "access tokens", close: tokens.Close})
	g.stats = stats.New(stats.Options{
		Store: g.store, Clock: g.clock, Log: traffic, Version: o.Version,
		Generation:   func() string { return g.plan.Load().Config.Generation },
		Destinations: func() map[string][]string { return g.plan.Load().Destinations() },
		Documents:    g.documentStats,
		Public:       func() *config.Public { return g.plan.Load().Public() },

		EventsPerMinute: g.register.Tenants.EventsPerMinute,
	})
	g.counting.Store(g.stats)
	g.notices = notice.New(notice.Options{Store: g.store, Plan: g.plan.Load, Clock: g.clock, Log: traffic, Holder: holder})
	g.audit = &audit.Log{Store: g.store, Clock: g.clock, Added: g.notices.Changed}
	g.tail = tail.New(g.clock)
	g.loop = deliver.New(deliver.Options{
		Store: g.store, Sender: g.sender, Plan: g.plan.Load, Clock: g.clock, Log: traffic, Observer: observed{g.stats, g.tail},
		Jitter: mathrand.Float64, FingerprintKey: g.key, Drain: stopWithin, Newest: isNewest, Died: g.notices.Died, Attempted: g.tail.Attempted,
	})
	host, _ := os.Hostname()
	g.streams = stream.New(stream.Options{
		Store: g.store, Stats: g.stats, Clock: g.clock, Log: traffic, Redis: c.Redis.URL.Expose(), Prefix: c.Redis.Prefix, Holder: host,
	})
	g.leaving = g.newLeaving()
	g.book = g.newBook()
	replayer := &replay.Replayer{Options: replay.Options{Store: g.store, Plan: g.plan.Load, Clock: g.clock, Due: g.loop.Wake, Ended: g.countDropped}}
	eraser := &erase.Eraser{Options: erase.Options{
		Store: g.store, Vault: g.vault, Audit: g.audit, Clock: g.clock, Ended: g.countDropped, Plan: g.plan.Load,
		Lists: func(ctx context.Context, tenant string) ([]string, error) {
			return web.KeptLists(ctx, g.store, tenant, g.plan.Load())
		},
	}}
	g.jobs = job.New(job.Options{Store: g.store, Clock: g.clock, Log: traffic, Holder: holder, Kinds: map[string]job.Kind{
		replay.Kind: replayer.Work, replay.DropKind: replayer.Work, deletion.Kind: g.newDeleter().Work, erase.Kind: eraser.Work,
	}})
	g.web = web.New(web.Options{
		Jobs: g.jobs, Replay: replayer, Erase: eraser, Tail: g.tail,
		Store: g.store, Plan: g.plan.Load, PlanOf: g.planOf, Access: g.access, Console: c.Console, Tenants: g.register.Tenants, Stats: g.stats, Clock: g.clock, Log: traffic,
		Bounds: web.Bounds{Connections: g.descriptors.incoming, Control: g.descriptors.control, Console: g.descriptors.console, Bodies: maxBodies()},
		Vault:  g.vault, Sender: g.sender, Book: g.book, Problems: g.problems, Reload: g.requestReload, Due: g.loop.Wake, HoldsChanged: g.loop.HoldsChanged,
	})
	g.log.Info("bounds of connections", "port", g.descriptors.incoming, "control_socket", g.descriptors.control,
		"console", g.descriptors.console, "destinations", g.descriptors.outgoing, "file_descriptors", limit)
	for _, problem := range g.descriptors.Problems() {
		g.log.Warn("few file descriptors", "err", problem)
	}
	if err = g.begin(ctx, c, func() error { return g.web.Remember(ctx) }); err != nil {
		return nil, err
	}
	g.addParts()
	return g, nil
}
