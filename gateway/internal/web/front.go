package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/docs"
	"github.com/surveygate/surveygate/gateway/internal/web/listener"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// front is one HTTP server over the routes: that of the port, of the control socket, or of the console's own address.
type front struct {
	app             *App
	entry           route.Entry
	console, portal bool // it serves their pages
	fiber           *fiber.App
	connections     *listener.Connections
	routes          fasthttp.RequestHandler

	mu        sync.Mutex
	listening net.Listener // since serve
	ended     bool         // shutdown was called
}

// errNoRoom means that the server has no memory left to read the body of the request.
var errNoRoom = errors.New("too many connections, or too many bodies are being read")

func (a *App) front(routes []route.Bound, bounds listener.Options, entry route.Entry) *front {
	bounds.Log = a.options.Log
	bounds.Refusal = func() []byte { return noRoom().ClosingResponse() }
	open := entry == route.Socket
	at := a.options.Console
	f := &front{
		app: a, entry: entry, connections: listener.New(bounds),
		console: entry == route.Apart || entry == route.Port && !at.Off && at.Listen == "",
		portal:  entry == route.Port && !at.Off,
	}
	f.fiber = fiber.New(fiber.Config{
		DisableStartupMessage: true,
		CaseSensitive:         true,
		StrictRouting:         false, // platforms add slashes
		ErrorHandler:          a.failed,
		// The bounds are the listener's. The server would answer in a shape of its own, and connections that gave way may
		// not have left it yet.
		Concurrency:    2*bounds.Max + 1024,
		ReadBufferSize: maxHeader,
		ReadTimeout:    headerTimeout,
		WriteTimeout:   a.options.writeTimeout,
		IdleTimeout:    idleTimeout,
		// Bodies are read by readBody, into memory that grows with what came. The server itself reads one byte ahead:
		// its own limit is how much it takes room for before anything came.
		StreamRequestBody: true,
		BodyLimit:         1,
		// A form is proved by its bytes: parsed and written again it would be another one.
		DisablePreParseMultipartForm: true,
	})
	if entry != route.Apart {
		a.door.Mount(f.fiber)
	}
	a.guard.Mount(f.fiber, entry, routes)
	docs.Mount(f.fiber, a.isProxy)
	f.fiber.Get("/healthz", a.alive)
	f.fiber.Get("/readyz", func(c *fiber.Ctx) error { return a.ready(c, a.whole(c, open)) })
	f.fiber.Get("/metrics", func(c *fiber.Ctx) error { return a.metrics(c, a.whole(c, open)) })

	server := f.fiber.Server()
	f.routes = server.Handler
	a.mountPages(f)
	server.Handler = f.handle
	server.HeaderReceived = f.headerReceived
	server.ExpectHandler = f.expected
	server.CloseOnShutdown = true
	return f
}

func noRoom() *answer.Problem {
	return answer.Unavailable("there is no room for more requests now", answer.DefaultRetryAfter, errNoRoom)
}

// serve answers on a listener until shutdown, and closes it. After a shutdown it answers nothing.
func (f *front) serve(ln net.Listener) error {
	f.mu.Lock()
	ended := f.ended
	f.listening = ln
	f.mu.Unlock()
	if ended {
		return ln.Close()
	}
	if err := f.fiber.Listener(f.connections.Listen(ln)); err != nil {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// shutdown lets running requests finish until ctx ends, and ends serve.
func (f *front) shutdown(ctx context.Context) error {
	f.mu.Lock()
	f.ended = true
	ln := f.listening
	f.mu.Unlock()
	err := f.fiber.ShutdownWithContext(ctx)
	if ln != nil {
		_ = ln.Close() // a server that has not begun to accept does not know its listener yet
	}
	return err
}

// handle reads the body of a request, answers it, and reports its progress to the connection.
func (f *front) handle(c *fasthttp.RequestCtx) {
	conn := c.Conn().(*listener.Conn)
	defer func() {
		// A stream is served until its connection is closed: it waits for no client, and gives way to none.
		if !c.Response.IsBodyStream() {
			conn.EndServing()
		}
	}()
	defer f.recovered(c)
	if f.app.leaving.Load() {
		defer c.SetConnectionClose()
	}
	if ambiguous(&c.Request.Header) {
		c.SetConnectionClose()
	}
	if c.Request.IsBodyStream() {
		if err := f.readBody(c, conn); err != nil {
			f.refuse(c, conn, err)
			return
		}
	}
	if !conn.BeginServing() { // it was evicted, and nothing can be answered
		c.SetConnectionClose()
		return
	}
	f.route(c)
}

// refuse answers a request that was not read to its end.
func (f *front) refuse(c *fasthttp.RequestCtx, conn *listener.Conn, err error) {
	conn.DrainOnClose()
	c.SetConnectionClose()
	c.Request.ResetBody()
	each := f.fiber.AcquireCtx(c)
	defer f.fiber.ReleaseCtx(each)
	_ = f.app.failed(each, err) // it answers whatever it is
}

// recovered is deferred: a panic in one request must not end the process.
func (f *front) recovered(c *fasthttp.RequestCtx) {
	if r := recover(); r != nil {
		f.app.options.Log.Error("panic while answering", "request_id", answer.RequestID(c), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		c.Response.Reset()
		c.SetConnectionClose() // the request may not have been read
		answer.FromError(errPanic).Write(c)
	}
}

// route answers a request that was read, also of a method that the router does not know.
func (f *front) route(c *fasthttp.RequestCtx) {
	if !c.IsPost() && !c.IsGet() && !knownMethod(c.Method()) {
		answer.FromError(fiber.ErrMethodNotAllowed).Write(c)
		return
	}
	f.routes(c)
}

var errPanic = errors.New("panic")

func knownMethod(method []byte) bool {
	return slices.Contains(fiber.DefaultMethods, string(method))
}
