package api

import (
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/renormalise"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// how reads the parameters of normalising and whether it was asked for. with are parameters that exclude it.
func howOf(c *route.Call, with ...string) (how renormalise.How, asked bool, err error) {
	if asked, err = c.Flag("normalise"); err != nil {
		return how, false, err
	}
	if how.Again, err = c.Flag("again"); err != nil {
		return how, false, err
	}
	if how.DryRun, err = c.Flag("dry_run"); err != nil {
		return how, false, err
	}
	if !asked {
		if how != (renormalise.How{}) {
			return how, false, answer.Invalid("`again` and `dry_run` go with `normalise=true`", "normalise")
		}
		return how, false, nil
	}
	for _, name := range with {
		if c.Asked(name) != "" {
			return how, false, answer.Invalid("`"+name+"` does not go with `normalise`: the whole event is read and decided again, "+
				"and a revision's deliveries have ids of their own", name)
		}
	}
	return how, true, nil
}

// normaliseEvent reads one event's raw body again.
func (a *API) normaliseEvent(c *route.Call, record *state.Record, how renormalise.How) error {
	res, err := a.Normalise.One(c.Base, record, how)
	if err != nil {
		return err
	}
	if res.Status == view.Left {
		return answer.Conflict("it is left as it is: " + res.Reason)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, res)
}

// normaliseMany reads many events again, a page in each request.
func (a *API) normaliseMany(c *route.Call, how renormalise.How) error {
	var err error
	q := renormalise.Query{Source: c.Asked("source"), Cursor: c.Asked("cursor"), How: how}
	if q.Source != "" {
		if err := a.knownSource(c, q.Source); err != nil {
			return err
		}
	}
	if q.Since, q.Until, err = c.Span(a.Clock.Now()); err != nil {
		return err
	}
	p, err := a.Normalise.Many(c.Base, c.Tenant, q)
	if errors.Is(err, state.ErrCursor) {
		return route.NoCursor()
	}
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, p)
}
