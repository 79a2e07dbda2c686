// Package api is the gateway's own API, /v1: it publishes events, shows what is stored, and acts on it.
//
// Every route is one row of a table with the scope that it needs. A handler serves one tenant, the caller's, and passes it to
// every call of the store.
package api

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/act"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/erase"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/live"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/renormalise"
	"github.com/surveygate/surveygate/gateway/internal/replay"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Options are the dependencies of the API; all are required.
type Options struct {
	Store state.Store
	// Plan is the running configuration.
	Plan    func() *decide.Plan
	Access  *access.Access
	Tenants *access.Tenants
	Explain *explain.Asker
	// Normalise reads raw bodies once more.
	Normalise *renormalise.Normaliser
	// Vault seals what callers give to be stored.
	Vault *vault.Vault
	// Book reads and changes the documents of tenants.
	Book *settings.Book
	// Jobs run what takes longer than a request; Replay counts and runs replays.
	Jobs   *job.Jobs
	Replay *replay.Replayer
	// Erase counts and runs erasures of persons.
	Erase *erase.Eraser
	// Sender sends the requests that check connections.
	Sender *outbound.Sender
	// Door accepts events.
	Door *intake.Door
	// TakeEvents counts events that a tenant publishes against its plan. It returns the answer to one that publishes too many.
	TakeEvents func(tenant string, n int) error
	Clock      clock.Clock
	Log        *slog.Logger
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
	checks checks
	tests  tests
}

// New returns an API that is not mounted yet.
func New(o Options) *API {
	actor := act.New(act.Options{
		Store: o.Store, Plan: o.Plan, Clock: o.Clock, Accept: o.Door.Append, Due: o.Due, HoldsChanged: o.HoldsChanged, Vault: o.Vault,
		Ended: func(d *state.Delivery) { o.Ended(d, time.Time{}) },
	})
	return &API{Options: o, actor: actor}
}

// row is a route and its handler, a method of API.
type row struct {
	serve func(*API, *route.Call) error
	route.Route
}

// Parameters of several routes.
var (
	pageQuery = []string{"limit", "cursor"}
	spanQuery = []string{"since", "until"}
	// ofEvent names the source of an event that is asked for by the id it was published with.
	ofEvent = []string{"source"}
	// ambiguous is the refusal of such an id that several sources have.
	ambiguous = []int{fiber.StatusConflict}
)

func params(lists ...[]string) []string { return slices.Concat(lists...) }

// Bodies of several forms.
var (
	// published is what `POST /v1/events` accepts: events, and with `?source=` what that platform sends.
	published = route.Media{
		fiber.MIMEApplicationJSON:            route.Events{},
		"application/x-ndjson":               route.Text("one event, or CloudEvent, a line"),
		"application/cloudevents+json":       route.CloudEvent{},
		"application/cloudevents-batch+json": route.CloudEventList{},
		"*/*":                                route.Text("with `source`: what that platform sends, as it sends it"),
	}
	statsForms = route.OneOf{
		view.Stats[view.DestinationStat]{},
		view.Stats[view.SourceStat]{},
		view.Stats[view.RuleStat]{},
		view.Stats[view.SurveyStat]{},
		view.StatsByName[view.DestinationStat]{},
		view.StatsByName[view.SourceStat]{},
		view.StatsByName[view.RuleStat]{},
		view.StatsByName[view.SurveyStat]{},
	}
)

// Routes returns all routes.
func Routes() []route.Route {
	var all []route.Route
	for _, r := range table() {
		all = append(all, r.Route)
	}
	return all
}

