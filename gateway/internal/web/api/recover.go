package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Callers wait by the system's clock, which a test's clock must not change.
var wall = clock.System()

func recoverRoute(collection, one string) route.Route {
	return route.Route{
		Method: fiber.MethodPost, Path: "/v1/" + collection + "/:name/recover", Scope: access.Write, Once: true, Recorded: true,
		For: "send this " + one + " again what failed since a time, or since a delivery, as a job; `dry_run` counts it",
		In:  view.RecoverRequest{}, Out: route.OneOf{view.Job{}, view.WouldReplay{}},
		Status: fiber.StatusAccepted, Statuses: []int{fiber.StatusOK, fiber.StatusConflict}, Located: true,
	}
}

func (a *API) recoverWebhook(c *route.Call) error    { return a.recover(c, "webhook") }
func (a *API) recoverConnection(c *route.Call) error { return a.recover(c, "connection") }

// recover replays what one destination did not get.
func (a *API) recover(c *route.Call, what string) error {
	name := c.Segment("name")
	d := a.Plan().Destination(c.Tenant, name)
	if d == nil || (d.Product == webhookProduct) != (what == "webhook") {
		return answer.NoSuch(what, name, a.destinationNames(c.Tenant))
	}
	var req view.RecoverRequest
	if err := route.ReadJSON(c.Body(), &req); err != nil {
		return err
	}
	if req.Since == "" {
		return answer.Invalid("say since when: a time, how long ago, or the id of a delivery", "since")
	}
	body := view.ReplayRequest{Of: view.ReplayOf{Destination: name, Since: req.Since, Until: req.Until}, Rate: req.Rate, Reason: req.Reason}
	switch req.Only {
	case "", "failed":
		body.Of.State = string(state.Dead)
	case "all":
	default:
		return answer.Invalid("`only` is failed, or all", "only")
	}
	now := a.Clock.Now()
	if state.IsDeliveryID(req.Since) {
		first, err := a.actor.Delivery(c.Base, c.Tenant, req.Since)
		if err != nil {
			return answer.Invalid("there is no such delivery any more; give a time", "since")
		}
		if first.Destination != name {
			return answer.Invalid("this delivery is one to `"+first.Destination+"`", "since")
		}
		body.Of.Since = view.Time{Time: first.Updated}.String()
	}
	spec, err := a.specOf(&body, now)
	if err != nil {
		return withoutOf(err)
	}
	return a.replayAs(c, spec, req.DryRun)
}

// withoutOf makes the place of a fault one of the request for a recovery, which has what a replay has under `of`.
func withoutOf(err error) error {
	problem := answer.FromError(err)
	for i := range problem.Detail {
		if loc := problem.Detail[i].Loc; len(loc) > 1 && loc[0] == "of" {
			problem.Detail[i].Loc = loc[1:]
		}
	}
	return problem
}
