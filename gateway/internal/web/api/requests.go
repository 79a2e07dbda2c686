package api

import (
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// rejected lists what a source refused, newest first; also of a source that was removed, as the refusals may be the reason.
func (a *API) rejected(c *route.Call) error {
	name := c.Segment("name")
	list, err := intake.RejectedOf(c.Base, a.Store, c.Tenant, name)
	if err != nil {
		return err
	}
	list = own(a, c, list)
	if len(list) == 0 {
		if err := a.knownSource(c, name); err != nil {
			return err
		}
		list = []view.Rejected{}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.RejectedPage{
		Page: view.Page[view.Rejected]{Data: list}, NotKept: a.Door.NotKept(c.Tenant, name),
	})
}

func (a *API) captured(c *route.Call) error {
	name := c.Segment("name")
	list, err := intake.CapturedOf(c.Base, a.Store, c.Tenant, name)
	if err != nil {
		return err
	}
	list = own(a, c, list)
	if len(list) == 0 {
		if err := a.knownSource(c, name); err != nil {
			return err
		}
		list = []view.Captured{}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.CapturedPage{
		Page: view.Page[view.Captured]{Data: list}, CaptureUntil: view.Time{Time: a.Door.CaptureUntil(c.Tenant, name)},
	})
}

// own returns the requests that the caller may see: those to a former tenant of the name are for tokens of every tenant.
func own[T interface{ When() time.Time }](a *API, c *route.Call, all []T) []T {
	since := a.Tenants.Since(c.Tenant)
	if c.Grant.Tenant == access.AnyTenant || since.IsZero() {
		return all
	}
	return slices.DeleteFunc(all, func(r T) bool { return r.When().Before(since) })
}

// knownSource refuses the name of a source that the tenant never had.
func (a *API) knownSource(c *route.Call, name string) error {
	knew, err := a.Door.Knew(c.Tenant, name)
	if err != nil || knew {
		return err
	}
	return noSuch("source", name, a.sourceNames(c.Tenant))
}

func (a *API) sourceNames(tenant string) []string {
	var names []string
	for _, s := range a.Plan().Sources(tenant) {
		names = append(names, s.Name)
	}
	return names
}

func (a *API) destinationNames(tenant string) []string {
	var names []string
	for _, d := range a.Plan().DestinationsOf(tenant) {
		names = append(names, d.Name)
	}
	return names
}

func (a *API) ruleNames(tenant string) []string {
	names := []string{}
	for _, r := range a.Plan().Rules(tenant) {
		names = append(names, r.Name)
	}
	return names
}

// noSuch returns a 404 that suggests a similar name of the tenant's own.
func noSuch(what, name string, names []string) *answer.Problem {
	return answer.NoSuch(what, name, names)
}
