// Package web is the gateway's HTTP server: intake from platforms, the API, health and metrics.
//
// It listens on TCP, where the API needs a token, and on a unix socket, where everybody who can open the socket may do
// everything. Both serve the same routes. The console is served on TCP: with everything else, or with the API on an address of its own.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/erase"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/renormalise"
	"github.com/surveygate/surveygate/gateway/internal/replay"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/tail"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/api"
	"github.com/surveygate/surveygate/gateway/internal/web/compat"
	"github.com/surveygate/surveygate/gateway/internal/web/inspect"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/listener"
	"github.com/surveygate/surveygate/gateway/internal/web/manage"
	"github.com/surveygate/surveygate/gateway/internal/web/observe"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// Limits of one connection: the size of its headers and its timeouts. Bounds limits all connections together.
const (
	maxHeader     = 8 << 10
	headerTimeout = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 75 * time.Second
)

// Bounds limit what all clients together can occupy. Zero fields have a default.
type Bounds struct {
	// Connections bounds the connections of the port (default MaxConnections), Control those of the control socket (default 64).
	// The socket has its own bound so that clients of the port cannot lock the operator out; so has the console's own address, with
	// Console (default maxConsole).
	Connections, Control, Console int
	// Bodies bounds the bytes of request bodies in memory (default MaxBodies).
	Bodies int64
}

// The default bounds.
const (
	MaxConnections = 10_000
	MaxBodies      = 64 << 20
	maxControl     = 64
	maxConsole     = 512
)

// perAddress is the share of the connections that one address may have, streamsShare the one that streams may have.
const (
	perAddress   = 8
	streamsShare = 4
)

// Options are what the server works with. All but Bounds, Log and Problems are required.
type Options struct {
	Store state.Store
	// Plan returns the running configuration; a reload swaps it. PlanOf returns a tenant's part of an earlier one, by its
	// generation.
	Plan   func() *decide.Plan
	PlanOf func(ctx context.Context, tenant, generation string) (*decide.Plan, error)
	Access *access.Access
	// Console says where the console is. It is that of the start: a reload changes no listener.
	Console config.Console
	// Tenants are those that there are: see NewTenants.
	Tenants *access.Tenants
	Stats   *stats.Stats
	Clock   clock.Clock
	Bounds  Bounds
	// Rates bound how often callers may ask. The zero value has the defaults.
	Rates route.Rates
	// Reload is api.Options.Reload.
	Reload func(ctx context.Context, force bool) (view.Reloaded, error)
	// Due and HoldsChanged tell the delivery loop what a person did: see act.Options. nil: it finds out by itself.
	Due          func()
	HoldsChanged func(ctx context.Context)
	// Vault seals what callers give to be stored.
	Vault *vault.Vault
	// Book reads and changes the documents of tenants.
	Book *settings.Book
	// Jobs run what takes longer than a request; Replay counts and runs replays.
	Jobs   *job.Jobs
	Replay *replay.Replayer
	// Erase counts and runs erasures of persons.
	Erase *erase.Eraser
	// Tail tells what happens.
	Tail *tail.Hub
	// Sender sends the requests that check connections.
	Sender *outbound.Sender
	// Problems returns what readiness warns of beside the problems of the store and of the connections; nil: none.
	Problems func() []view.Warning
	// Log receives problems; nil drops them.
	Log *slog.Logger

	// In tests: writeTimeout is in place of the constant, streams in place of the defaults.
	writeTimeout time.Duration
	streams      sse.Options
}

// App is the server. Make it with New; it is safe for concurrent use.
type App struct {
	options Options
	door    *intake.Door
	guard   *route.Guard
	callers *route.Callers
	manage  *manage.Management
	tcp     *front
	socket  *front
	console *front // the console's own address; nil if it has none
	streams *sse.Streams
	stop    context.CancelFunc
	leaving atomic.Bool
	listens atomic.Pointer[string] // the address of Serve
	apart   atomic.Pointer[string] // the address of ServeConsole
	scrapes [2]scrapes             // of what is public, and of everything
	noise   *rate.Limiter          // of log lines about answers of 503
}

