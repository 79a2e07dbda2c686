package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/act"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// standing returns the standing of destinations, in their order, with one read.
func (a *API) standing(c *route.Call, destinations ...*config.Destination) ([]state.Standing, error) {
	names := make([]string, len(destinations))
	for i, d := range destinations {
		names[i] = d.Name
	}
	return a.Store.Standing(c.Base, c.Tenant, names)
}

// hold returns why deliveries to a destination wait; nil if it is served, or is not configured.
func (a *API) hold(c *route.Call, destination string) (*view.Hold, error) {
	d := a.Plan().Destination(c.Tenant, destination)
	if d == nil {
		return nil, nil //nolint:nilnil // nil: nothing is known of it
	}
	if !d.Enabled || d.Broken {
		return view.NewHold(d, nil), nil
	}
	standing, err := a.standing(c, d)
	if err != nil {
		return nil, err
	}
	return view.NewHold(d, &standing[0].Hold), nil
}

// destination answers with one destination. A row without the parameter `include` answers without what it adds.
func (a *API) destination(c *route.Call) error {
	d, err := a.named(c)
	if err != nil {
		return err
	}
	all, err := a.viewDestinations(c, addedOf(c), d)
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, all[0])
}

// named returns the destination that the path names.
func (a *API) named(c *route.Call) (*config.Destination, error) {
	name := c.Segment("name")
	d := a.Plan().Destination(c.Tenant, name)
	if d == nil {
		return nil, noSuch("destination", name, a.destinationNames(c.Tenant))
	}
	return d, nil
}

func (a *API) pause(c *route.Call) error {
	d, err := a.named(c)
	if err != nil {
		return err
	}
	if err := a.actor.Pause(c.Base, c.Tenant, d.Name, c.Asked("reason")); err != nil {
		return actError(err)
	}
	return a.destination(c)
}

func (a *API) resume(c *route.Call) error {
	d, err := a.named(c)
	if err != nil {
		return err
	}
	if err := a.actor.Resume(c.Base, c.Tenant, d.Name); err != nil {
		return actError(err)
	}
	return a.destination(c)
}

// test answers with the test delivery before its first attempt.
func (a *API) test(c *route.Call) error {
	d, err := a.named(c)
	if err != nil {
		return err
	}
	sent, err := a.actor.Test(d, act.TestOptions{Email: c.Asked("email")})
	return a.show(c, sent, err)
}
