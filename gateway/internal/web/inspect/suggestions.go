package inspect

import (
	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/suggest"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

func suggestionRows() []row {
	return []row{{(*Inspection).suggestions, route.Route{
		Method: fiber.MethodGet, Path: "/v1/suggestions", Scope: access.Read, Query: []string{"source"}, Out: view.Suggestions{},
		For:      "what the newest events suggest: roles of questions that no role reads, with the YAML, and rules that matched none of them, with the part that said no",
		Statuses: []int{fiber.StatusTooManyRequests},
	}}}
}

func (i *Inspection) suggestions(c *route.Call) error {
	ask := suggest.Ask{Tenant: c.Tenant}
	if name := c.Asked("source"); name != "" {
		s, err := i.sourceNamed(c, name)
		if err != nil {
			return err
		}
		ask.Source = s
	}
	leave, err := i.enter(c)
	if err != nil {
		return err
	}
	defer leave()
	found, err := i.suggester.Suggest(c.Base, ask)
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, found)
}
