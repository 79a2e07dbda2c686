// Package web is the gateway's HTTP server: platforms and events in, the API, health and metrics.
//
// It listens on TCP, where the API wants a token, and on a unix socket, where whoever can open it may do
// everything. Both are the same routes over the same rooms.
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

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/renormalise"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/api"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/listener"
)

// What a stranger can make the server hold: the headers of each connection, and for how long. How many connections and
// how much of bodies is in Bounds.
const (
	maxHeader     = 8 << 10
	headerTimeout = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 75 * time.Second
)

// Bounds are what all clients together can make the server hold. What is zero has a default.
type Bounds struct {
	// Connections are those of the port, Control those of the control socket, which has its own so that strangers cannot
	// keep the operator out. Without them, MaxConnections and 64.
	Connections, Control int
	// Bodies is how many bytes of request bodies are held at once; without it, MaxBodies.
	Bodies int64
}

// The bounds where nothing makes them smaller.
const (
	MaxConnections = 10_000
	MaxBodies      = 64 << 20
	maxControl     = 64
)

// perAddress is the share of the connections that one address may have.
const perAddress = 8

// Options are what the server works with. All but Bounds, Log and Problems are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration; a reload swaps it. PlanOf is one that ran before, by its generation, as a tenant
	// sees it.
	Plan   func() *decide.Plan
	PlanOf func(ctx context.Context, tenant, generation string) (*decide.Plan, error)
	Access *access.Access
	Stats  *stats.Stats
	Clock  clock.Clock
	Bounds Bounds
	// Reload is api.Options.Reload.
	Reload func(ctx context.Context, force bool) (view.Reloaded, error)
	// Due and HoldsChanged tell the delivery loop what a person did: see act.Options. nil: it finds out by itself.
	Due          func()
	HoldsChanged func(ctx context.Context)
	// Problems are what readiness warns of besides the store's and the connections' own; nil is none.
	Problems func() []string
	// Log is where problems go; nil drops them.
	Log *slog.Logger
}

// App is the server. Make it with New; it is safe for concurrent use.
type App struct {
	options Options
	door    *intake.Door
	tcp     *front
	socket  *front
	stop    context.CancelFunc
	leaving atomic.Bool
	scrapes scrapes
	noise   *rate.Limiter // of log lines about answers of 503
}

// New is a server that does not listen yet.
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
		Store: o.Store, Plan: o.Plan, Access: o.Access, Door: a.door, Clock: o.Clock, Log: o.Log, Context: ctx, Reload: o.Reload,
		Due: o.Due, HoldsChanged: o.HoldsChanged,
		Explain:   &explain.Asker{Store: o.Store, Plan: o.Plan, PlanOf: o.PlanOf, Clock: o.Clock},
		Normalise: &renormalise.Normaliser{Store: o.Store, Plan: o.Plan, Clock: o.Clock},
	})
	bounds := o.Bounds.orDefaults()
	a.tcp = a.front(management, listener.Options{
		Max: bounds.Connections, PerAddress: max(bounds.Connections/perAddress, 1), Proxy: a.isProxy, Bodies: bounds.Bodies,
	}, false)
	a.socket = a.front(management, listener.Options{Max: bounds.Control, Bodies: bounds.Bodies}, true)
	return a
}

func (b Bounds) orDefaults() Bounds {
	return Bounds{
		Connections: cmp.Or(b.Connections, MaxConnections), Control: cmp.Or(b.Control, maxControl),
		Bodies: cmp.Or(b.Bodies, MaxBodies),
	}
}

// isProxy says that an address is one of the proxies in front of the gateway.
func (a *App) isProxy(address netip.Addr) bool {
	return slices.ContainsFunc(a.options.Plan().Config.TrustedProxies, func(n netip.Prefix) bool { return n.Contains(address) })
}

// Remember keeps the names of the configured sources for good, so that one that is taken away later answers 503 and
// not 404. Call it at start and after a reload.
func (a *App) Remember(ctx context.Context) error {
	if err := a.door.Remember(ctx); err != nil {
		return fmt.Errorf("remember the sources: %w", err)
	}
	return nil
}

// Serve answers on a TCP listener until Shutdown.
func (a *App) Serve(ln net.Listener) error { return a.tcp.serve(ln) }

// ServeSocket answers on a unix socket until Shutdown: without tokens, with every scope. Whoever made the listener
// has seen to its file's mode.
func (a *App) ServeSocket(ln net.Listener) error { return a.socket.serve(ln) }

// Leave makes the gateway not ready while everything is still accepted, so that a balancer sends elsewhere before the port
// closes. Connections are closed after each answer.
func (a *App) Leave() { a.leaving.Store(true) }

// Drain refuses events from now on with 503 and makes the gateway not ready; everything else goes on answering.
func (a *App) Drain() { a.door.Drain() }

// Shutdown drains, finishes the requests that run, and stops listening. When ctx ends first, requests that still run
// are given up.
func (a *App) Shutdown(ctx context.Context) error {
	a.Drain()
	defer a.stop()
	ended := make(chan struct{})
	defer close(ended)
	go a.tcp.connections.End(ended)
	go a.socket.connections.End(ended)
	return errors.Join(a.tcp.fiber.ShutdownWithContext(ctx), a.socket.fiber.ShutdownWithContext(ctx))
}

// failed is what is answered where a handler, the router or the HTTP server found fault.
func (a *App) failed(c *fiber.Ctx, err error) error {
	problem := answer.Of(err)
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

// isServers says that no handler saw the request.
func isServers(err error) bool {
	var web *fiber.Error
	return errors.As(err, &web)
}
