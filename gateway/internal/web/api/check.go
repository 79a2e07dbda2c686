package api

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/live"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

const (
	// maxChecks is how many connections are checked at once, because the answers of products can be long.
	maxChecks = 4
	// checkTimeout bounds one check. A stop of the gateway waits for it.
	checkTimeout = 15 * time.Second
)

// check asks the product of a connection, or of a webhook, whether it works, without an event.
func (a *API) check(c *call) error {
	plan := a.Plan()
	name := param(c.Ctx, "name")
	d := plan.Destination(c.tenant, name)
	if d == nil {
		return noSuch("connection", name, a.destinationNames(c.tenant))
	}
	select {
	case a.checks <- struct{}{}:
		defer func() { <-a.checks }()
	default:
		return answer.Unavailable("other connections are being checked: try again in a moment", answer.DefaultRetryAfter, nil)
	}
	ctx, cancel := context.WithTimeout(c.ctx, checkTimeout)
	defer cancel()
	checker := live.Checker{Config: plan.Config, Sender: a.Sender}
	return answer.JSON(c.Ctx, fiber.StatusOK, checker.Check(ctx, d)[0])
}
