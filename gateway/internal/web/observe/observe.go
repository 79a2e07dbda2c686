// Package observe answers those who watch a tenant: its health, an overview with what needs attention, a stream of signals that something has changed, and the audit.
package observe

import (
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/tail"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// Options are the dependencies of the package; all are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration.
	Plan  func() *decide.Plan
	Stats *stats.Stats
	Audit *audit.Log
	Clock clock.Clock
	Log   *slog.Logger
	// Tail tells what happens.
	Tail *tail.Hub
	// Streams returns the streams of the server.
	Streams func() *sse.Streams
	// Since is access.Tenants.Since.
	Since func(tenant string) time.Time
	// EventsPerMinute is access.Tenants.EventsPerMinute.
	EventsPerMinute func(tenant string) int
	// TokensChanged is access.Access.Changed.
	TokensChanged func() <-chan struct{}
	// Warnings returns the warnings of readiness, with all names.
	Warnings func() []string
}

// Observer answers the routes. Make it with New; it is safe for concurrent use.
type Observer struct {
	Options

	signals signals
	titles  titles
}

// New returns what answers the routes.
func New(o Options) *Observer {
	observer := &Observer{Options: o}
	observer.signals.init(observer)
	return observer
}

// row is a route and its handler, a method of Observer.
type row struct {
	serve func(*Observer, *route.Call) error
	route.Route
}

func table() []row {
	return []row{
		{(*Observer).health, route.Route{
			Method: fiber.MethodGet, Path: "/v1/health", Scope: access.Read, AllTenants: true, Out: view.Health{},
			For: "how the tenant stands: events, deliveries, what waits and is dead, holds, broken documents; with `tenant=*` the whole gateway",
		}},
		{(*Observer).overview, route.Route{
			Method: fiber.MethodGet, Path: "/v1/overview", Scope: access.Read, AllTenants: true, Out: view.Overview{},
			For: "figures of the last 24 hours, and what needs a person first: holds, dead letters, sources that refuse or are silent, rules that err, broken documents",
		}},
		{(*Observer).surveys, route.Route{
			Method: fiber.MethodGet, Path: "/v1/surveys", Scope: access.Read, Query: []string{"q", "limit", "cursor"}, Out: view.Page[view.Survey]{},
			For: "surveys with a response in 28 days, those with most first: responses and NPS by week",
		}},
		{(*Observer).live, route.Route{
			Method: fiber.MethodGet, Path: "/v1/live", Scope: access.Read, AllTenants: true,
			Out:      route.Media{"text/event-stream": route.Text("")},
			For:      "signals as server-sent events: `tick`, `hold` and `settings` say that there is something to read again",
			Statuses: []int{fiber.StatusTooManyRequests, fiber.StatusServiceUnavailable},
		}},
		{(*Observer).tail, route.Route{
			Method: fiber.MethodGet, Path: "/v1/tail", Scope: access.Read, Query: []string{"rule", "destination", "source", "failed"},
			Out:      route.Media{"text/event-stream": view.TailLine{}},
			For:      "events and deliveries as they happen, as server-sent events: each is one object, and those that are read too slowly are counted as missed; with Redis, those of the replica that answers",
			Statuses: []int{fiber.StatusTooManyRequests, fiber.StatusServiceUnavailable},
		}},
		{(*Observer).audit, route.Route{
			Method: fiber.MethodGet, Path: "/v1/audit", Scope: access.Admin, AllTenants: true, Out: view.Page[view.AuditLine]{},
			Query: []string{"of", "by", "since", "until", "limit", "cursor"},
			For:   "who changed what, and did what by hand, newest first; with `tenant=*` what was done to the gateway itself",
		}},
	}
}

// Routes returns all routes.
func Routes() []route.Route {
	var all []route.Route
	for _, r := range table() {
		all = append(all, r.Route)
	}
	return all
}

// Bound returns all routes with their handlers.
func (o *Observer) Bound() []route.Bound {
	var all []route.Bound
	for _, r := range table() {
		all = append(all, route.Bound{Route: r.Route, Serve: func(c *route.Call) error { return r.serve(o, c) }})
	}
	return all
}
