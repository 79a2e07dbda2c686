package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/responses"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// responsesOf answers with the responses that have an id, the one that moved last first.
func (a *API) responsesOf(c *route.Call) error {
	found, err := responses.WithID(c.Base, a.Store, c.Tenant, c.Segment("id"), c.Asked("source"), c.Asked("survey"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return answer.NotFound("response")
	}
	out := view.Responses{Data: []view.Response{}}
	plan := a.Plan()
	for _, kept := range found {
		v, err := view.NewResponse(kept, plan)
		if err != nil {
			return err
		}
		out.Data = append(out.Data, v)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, out)
}
