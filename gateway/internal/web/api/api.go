// Package api is the gateway's own API, /v1: it publishes events, shows what is stored, and acts on it.
//
// Every route is one row of a table with the scope that it needs. A handler serves one tenant, the caller's, and passes it to
// every call of the store.
package api

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/act"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/renormalise"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// Options are the dependencies of the API; all are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration.
	Plan    func() *decide.Plan
	Access  *access.Access
	Explain *explain.Asker
	// Normalise reads raw bodies once more.
	Normalise *renormalise.Normaliser
	// Vault seals what callers give to be stored.
	Vault *vault.Vault
	// Sender sends the requests that check connections.
	Sender *outbound.Sender
	// Door accepts events.
	Door  *intake.Door
	Clock clock.Clock
	Log   *slog.Logger
	// Reload reads the configuration now; force uses it even if it removes much.
	Reload func(ctx context.Context, force bool) (view.Reloaded, error)
	// Due and HoldsChanged are act.Options'.
	Due          func()
	HoldsChanged func(ctx context.Context)
	// Ended counts a delivery that a person ended, whose event was received then; a zero time: unknown.
	Ended func(d *state.Delivery, received time.Time)
	// Context ends when the gateway does.
	Context context.Context
}

// API answers /v1. Make it with New; it is safe for concurrent use.
type API struct {
	Options
	actor  *act.Actor
	once   once
	checks checks
}

// New returns an API that is not mounted yet.
func New(o Options) *API {
	actor := act.New(act.Options{
		Store: o.Store, Plan: o.Plan, Clock: o.Clock, Accept: o.Door.Append, Due: o.Due, HoldsChanged: o.HoldsChanged, Vault: o.Vault,
		Ended: func(d *state.Delivery) { o.Ended(d, time.Time{}) },
	})
	return &API{Options: o, actor: actor, once: once{store: o.Store, log: o.Log}}
}

// Route is one path of the API.
type Route struct {
	Method, Path string
	// Scope is the scope that a token needs.
	Scope access.Scope
	// For is its purpose in a few words.
	For string
	// Query lists its parameters beside `tenant`.
	Query []string
	// Former are parameters of earlier versions, with what to ask for instead.
	Former map[string]string
	// Once: a second request with the same Idempotency-Key gets the answer of the first. Publishing needs no such key: the
	// `id` of an event, or its body, has the same effect for longer.
	Once bool

	serve func(*API, *call) error
}

// Parameters of several routes.
var (
	pageQuery = []string{"limit", "cursor"}
	spanQuery = []string{"since", "until"}
	// ofEvent names the source of an event that is asked for by the id it was published with.
	ofEvent = []string{"source"}
	// secretsQuery shows path tokens; it needs the scope `secrets`.
	secretsQuery = []string{"show_secrets"}
)

func params(lists ...[]string) []string { return slices.Concat(lists...) }

