// Package manage is the part of /v1 that writes settings: the documents of tenants, and what governs them.
//
// Each resource has a file of its own, with its rows of the table and its handlers.
package manage

import (
	"log/slog"
	"slices"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Options are the dependencies of the package; all are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration.
	Plan   func() *decide.Plan
	Access *access.Access
	// Tenants are those that there are, Links the portal links.
	Tenants *access.Tenants
	Links   *access.Links
	// Logins are the login links.
	Logins *access.LoginLinks
	// Console says where the console is. Address is where the gateway is served, as 127.0.0.1:8080, and ConsoleAddress where the console
	// has an address of its own; empty: not yet, or it has none.
	Console                 config.Console
	Address, ConsoleAddress func() string
	// Jobs has the replays of tenants.
	Jobs *job.Jobs
	// Guard bounds logins.
	Guard *route.Guard
	// Cascade starts the deletion of a tenant with all that it owns, and answers with its job; nil: that cannot be asked for.
	Cascade func(c *route.Call) error
	// Book reads and changes the documents of tenants.
	Book  *settings.Book
	Clock clock.Clock
	Log   *slog.Logger
	// Version is the program's.
	Version string
}

// Management answers the routes. Make it with New; it is safe for concurrent use.
type Management struct {
	Options
	importing chan struct{} // has room for one import
}

// New returns what answers the routes.
func New(o Options) *Management { return &Management{Options: o, importing: make(chan struct{}, 1)} }

// row is a route and its handler, a method of Management.
type row struct {
	serve func(*Management, *route.Call) error
	route.Route
}

// table returns the rows of all resources.
func table() []row {
	return slices.Concat(documentRows(), secretRows(), enableRows(), tenantRows(), tokenRows(), linkRows(), loginRows(), transferRows(), meRows())
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
func (m *Management) Bound() []route.Bound {
	var all []route.Bound
	for _, r := range table() {
		all = append(all, route.Bound{Route: r.Route, Serve: func(c *route.Call) error { return r.serve(m, c) }})
	}
	return all
}
