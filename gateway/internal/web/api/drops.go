package api

import (
	"bytes"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/replay"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// dropRows are the routes of drops of many deliveries.
func dropRows() []row {
	return []row{
		{(*API).drops, route.Route{
			Method: fiber.MethodPost, Path: "/v1/drops", Scope: access.Write, Once: true, Recorded: true,
			For: "give up the waiting deliveries, or the dead letters, that the body selects, as a job; `dry_run` counts them",
			In:  view.DropRequest{}, Out: route.OneOf{view.Job{}, view.WouldReplay{}},
			Status: fiber.StatusAccepted, Statuses: []int{fiber.StatusOK, fiber.StatusConflict}, Located: true,
		}},
		{(*API).dropList, route.Route{Method: fiber.MethodGet, Path: "/v1/drops", Scope: access.Read, Query: pageQuery, For: "list drops of many deliveries, newest first", Out: view.Page[view.Job]{}}},
		{(*API).dropJob, route.Route{Method: fiber.MethodGet, Path: "/v1/drops/:id", Scope: access.Read, For: "one drop, and how far it came", Out: view.Job{}}},
		{(*API).dropCancel, route.Route{
			Method: fiber.MethodPost, Path: "/v1/drops/:id/cancel", Scope: access.Write, Recorded: true, For: "end a drop; what it dropped stays so",
			Out: view.Job{}, Statuses: []int{fiber.StatusConflict},
		}},
	}
}

// drops begins a drop as a job, or counts what it would drop.
func (a *API) drops(c *route.Call) error {
	if len(bytes.TrimSpace(c.Body())) == 0 {
		return answer.Invalid("say in the body what is dropped, as in {\"of\": {\"destination\": \"crm\", \"state\": \"dead\"}}", "of")
	}
	var req view.DropRequest
	if err := route.ReadJSON(c.Body(), &req); err != nil {
		return err
	}
	since, until, err := momentsOf(&req.Of, a.Clock.Now())
	if err != nil {
		return err
	}
	spec, err := replay.NewDrop(req.Of, since, until, req.Reason)
	if err != nil {
		return replayError(err)
	}
	if err := a.knownTarget(c, req.Of.Destination, req.Of.Rule); err != nil && !a.isKept(c, spec) {
		return err
	}
	return a.beginJob(c, replay.DropKind, spec, req.DryRun)
}

func (a *API) dropList(c *route.Call) error {
	return a.listJobs(c, c.Tenant, replay.DropKind, replay.View)
}

func (a *API) dropJob(c *route.Call) error { return a.showJob(c, replay.DropKind) }

func (a *API) dropCancel(c *route.Call) error { return a.cancelJob(c, replay.DropKind) }