// Routes returns all routes.
func Routes() []Route {
	routes := []Route{
		{Method: fiber.MethodPost, Path: "/v1/events", Scope: access.Publish, serve: (*API).publish, Query: []string{"source"}, For: "publish events"},
		{
			Method: fiber.MethodGet, Path: "/v1/events", Scope: access.Read, serve: (*API).events, For: "list events",
			Query: params([]string{"type", "source", "survey", "response", "respondent", "dead"}, spanQuery, pageQuery),
		},
		{Method: fiber.MethodGet, Path: "/v1/events/:id", Scope: access.Read, serve: (*API).event, Query: ofEvent, For: "one event in full, with its deliveries"},
		{Method: fiber.MethodGet, Path: "/v1/events/:id/explain", Scope: access.Read, serve: (*API).explain, Query: ofEvent, For: "why it arrived where it did, and why not elsewhere"},
		{
			Method: fiber.MethodPost, Path: "/v1/events/:id/replay", Scope: access.Write, serve: (*API).replayEvent, Once: true,
			Query: params([]string{"fresh", "rule", "destination", "normalise", "again", "dry_run"}, ofEvent),
			For:   "decide again by today's configuration, and deliver; `normalise=true` reads its raw body again first",
		},
		{Method: fiber.MethodPost, Path: "/v1/events/:id/drop", Scope: access.Write, serve: (*API).dropEvent, Query: ofEvent, For: "take it out of the dead letters"},
		{
			Method: fiber.MethodPost, Path: "/v1/replays", Scope: access.Write, serve: (*API).replays, Once: true,
			Query: params([]string{"normalise", "again", "dry_run", "source"}, spanQuery, []string{"cursor"}),
			For:   "read the raw bodies of many events again (`normalise=true`), a page at a time",
		},

		{
			Method: fiber.MethodGet, Path: "/v1/deliveries", Scope: access.Read, serve: (*API).deliveries, For: "list deliveries; dead letters are `state=dead`",
			Query: params([]string{"state", "destination", "rule", "event", "failed"}, spanQuery, pageQuery),
		},
		{Method: fiber.MethodGet, Path: "/v1/deliveries/:id", Scope: access.Read, serve: (*API).delivery, For: "one delivery, with its attempts"},
		{Method: fiber.MethodPost, Path: "/v1/deliveries/:id/retry", Scope: access.Write, serve: (*API).retry, Once: true, For: "try now what waits or is dead"},
		{
			Method: fiber.MethodPost, Path: "/v1/deliveries/:id/replay", Scope: access.Write, serve: (*API).replay, Once: true,
			Query: []string{"fresh"}, For: "deliver again, whatever became of it; `fresh=true` with an id of its own",
		},
		{Method: fiber.MethodPost, Path: "/v1/deliveries/:id/drop", Scope: access.Write, serve: (*API).drop, Once: true, For: "give up what waits or is dead"},

		{Method: fiber.MethodGet, Path: "/v1/destinations", Scope: access.Read, serve: (*API).destinations, Query: params([]string{"include"}, pageQuery), For: "connections and webhooks, and what holds them; `include=standing` adds their standing: what waits, and their dead letters"},
		{Method: fiber.MethodGet, Path: "/v1/destinations/:name", Scope: access.Read, serve: (*API).destination, For: "one of them"},
		{
			Method: fiber.MethodPost, Path: "/v1/destinations/:name/pause", Scope: access.Write, serve: (*API).pause, Once: true,
			Query: []string{"reason"}, For: "send it nothing until it is resumed; what is owed waits",
		},
		{Method: fiber.MethodPost, Path: "/v1/destinations/:name/resume", Scope: access.Write, serve: (*API).resume, Once: true, For: "lift whatever holds it"},
		{
			Method: fiber.MethodPost, Path: "/v1/destinations/:name/test", Scope: access.Write, serve: (*API).test, Once: true,
			Query: []string{"email"}, For: "send it a test delivery, which says that it is one; `email` is whose record products write",
		},

		{
			Method: fiber.MethodPost, Path: "/v1/connections/:name/check", Scope: access.Write, serve: (*API).check,
			For: "check it with harmless requests to its product, as `check --live` does",
		},
		{
			Method: fiber.MethodPut, Path: "/v1/connections/:name/token", Scope: access.Secrets, serve: (*API).plantToken,
			For: "store its first refresh token, sealed; a hold for refused credentials ends",
		},
		{
			Method: fiber.MethodPost, Path: "/v1/vault/reseal", Scope: access.Secrets, serve: (*API).reseal,
			For: "seal with the current key what is sealed with an older one; over the control socket only",
		},

		{Method: fiber.MethodGet, Path: "/v1/sources/:name/rejected", Scope: access.Read, serve: (*API).rejected, For: "requests it refused in the last day"},
		{Method: fiber.MethodGet, Path: "/v1/sources/:name/captured", Scope: access.Read, serve: (*API).captured, For: "requests it kept while `capture` lasted"},
		{
			Method: fiber.MethodGet, Path: "/v1/stats", Scope: access.Read, serve: (*API).stats,
			For:   "what was counted of `destination:NAME`, `source:NAME`, `rule:NAME` or `survey:SOURCE/SURVEY`, by minute, hour or day",
			Query: params([]string{"of", "step", "by"}, spanQuery, pageQuery), Former: map[string]string{"destination": "ask for `of=destination:NAME`"},
		},
		{
			Method: fiber.MethodPost, Path: "/v1/reload", Scope: access.Write, serve: (*API).reload,
			Query: []string{"force"}, For: "read the configuration again; over the control socket only",
		},
		{Method: fiber.MethodGet, Path: "/v1/tokens", Scope: access.Read, serve: (*API).tokens, Query: pageQuery, For: "tokens, without their secrets"},
	}
	for _, kind := range []kind{sources, connections, webhooks, ruleKind} {
		collection, one := "/v1/"+string(kind), strings.TrimSuffix(string(kind), "s")
		var secret []string
		if kind == sources {
			secret = secretsQuery
		}
		routes = append(routes,
			Route{Method: fiber.MethodGet, Path: collection, Scope: access.Read, serve: kind.list, Query: params(pageQuery, secret), For: "list " + string(kind)},
			Route{Method: fiber.MethodGet, Path: collection + "/:name", Scope: access.Read, serve: kind.one, Query: secret, For: "one " + one})
		for _, method := range []string{fiber.MethodPut, fiber.MethodPatch, fiber.MethodDelete} {
			routes = append(routes, Route{
				Method: method, Path: collection + "/:name", Scope: access.Write, serve: kind.definedInFile,
				For: "refused: a file defines it, and the answer says where",
			})
		}
	}
	return routes
}

