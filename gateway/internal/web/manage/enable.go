package manage

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// enableRows are the routes that switch rules and webhooks on and off.
func enableRows() []row {
	var rows []row
	for _, k := range []kind{ruleKind, webhooks} {
		for _, verb := range []string{"enable", "disable"} {
			enabled := verb == "enable"
			what := "switch a " + string(k) + " on"
			if !enabled {
				what = "switch a " + string(k) + " off; no other setting changes"
			}
			rows = append(rows, row{
				func(m *Management, c *route.Call) error { return k.enable(m, c, enabled) },
				route.Route{
					Method: fiber.MethodPost, Path: k.collection() + "/:name/" + verb, Scope: access.Settings, Query: []string{"dry_run"}, Once: true,
					For: what, Out: k.example(), Statuses: []int{fiber.StatusConflict}, Tagged: true, Conditional: true,
				},
			})
		}
	}
	return rows
}

// enable changes `enabled` of a document, unless it is so already.
func (k kind) enable(m *Management, c *route.Call, enabled bool) error {
	name := c.Segment("name")
	e, err := m.Book.Get(c.Base, c.Tenant, k.document(name))
	if err != nil {
		return k.refusal(m, c, name, err)
	}
	patch := []byte(`{"enabled": false}`)
	if enabled {
		patch = []byte(`{"enabled": true}`)
	}
	change := settings.Change{Spec: patch, Patch: true}
	var is struct {
		Enabled *bool `json:"enabled"`
	}
	if err := json.Unmarshal(e.Spec, &is); err == nil && (is.Enabled == nil || *is.Enabled) == enabled {
		change.Spec = []byte(`{}`)
	}
	return k.write(m, c, name, change)
}
