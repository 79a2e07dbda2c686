package api

import (
	"context"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/live"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

const (
	// maxChecks is how many connections are checked at once, because the answers of products can be long, and maxChecksOfTenant how
	// many of one tenant, so that none takes all.
	maxChecks         = 4
	maxChecksOfTenant = 2
	// checkTimeout bounds one check. A stop of the gateway waits for it.
	checkTimeout = 15 * time.Second
)

// check asks the product of a connection, or of a webhook, whether it works, without an event.
func (a *API) check(c *route.Call) error {
	plan := a.Plan()
	name := c.Segment("name")
	d := plan.Destination(c.Tenant, name)
	if d == nil {
		return noSuch("connection", name, a.destinationNames(c.Tenant))
	}
	if !a.checks.begin(c.Tenant) {
		return answer.Unavailable("other connections are being checked: try again in a moment", answer.DefaultRetryAfter, nil)
	}
	defer a.checks.end(c.Tenant)
	ctx, cancel := context.WithTimeout(c.Base, checkTimeout)
	defer cancel()
	checker := live.Checker{Plan: plan, Sender: a.Sender}
	return answer.JSON(c.Ctx, fiber.StatusOK, checker.Check(ctx, d)[0])
}

// checks counts the checks that run. The zero value is ready.
type checks struct {
	mu       sync.Mutex
	all      int
	byTenant map[string]int
}

// begin reports whether one more check of a tenant may run. If so, end must follow.
func (c *checks) begin(tenant string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= maxChecks || c.byTenant[tenant] >= maxChecksOfTenant {
		return false
	}
	if c.byTenant == nil {
		c.byTenant = map[string]int{}
	}
	c.all++
	c.byTenant[tenant]++
	return true
}

func (c *checks) end(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.byTenant[tenant]--; c.byTenant[tenant] == 0 {
		delete(c.byTenant, tenant)
	}
}