// Mount adds the routes. open: they need no token, as on the unix socket.
func (a *API) Mount(app *fiber.App, open bool) {
	for _, r := range Routes() {
		app.Add(r.Method, r.Path, a.handler(r, open))
	}
}

// call is one request of one tenant.
type call struct {
	*fiber.Ctx
	ctx    context.Context
	tenant string
	// named: the caller named this tenant; otherwise it is the default.
	named bool
	grant *access.Grant
}

// acted logs what a person changed by hand, so that the log explains why a destination got nothing, or got something twice.
func (a *API) acted(r Route, c *call) {
	attrs := []any{"act", strings.TrimPrefix(r.Path[strings.LastIndexByte(r.Path, '/'):], "/"), "tenant", c.tenant, "by", c.grant.Name}
	for _, name := range []string{"id", "name"} {
		if value := param(c.Ctx, name); value != "" {
			attrs = append(attrs, name, value)
		}
	}
	for _, name := range r.Query {
		if value := query(c.Ctx, name); value != "" {
			attrs = append(attrs, name, value)
		}
	}
	a.Log.Info("done by hand", attrs...)
}

func (a *API) handler(r Route, open bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		grant := access.Socket
		if !open {
			grant = a.Access.Grant(access.Bearer(c.Request().Header.Peek(fiber.HeaderAuthorization)))
			if grant == nil {
				c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
				return answer.NewProblem(fiber.StatusUnauthorized, view.Authentication, "a bearer token is needed, and this is none that counts here")
			}
		}
		if !grant.May(r.Scope) {
			return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token lacks the scope `"+r.Scope.String()+"`")
		}
		asked := query(c, "tenant")
		tenant, ok := grant.TenantFor(asked)
		if !ok {
			return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token does not reach that tenant", "tenant")
		}
		if err := known(c, &r); err != nil {
			return err
		}
		// Every answer of the API has the id, so that a person can quote it.
		c.Set(answer.RequestIDHeader, answer.RequestID(c.Context()))
		each := &call{Ctx: c, ctx: a.Context, tenant: tenant, named: asked != "", grant: grant}
		do := func() error {
			err := r.serve(a, each)
			if err == nil && (r.Scope == access.Write || r.Scope == access.Secrets) {
				a.acted(r, each)
			}
			return err
		}
		if key := c.Request().Header.Peek("Idempotency-Key"); r.Once && len(key) > 0 {
			return a.once.serve(each, string(key), do)
		}
		return do()
	}
}
