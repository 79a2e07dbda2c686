// Package web is the gateway's HTTP server: platforms and events in, the API, health and metrics.
//
// It listens on TCP, where the API wants a token, and on a unix socket, where whoever can open it may do
// everything. Both are the same routes over the same rooms.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/api"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// What a stranger can make the server hold: connections, the headers of each, and for how long.
const (
	maxConnections = 10_000
	maxHeader      = 8 << 10
	readTimeout    = 30 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 75 * time.Second
)

// Options are what the server works with. All but Log and Problems are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration; a reload swaps it. PlanOf is one that ran before, by its generation, as a tenant
	// sees it.
	Plan   func() *decide.Plan
	PlanOf func(ctx context.Context, tenant, generation string) (*decide.Plan, error)
	Access *access.Access
	Stats  *stats.Stats
	Clock  clock.Clock
	// Problems are what readiness warns of besides the store's own; nil is none.
	Problems func() []string
	// Log is where problems go; nil drops them.
	Log *slog.Logger
}

// App is the server. Make it with New; it is safe for concurrent use.
type App struct {
	options Options
	door    *intake.Door
	tcp     *fiber.App
	socket  *fiber.App
	stop    context.CancelFunc
	noise   *rate.Limiter // of log lines about answers of 503
}

// New is a server that does not listen yet.
func New(o Options) *App {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &App{options: o, stop: stop, noise: rate.NewLimiter(1, 5)}
	a.door = intake.New(intake.Options{Store: o.Store, Plan: o.Plan, Stats: o.Stats, Clock: o.Clock, Log: o.Log, Context: ctx})
	management := api.New(api.Options{
		Store: o.Store, Plan: o.Plan, Access: o.Access, Door: a.door, Clock: o.Clock, Log: o.Log, Context: ctx,
		Explain: &explain.Asker{Store: o.Store, Plan: o.Plan, PlanOf: o.PlanOf, Clock: o.Clock},
	})
	a.tcp = a.server(management, false)
	a.socket = a.server(management, true)
	return a
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
func (a *App) Serve(ln net.Listener) error { return serve(a.tcp, ln) }

// ServeSocket answers on a unix socket until Shutdown: without tokens, with every scope. Whoever made the listener
// has seen to its file's mode.
func (a *App) ServeSocket(ln net.Listener) error { return serve(a.socket, ln) }

func serve(app *fiber.App, ln net.Listener) error {
	if err := app.Listener(ln); err != nil {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// Drain refuses events from now on with 503 and makes the gateway not ready; everything else goes on answering.
func (a *App) Drain() { a.door.Drain() }

// Shutdown drains, finishes the requests that run, and stops listening. When ctx ends first, requests that still run
// are given up.
func (a *App) Shutdown(ctx context.Context) error {
	a.Drain()
	defer a.stop()
	return errors.Join(a.tcp.ShutdownWithContext(ctx), a.socket.ShutdownWithContext(ctx))
}

func (a *App) server(management *api.API, open bool) *fiber.App {
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		CaseSensitive:         true,
		StrictRouting:         false, // platforms add slashes
		ErrorHandler:          a.failed,
		BodyLimit:             intake.MaxRead,
		Concurrency:           maxConnections,
		ReadBufferSize:        maxHeader,
		ReadTimeout:           readTimeout,
		WriteTimeout:          writeTimeout,
		IdleTimeout:           idleTimeout,
		// A form is proved by its bytes: parsed and written again it would be another one.
		DisablePreParseMultipartForm: true,
	})
	a.door.Mount(app)
	management.Mount(app, open)
	app.Get("/healthz", a.alive)
	app.Get("/readyz", a.ready)
	app.Get("/metrics", a.metrics)

	server := app.Server()
	server.Handler = a.guard(server.Handler)
	server.HeaderReceived = func(h *fasthttp.RequestHeader) fasthttp.RequestConfig { return a.limit(h, open) }
	server.CloseOnShutdown = true
	return app
}

// limit lets larger bodies in only from who may publish many events at once, before a byte of them is read.
func (a *App) limit(h *fasthttp.RequestHeader, open bool) fasthttp.RequestConfig {
	var c fasthttp.RequestConfig
	if !strings.HasPrefix(string(h.RequestURI()), "/v1/events") { // compiled without a copy
		return c
	}
	if !open {
		grant := a.options.Access.Grant(access.Bearer(h.Peek(fasthttp.HeaderAuthorization)))
		if grant == nil || !grant.May(access.Publish) {
			return c
		}
	}
	c.MaxRequestBodySize = api.MaxBody
	return c
}

// guard keeps a panic in one request from ending them all, and answers methods that the router does not know.
func (a *App) guard(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		defer func() {
			if r := recover(); r != nil {
				a.options.Log.Error("panic while answering", "request_id", answer.RequestID(c), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				c.Response.Reset()
				answer.Of(errPanic).Write(c)
			}
		}()
		if !c.IsPost() && !c.IsGet() && !knownMethod(c.Method()) {
			answer.Of(fiber.ErrMethodNotAllowed).Write(c)
			return
		}
		next(c)
	}
}

var errPanic = errors.New("panic")

func knownMethod(method []byte) bool {
	return slices.Contains(fiber.DefaultMethods, string(method))
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
