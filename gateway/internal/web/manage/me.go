package manage

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// meRows are the routes of the caller itself.
func meRows() []row {
	return []row{{(*Management).me, route.Route{
		Method: fiber.MethodGet, Path: "/v1/me", Anyone: true, Out: view.Me{},
		For: "who asks: the token or session, its tenant, what it may do and when it ends, and the version of the gateway",
	}}}
}

// me answers with the caller.
func (m *Management) me(c *route.Call) error {
	v := view.NewMe(c.Grant)
	v.Version, v.PublicURL = m.Version, m.Plan().Config.PublicURL
	if record := m.Tenants.Record(c.Tenant); record != nil && (c.Named || c.Grant.Tenant != access.AnyTenant) {
		v.Title = record.Title
	}
	if s := c.Session; s != nil {
		v.Session, v.Expires = true, view.Time{Time: time.Unix(s.Expires, 0)}
		if s.Link != "" {
			link, err := m.Links.Get(c.Base, s.Tenant, s.Link)
			if err != nil { // also one that has ended since the guard asked for it
				return err
			}
			v.Link = view.NewMeLink(link, v.Title)
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}
