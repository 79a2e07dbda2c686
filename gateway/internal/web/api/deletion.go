package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/deletion"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// DeleteTenant begins the deletion of the tenant of a call, with all that it owns, or answers with the one that has begun.
func (a *API) DeleteTenant(c *route.Call) error {
	j, err := deletion.Find(c.Base, a.Jobs, c.Tenant)
	if err != nil {
		return err
	}
	if j == nil {
		if j, err = a.Jobs.Create(c.Base, deletion.Everyone, deletion.Kind, deletion.Spec{Tenant: c.Tenant}, c.By()); err != nil {
			return jobError(err, "job")
		}
		line := audit.Line{By: c.By(), Did: "tenant.delete_all", Of: "tenant/" + c.Tenant}
		if err := a.Book.Audit.Add(c.Base, access.AnyTenant, line); err != nil {
			a.Log.Warn("the deletion of a tenant is missing from the audit", "tenant", c.Tenant, "job", j.ID, "err", err)
		}
	}
	c.Set(fiber.HeaderLocation, "/v1/jobs/"+j.ID)
	return answer.JSON(c.Ctx, fiber.StatusAccepted, deletion.View(j))
}

func (a *API) deletionList(c *route.Call) error {
	return a.listJobs(c, deletion.Everyone, deletion.Kind, deletion.View)
}

func (a *API) deletionOne(c *route.Call) error {
	j, err := a.Jobs.Get(c.Base, deletion.Everyone, c.Segment("id"))
	if err == nil && j.Kind != deletion.Kind {
		err = job.ErrNoJob
	}
	if err != nil {
		return jobError(err, "job")
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, deletion.View(j))
}