func table() []row {
	return append([]row{
		{(*API).publish, route.Route{
			Method: fiber.MethodPost, Path: "/v1/events", Scope: access.Publish, Query: []string{"source"}, For: "publish events", ID: "publishEvents",
			In: published, Out: view.Results{}, Statuses: []int{fiber.StatusUnsupportedMediaType},
		}},
		{(*API).events, route.Route{
			Method: fiber.MethodGet, Path: "/v1/events", Scope: access.Read, For: "list events",
			Query: params([]string{"type", "source", "survey", "response", "respondent", "dead", "rule", "matched"}, spanQuery, pageQuery),
			Out:   view.Page[view.Event]{},
		}},
		{(*API).event, route.Route{Method: fiber.MethodGet, Path: "/v1/events/:id", Scope: access.Read, Query: params(ofEvent, []string{"include"}), For: "one event in full, with its deliveries", Out: view.Record{}, Statuses: ambiguous}},
		{(*API).explain, route.Route{Method: fiber.MethodGet, Path: "/v1/events/:id/explain", Scope: access.Read, Query: ofEvent, For: "why it arrived where it did, and why not elsewhere; the id may be that of one of its deliveries", Out: view.Explanation{}, Statuses: ambiguous}},
		{(*API).responsesOf, route.Route{
			Method: fiber.MethodGet, Path: "/v1/responses/:id", Scope: access.Read, Query: []string{"source", "survey"}, ID: "getResponses",
			For: "a response as it stands, with its events and the deliveries of all of them; several where surveys or sources share its id", Out: view.Responses{},
		}},
		{(*API).replayEvent, route.Route{
			Method: fiber.MethodPost, Path: "/v1/events/:id/replay", Scope: access.Write, Once: true,
			Query: params([]string{"fresh", "rule", "destination", "normalise", "again", "dry_run"}, ofEvent),
			For:   "decide again by today's configuration, and deliver; `normalise=true` reads its raw body again first",
			Out:   route.OneOf{view.Replay{}, view.Normalised{}},
		}},
		{(*API).dropEvent, route.Route{Method: fiber.MethodPost, Path: "/v1/events/:id/drop", Scope: access.Write, Query: ofEvent, For: "take an event out of the dead letters", Out: view.Event{}}},
		{(*API).replays, route.Route{
			Method: fiber.MethodPost, Path: "/v1/replays", Scope: access.Write, Once: true, Recorded: true,
			Query: params([]string{"normalise", "again", "dry_run", "source"}, spanQuery, []string{"cursor"}),
			For:   "deliver again what the body selects, as a job; with `normalise=true`, read the raw bodies of many events again, a page at a time",
			In:    route.Optional{Body: view.ReplayRequest{}}, Out: route.OneOf{view.Job{}, view.WouldReplay{}, view.NormalisedPage{}},
			Status: fiber.StatusAccepted, Statuses: []int{fiber.StatusOK, fiber.StatusConflict}, Located: true,
		}},
		{(*API).replayList, route.Route{Method: fiber.MethodGet, Path: "/v1/replays", Scope: access.Read, Query: pageQuery, For: "list replays, newest first", Out: view.Page[view.Job]{}}},
		{(*API).replayOne, route.Route{Method: fiber.MethodGet, Path: "/v1/replays/:id", Scope: access.Read, For: "one replay, and how far it came", Out: view.Job{}}},
		{(*API).replayCancel, route.Route{
			Method: fiber.MethodPost, Path: "/v1/replays/:id/cancel", Scope: access.Write, Recorded: true, For: "end a replay; what it scheduled stays so",
			Out: view.Job{}, Statuses: []int{fiber.StatusConflict},
		}},
		{(*API).deletionList, route.Route{
			Method: fiber.MethodGet, Path: "/v1/jobs", Scope: access.Admin, Operator: true, Query: pageQuery, For: "list deletions of tenants, newest first", Out: view.Page[view.Job]{},
		}},
		{(*API).deletionOne, route.Route{
			Method: fiber.MethodGet, Path: "/v1/jobs/:id", Scope: access.Admin, Operator: true, For: "the deletion of a tenant, and how far it came", Out: view.Job{},
		}},
		{(*API).recoverWebhook, recoverRoute("webhooks", "webhook")},
		{(*API).recoverConnection, recoverRoute("connections", "connection")},

		{(*API).deliveries, route.Route{
			Method: fiber.MethodGet, Path: "/v1/deliveries", Scope: access.Read, AllTenants: true, For: "list deliveries; dead letters are `state=dead`",
			Query: params([]string{"q", "state", "verdict", "status", "destination", "rule", "type", "source", "event", "failed", "include"}, spanQuery, pageQuery),
			Out:   view.Page[view.Delivery]{},
		}},
		{(*API).delivery, route.Route{Method: fiber.MethodGet, Path: "/v1/deliveries/:id", Scope: access.Read, For: "one delivery, with its attempts", Out: view.Delivery{}}},
		{(*API).retry, route.Route{Method: fiber.MethodPost, Path: "/v1/deliveries/:id/retry", Scope: access.Write, Once: true, For: "try a waiting or dead delivery now", Out: view.Delivery{}}},
		{(*API).replay, route.Route{
			Method: fiber.MethodPost, Path: "/v1/deliveries/:id/replay", Scope: access.Write, Once: true,
			Query: []string{"fresh"}, For: "deliver again, whatever its state; with `fresh=true` under a new id",
			Out: view.Delivery{},
		}},
		{(*API).drop, route.Route{Method: fiber.MethodPost, Path: "/v1/deliveries/:id/drop", Scope: access.Write, Once: true, For: "give up a waiting or dead delivery", Out: view.Delivery{}}},

		{(*API).destinations, route.Route{
			Method: fiber.MethodGet, Path: "/v1/destinations", Scope: access.Read, AllTenants: true, Query: params([]string{"q", "sort", "include"}, pageQuery),
			For: "connections and webhooks, and what holds them; `include=standing` adds what waits, and their dead letters, `include=trend` their attempts of 24 hours",
			Out: view.Page[view.Destination]{},
		}},
		{(*API).destination, route.Route{
			Method: fiber.MethodGet, Path: "/v1/destinations/:name", Scope: access.Read, Query: []string{"include"}, For: "one destination", Out: view.Destination{},
		}},
		{(*API).pause, route.Route{
			Method: fiber.MethodPost, Path: "/v1/destinations/:name/pause", Scope: access.Write, Once: true,
			Query: []string{"reason"}, For: "pause a destination: nothing is sent until it is resumed, and its deliveries wait",
			Out: view.Destination{},
		}},
		{(*API).resume, route.Route{Method: fiber.MethodPost, Path: "/v1/destinations/:name/resume", Scope: access.Write, Once: true, For: "resume a destination: end its pause, or any other hold", Out: view.Destination{}}},
		{(*API).test, route.Route{
			Method: fiber.MethodPost, Path: "/v1/destinations/:name/test", Scope: access.Write, Once: true, TestSend: true,
			Query: []string{"email"}, For: "send a test delivery, which is marked as a test; `email` is the person whose record products write",
			Out: view.Delivery{},
		}},

		{(*API).check, route.Route{
			Method: fiber.MethodPost, Path: "/v1/connections/:name/check", Scope: access.Write, Checks: true,
			For: "check a connection with harmless requests to its product, as `check --live` does",
			Out: live.Connection{},
		}},
		{(*API).plantToken, route.Route{
			Method: fiber.MethodPut, Path: "/v1/connections/:name/token", Scope: access.Secrets,
			For: "store the first refresh token of a connection, sealed; a hold for refused credentials ends",
			In:  view.RefreshToken{}, Out: view.StoredToken{},
		}},
		{(*API).reseal, route.Route{
			Method: fiber.MethodPost, Path: "/v1/vault/reseal", Scope: access.Secrets,
			For: "seal with the current key what is sealed with an older one; over the control socket only",
			Out: view.Resealed{},
		}},

		{(*API).rejected, route.Route{Method: fiber.MethodGet, Path: "/v1/sources/:name/rejected", Scope: access.Read, For: "requests it refused in the last day", Out: view.RejectedPage{}}},
		{(*API).captured, route.Route{Method: fiber.MethodGet, Path: "/v1/sources/:name/captured", Scope: access.Read, For: "requests it kept while `capture` lasted", Out: view.CapturedPage{}}},
		{(*API).stats, route.Route{
			Method: fiber.MethodGet, Path: "/v1/stats", Scope: access.Read,
			For:   "what was counted of `destination:NAME`, `source:NAME`, `rule:NAME` or `survey:SOURCE/SURVEY`, by minute, hour or day",
			Query: params([]string{"of", "step", "by"}, spanQuery, pageQuery), Former: map[string]string{"destination": "ask for `of=destination:NAME`"},
			Out: statsForms,
		}},
		{(*API).reload, route.Route{
			Method: fiber.MethodPost, Path: "/v1/reload", Scope: access.Write,
			Query: []string{"force"}, For: "read the configuration again; over the control socket only",
			Out: view.Reloaded{},
		}},
	}, slices.Concat(dropRows(), erasureRows(), testRows())...)
}

// Bound returns all routes with their handlers.
func (a *API) Bound() []route.Bound {
	var all []route.Bound
	for _, r := range table() {
		all = append(all, route.Bound{Route: r.Route, Serve: func(c *route.Call) error { return r.serve(a, c) }})
	}
	return all
}