// New returns a server that does not listen yet.
func New(o Options) *App {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Due == nil {
		o.Due = func() {}
	}
	if o.HoldsChanged == nil {
		o.HoldsChanged = func(context.Context) {}
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &App{options: o, stop: stop, noise: rate.NewLimiter(1, 5)}
	a.door = intake.New(intake.Options{Store: o.Store, Plan: o.Plan, Stats: o.Stats, Clock: o.Clock, Log: o.Log, Context: ctx})
	management := api.New(api.Options{
		Store: o.Store, Plan: o.Plan, Access: o.Access, Tenants: o.Tenants, Door: a.door, Clock: o.Clock, Log: o.Log, Context: ctx, Reload: o.Reload,
		Due: o.Due, HoldsChanged: o.HoldsChanged, Vault: o.Vault, Sender: o.Sender, Book: o.Book, Jobs: o.Jobs, Replay: o.Replay, Erase: o.Erase,
		Explain:   &explain.Asker{Store: o.Store, Plan: o.Plan, PlanOf: o.PlanOf, Clock: o.Clock},
		Normalise: &renormalise.Normaliser{Store: o.Store, Plan: o.Plan, Clock: o.Clock, Ended: o.Stats.Ended},
		Ended:     o.Stats.Ended,
		TakeEvents: func(tenant string, n int) error {
			return a.guard.TakeEvents(tenant, n, o.Tenants.EventsPerMinute(tenant))
		},
	})
	links := &access.Links{Store: o.Store, Clock: o.Clock}
	a.callers = &route.Callers{Access: o.Access, Sessions: &access.Sessions{Vault: o.Vault, Clock: o.Clock}, Links: links}
	a.guard = route.New(route.Options{
		Store: o.Store, Callers: a.callers, Tenants: o.Tenants, Rates: o.Rates, Log: o.Log, Context: ctx,
		Remote: func(c *fiber.Ctx) netip.Addr { return intake.Remote(c, o.Plan().Config.TrustedProxies) },
	})
	a.manage = manage.New(manage.Options{
		Store: o.Store, Plan: o.Plan, Access: o.Access, Tenants: o.Tenants, Links: links, Guard: a.guard, Book: o.Book, Clock: o.Clock, Log: o.Log,
		Cascade: management.DeleteTenant, Jobs: o.Jobs, Version: o.Stats.Version(),
		Logins: &access.LoginLinks{Store: o.Store, Clock: o.Clock}, Console: o.Console, Address: func() string { return text(&a.listens) }, ConsoleAddress: func() string { return text(&a.apart) },
	})
	routes := slices.Concat(
		management.Bound(),
		a.manage.Bound(),
		inspect.New(inspect.Options{
			Store: o.Store, Plan: o.Plan, Book: o.Book, Door: a.door, Clock: o.Clock, Log: o.Log,
			Quiet: o.Stats.Quiet, Streams: func() *sse.Streams { return a.streams },
		}).Bound(),
		compat.New(compat.Options{Plan: o.Plan, Book: o.Book, Sender: o.Sender, Clock: o.Clock}).Bound(),
	)
	a.guard.Audit = o.Book.Audit
	routes = append(routes, observe.New(observe.Options{
		Store: o.Store, Plan: o.Plan, Stats: o.Stats, Audit: o.Book.Audit, Clock: o.Clock, Log: o.Log,
		Streams: func() *sse.Streams { return a.streams }, TokensChanged: o.Access.Changed,
		Tail: o.Tail, EventsPerMinute: o.Tenants.EventsPerMinute, Since: o.Tenants.Since, Warnings: func() []string { return a.warnings(true) },
	}).Bound()...)
	bounds := o.Bounds.orDefaults()
	a.options.writeTimeout = cmp.Or(o.writeTimeout, writeTimeout)
	o.streams.WriteTimeout, o.streams.Log = a.options.writeTimeout, o.Log
	own := o.Console.Listen != "" && !o.Console.Off
	shows := bounds.Connections // of the address that shows the console, whose pages the streams are for
	if own {
		shows = bounds.Console
	}
	o.streams.Max = min(cmp.Or(o.streams.Max, sse.DefaultMax), max(shows/streamsShare, 1))
	a.streams = sse.New(o.streams)
	a.tcp = a.front(routes, listener.Options{
		Max: bounds.Connections, PerAddress: max(bounds.Connections/perAddress, 1), Proxy: a.isProxy, Bodies: bounds.Bodies,
	}, route.Port)
	a.socket = a.front(routes, listener.Options{Max: bounds.Control, Bodies: bounds.Bodies}, route.Socket)
	if own {
		a.console = a.front(routes, listener.Options{
			Max: bounds.Console, PerAddress: max(bounds.Console/perAddress, 1), Proxy: a.isProxy, Bodies: bounds.Bodies,
		}, route.Apart)
	}
	return a
}

func (b Bounds) orDefaults() Bounds {
	return Bounds{
		Connections: cmp.Or(b.Connections, MaxConnections), Control: cmp.Or(b.Control, maxControl),
		Console: cmp.Or(b.Console, maxConsole), Bodies: cmp.Or(b.Bodies, MaxBodies),
	}
}

// isProxy reports whether an address is one of the trusted proxies.
func (a *App) isProxy(address netip.Addr) bool {
	return slices.ContainsFunc(a.options.Plan().Config.TrustedProxies, func(n netip.Prefix) bool { return n.Contains(address) })
}

// Remember stores the names of the configured sources for good, so that a source that is removed later answers 503 and not
// 404. Call it at the start and after a reload for all sources, and after a change of overlays for those of their tenants.
func (a *App) Remember(ctx context.Context, tenants ...string) error {
	if err := a.door.Remember(ctx, tenants...); err != nil {
		return fmt.Errorf("remember the sources: %w", err)
	}
	return nil
}

// WatchCaptures follows which sources capture requests because somebody asked for it, on any replica, until ctx ends.
func (a *App) WatchCaptures(ctx context.Context) { a.door.WatchCaptures(ctx) }

// Serve returns a function that answers on a TCP listener until Shutdown. Links name the listener's address from now on, so call Serve
// before anything answers.
func (a *App) Serve(ln net.Listener) func() error {
	a.listens.Store(new(ln.Addr().String()))
	return func() error { return a.tcp.serve(ln) }
}

// ServeConsole is Serve for a TCP listener that the console has for itself. It may be called only if Options.Console has such an address.
func (a *App) ServeConsole(ln net.Listener) func() error {
	a.apart.Store(new(ln.Addr().String()))
	return func() error { return a.console.serve(ln) }
}

// text returns the text that a pointer was set to; empty before that.
func text(p *atomic.Pointer[string]) string {
	if at := p.Load(); at != nil {
		return *at
	}
	return ""
}

// ServeSocket is Serve for a unix socket: without tokens, with every scope. The file mode of the socket decides who may open it.
func (a *App) ServeSocket(ln net.Listener) func() error {
	return func() error { return a.socket.serve(ln) }
}

// Leave makes the gateway not ready while it still accepts everything, so that a load balancer sends requests elsewhere before
// the port closes. Connections are closed after each answer.
func (a *App) Leave() { a.leaving.Store(true) }

// Drain refuses events with 503 from now on and makes the gateway not ready. All other requests are still answered.
func (a *App) Drain() { a.door.Drain() }

// Shutdown drains, ends streams, lets all other requests finish, and stops listening. When ctx ends first, it aborts running
// requests.
func (a *App) Shutdown(ctx context.Context) error {
	a.Drain()
	a.streams.End()
	defer a.stop()
	ended := make(chan struct{})
	defer close(ended)
	var errs []error
	for _, f := range a.fronts() {
		go f.connections.End(ended)
	}
	for _, f := range a.fronts() {
		errs = append(errs, f.shutdown(ctx))
	}
	return errors.Join(errs...)
}

// fronts are all servers.
func (a *App) fronts() []*front {
	all := []*front{a.tcp, a.socket}
	if a.console != nil {
		all = append(all, a.console)
	}
	return all
}

// failed answers a request that a handler, the router or the HTTP server refused.
func (a *App) failed(c *fiber.Ctx, err error) error {
	problem := answer.FromError(err)
	switch {
	case problem.Status == fiber.StatusRequestEntityTooLarge && isServers(err):
		a.door.TooLarge(c)
	case problem.Status == fiber.StatusServiceUnavailable && problem.Cause != nil && a.noise.AllowN(a.options.Clock.Now(), 1):
		a.options.Log.Warn("answering 503", "request_id", answer.RequestID(c.Context()), "err", problem.Cause)
	case problem.Status == fiber.StatusInternalServerError:
		a.options.Log.Error("answering 500", "request_id", answer.RequestID(c.Context()), "err", problem.Cause)
	}
	problem.Write(c.Context())
	return nil
}

// isServers reports whether the HTTP server or the router made the error, so that no handler saw the request.
func isServers(err error) bool {
	var web *fiber.Error
	return errors.As(err, &web)
}

// KeptLists returns the lists that may quote what a person wrote: of requests that the sources of a tenant kept, and of answers for
// Idempotency-Key.
func KeptLists(ctx context.Context, store state.Settings, tenant string, plan *decide.Plan) ([]string, error) {
	var names []string
	for _, s := range plan.Sources(tenant) {
		names = append(names, s.Name)
	}
	lists, err := intake.KeptLists(ctx, store, tenant, names)
	return append(lists, route.AllOnceLists()...), err
}
