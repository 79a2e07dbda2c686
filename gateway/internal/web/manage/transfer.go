package manage

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// ImportPath is where imports are sent, whose bodies are larger than others.
const ImportPath = "/v1/settings/import"

// yaml is the Content-Type of YAML.
const yaml = "application/yaml"

// transferRows are the routes of export and import.
func transferRows() []row {
	return []row{
		{(*Management).export, route.Route{
			Method: fiber.MethodGet, Path: "/v1/settings/export", Scope: access.Admin,
			For: "the tenant's documents as a file, with `${NAME}` in place of secrets", Out: route.Media{yaml: route.Text("")},
		}},
		{(*Management).importSettings, route.Route{
			Method: fiber.MethodPost, Path: ImportPath, Scope: access.Admin, Query: []string{"mode", "owner", "lock", "dry_run"},
			For: "make the documents of a file; `dry_run` answers the plan",
			In:  route.Media{yaml: route.Text(""), fiber.MIMEApplicationJSON: json.RawMessage{}}, Out: view.Import{},
			Statuses: []int{fiber.StatusConflict, fiber.StatusRequestEntityTooLarge},
		}},
	}
}

func (m *Management) export(*route.Call) error { return answer.NotFound("export") }

func (m *Management) importSettings(*route.Call) error { return answer.NotFound("import") }
