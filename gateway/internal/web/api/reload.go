package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// reload reads the configuration now. It is for the operator, who can open the control socket; a token belongs to a tenant.
func (a *API) reload(c *route.Call) error {
	if c.Grant != access.Socket {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "the configuration is reloaded over the control socket only")
	}
	force, err := c.Flag("force")
	if err != nil {
		return err
	}
	outcome, err := a.Reload(c.Base, force)
	if err != nil {
		return answer.Unavailable("the gateway is stopping", answer.DefaultRetryAfter, err)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, outcome)
}
