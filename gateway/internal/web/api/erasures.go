package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/erase"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// maxRespondent bounds the name of a person in bytes: the longest e-mail address has 254.
const maxRespondent = 512

// erasureRows are the routes of erasing a person. A request has no Idempotency-Key: its body names the person, and a hash of it
// would be kept; asked for again, it erases what is left.
func erasureRows() []row {
	return []row{
		{(*API).erasures, route.Route{
			Method: fiber.MethodPost, Path: "/v1/erasures", Scope: access.Admin, Recorded: true,
			For: "erase what a person wrote, as a job; `dry_run` counts it",
			In:  view.ErasureRequest{}, Out: route.OneOf{view.Erasure{}, view.WouldErase{}},
			Status: fiber.StatusAccepted, Statuses: []int{fiber.StatusOK, fiber.StatusConflict}, Located: true,
		}},
		{(*API).erasureList, route.Route{Method: fiber.MethodGet, Path: "/v1/erasures", Scope: access.Admin, Query: pageQuery, For: "list erasures of persons, newest first", Out: view.Page[view.Erasure]{}}},
		{(*API).erasure, route.Route{Method: fiber.MethodGet, Path: "/v1/erasures/:id", Scope: access.Admin, For: "one erasure, with its receipt", Out: view.Erasure{}}},
	}
}

// erasures begins to erase a person, or counts what that would erase.
func (a *API) erasures(c *route.Call) error {
	var req view.ErasureRequest
	if err := route.ReadJSON(c.Body(), &req); err != nil {
		return err
	}
	switch person := strings.TrimSpace(req.Respondent); {
	case person == "":
		return answer.Invalid("name the person: an e-mail address, a phone number or an external id, as events have it", "respondent")
	case len(person) > maxRespondent:
		return answer.Invalid("this is too long for an e-mail address, a phone number or an external id", "respondent")
	}
	if c.DryRun = req.DryRun; req.DryRun {
		would, err := a.Erase.Count(c.Base, c.Tenant, req.Respondent, req.Products)
		if erase.IsTooMany(err) {
			return answer.Invalid(err.Error(), "respondent")
		}
		if err != nil {
			return err
		}
		return answer.JSON(c.Ctx, fiber.StatusOK, view.WouldErase{Would: would})
	}
	spec, err := a.Erase.Spec(c.Base, c.Tenant, req.Respondent, req.Products)
	if errors.Is(err, erase.ErrNoKey) {
		return answer.Conflict("an erasure goes on after a crash, and keeps the person sealed until it ends: set a key of the vault first")
	}
	if err != nil {
		return err
	}
	by := c.By()
	j, err := a.Jobs.Create(c.Base, c.Tenant, erase.Kind, spec, by)
	if err != nil {
		return jobError(err, "erasure")
	}
	after, _ := json.Marshal(erase.Line{Person: spec.Person})
	line := audit.Line{By: by, Did: erase.Kind + ".create", Of: erase.Kind + "/" + j.ID, After: after}
	if err := a.Book.Audit.Add(c.Base, c.Tenant, line); err != nil { // the job is made; an error would make the caller repeat it
		a.Log.Warn("an erasure is missing from the audit", "tenant", c.Tenant, "job", j.ID, "err", err)
	}
	c.Set(fiber.HeaderLocation, "/v1/erasures/"+j.ID)
	return answer.JSON(c.Ctx, fiber.StatusAccepted, erase.View(a.counted(c, j)))
}

func (a *API) erasureList(c *route.Call) error {
	limit, err := c.Limit()
	if err != nil {
		return err
	}
	all, err := a.Jobs.List(c.Base, c.Tenant, erase.Kind)
	if err != nil {
		return err
	}
	some, next, err := job.Page(all, c.Asked("cursor"), cmp.Or(limit, 50))
	if err != nil {
		return listError(err, c.Asked("cursor"))
	}
	p := view.Page[view.Erasure]{Data: make([]view.Erasure, len(some))}
	for i, j := range some {
		p.Data[i] = erase.View(j)
	}
	if next != "" {
		p.Next = &next
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, p)
}

func (a *API) erasure(c *route.Call) error {
	j, err := a.jobOf(c, erase.Kind)
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, erase.View(j))
}
