package inspect

import (
	"sync"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

func eventTypeRows() []row {
	return []row{{(*Inspection).eventTypes, route.Route{
		Method: fiber.MethodGet, Path: "/v1/event-types", Scope: access.Read,
		For: "the types of events: what each means, the names that conditions can use, and an example", Out: view.EventTypes{},
	}}}
}

func (i *Inspection) eventTypes(c *route.Call) error {
	all, err := catalogue()
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, all)
}

// catalogue is the same for every caller.
var catalogue = sync.OnceValues(func() (*view.EventTypes, error) {
	out := &view.EventTypes{}
	for _, t := range event.Catalogue() {
		example, err := t.Example()
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, view.EventType{
			Name: t.Name, Words: t.About, Named: !rules.TypeMatches("*", t.Name), Fields: t.Fields(), Example: example,
		})
	}
	for _, f := range event.Glossary() {
		out.Fields = append(out.Fields, view.EventField{Name: f.Name, Path: f.Path, Kind: f.Kind.Words(), Open: f.Open, Words: f.About})
	}
	return out, nil
})
