// Package inspect is the part of /v1 that shows what would happen before it does: it tries drafts of documents, tests the requests of
// platforms, suggests settings, keeps them for a while to be looked at, and lists the types of events.
package inspect

import (
	"bytes"
	"log/slog"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/backtest"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/compare"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/suggest"
	"github.com/surveygate/surveygate/gateway/internal/try"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// Options are the dependencies of the package; all are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration.
	Plan func() *decide.Plan
	Book *settings.Book
	// Door accepts events.
	Door  *intake.Door
	Clock clock.Clock
	Log   *slog.Logger
	// Quiet reports that the gateway handles no traffic: scans of events then run at full speed.
	Quiet func() bool
	// Streams returns the server's streams, which answer what takes long.
	Streams func() *sse.Streams
}

// Inspection answers the routes. Make it with New; it is safe for concurrent use.
type Inspection struct {
	Options
	gate       *try.Gate
	tryer      try.Tryer
	suggester  suggest.Suggester
	long       *try.Gate // of what takes seconds to minutes: tries must not wait for it
	backtester backtest.Backtester
	planner    compare.Planner
}

// New returns what answers the routes.
func New(o Options) *Inspection {
	system := clock.System() // callers wait by it, and work is measured by it, whatever the clock of a test
	return &Inspection{
		Options: o, gate: try.NewGate(system), long: try.NewLongGate(system),
		tryer:      try.Tryer{Store: o.Store, Book: o.Book, Plan: o.Plan, Now: o.Clock.Now, Clock: system},
		suggester:  suggest.Suggester{Store: o.Store, Plan: o.Plan, Clock: system, Quiet: o.Quiet},
		backtester: backtest.Backtester{Store: o.Store, Book: o.Book, Plan: o.Plan, Now: o.Clock.Now, Clock: system, Quiet: o.Quiet},
		planner:    compare.Planner{Store: o.Store, Book: o.Book, Plan: o.Plan, Now: o.Clock.Now, Clock: system, Quiet: o.Quiet},
	}
}

// row is a route and its handler, a method of Inspection.
type row struct {
	serve func(*Inspection, *route.Call) error
	route.Route
}

// table returns the rows of all resources.
func table() []row {
	return slices.Concat(tryRows(), backtestRows(), planRows(), eventTypeRows(), sourceRows(), suggestionRows())
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
func (i *Inspection) Bound() []route.Bound {
	var all []route.Bound
	for _, r := range table() {
		all = append(all, route.Bound{Route: r.Route, Serve: func(c *route.Call) error { return r.serve(i, c) }})
	}
	return all
}

// MaxBody is the largest body that a route of this package takes: an event or a platform's body, or a draft of documents.
const MaxBody = 2 * intake.MaxBody

// TakesLong reports whether the body of a POST may be as long as MaxBody.
func TakesLong(path []byte) bool {
	path = bytes.TrimSuffix(path, []byte("/"))
	return string(path) == "/v1/try" || string(path) == "/v1/backtests" || bytes.HasPrefix(path, []byte("/v1/sources/")) && bytes.HasSuffix(path, []byte("/test"))
}
