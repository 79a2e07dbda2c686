package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/compare"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/try"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// PlansPath is where plans are asked for. MaxPlan bounds their bodies: texts take more as JSON.
const (
	PlansPath = "/v1/plans"
	MaxPlan   = 2 * config.MaxBundle
)

// IsPlan reports whether a path is PlansPath.
func IsPlan(path []byte) bool { return string(bytes.TrimSuffix(path, []byte("/"))) == PlansPath }

func planRows() []row {
	return []row{{(*Inspection).plan, route.Route{
		Method: fiber.MethodPost, Path: PlansPath, Scope: access.Read | access.Settings, Operator: true,
		For: "what the files of a new configuration would change: in the configuration, in what recent events would have led to, and in what becomes of waiting deliveries; nothing is sent or stored. With `Accept: text/event-stream`, its progress and then the result",
		In:  view.PlanRequest{}, Out: route.Media{fiber.MIMEApplicationJSON: view.Plan{}, "text/event-stream": route.Text("")},
		Statuses: []int{fiber.StatusTooManyRequests, fiber.StatusConflict, fiber.StatusRequestEntityTooLarge},
	}}}
}

// maxPlanFaults bounds the details of a refusal.
const maxPlanFaults = 100

func (i *Inspection) plan(c *route.Call) error {
	var asked view.PlanRequest
	if err := route.ReadJSON(c.Body(), &asked); err != nil {
		return err
	}
	now := i.Clock.Now()
	ask := compare.Ask{Since: now.Add(-compare.DefaultSince), Limit: compare.DefaultEvents}
	if asked.Since != "" {
		var err error
		if ask.Since, err = route.ReadMoment(asked.Since, now, "since"); err != nil {
			return err
		}
	}
	if asked.Limit != 0 {
		if ask.Limit = asked.Limit; asked.Limit < 1 || asked.Limit > compare.MaxEvents {
			return answer.Invalid(fmt.Sprintf("this is 1 to %d", compare.MaxEvents), "limit")
		}
	}
	leave, err := i.turn(c, i.plans)
	if err != nil {
		return err
	}
	if ask.New, err = config.LoadBundle(bundleOf(&asked)); err != nil {
		leave()
		return refusedFiles(err, &asked)
	}
	err = i.Streams().Work(c.Ctx, c.Grant.Tenant+"/"+c.Grant.By()+"/plan", c.Still(), func(ctx context.Context, report func(any) error) (any, error) {
		defer leave()
		plan, err := i.planner.Compare(ctx, ask, report)
		if running, ok := errors.AsType[*compare.RunningError](err); ok {
			return nil, answer.Conflict(running.Error())
		}
		return plan, err
	})
	if err != nil {
		leave() // Work may not have begun; leaving twice is once
	}
	return err
}

// bundleOf copies the files: the body of the request is gone when they are compared.
func bundleOf(asked *view.PlanRequest) *config.Bundle {
	files := func(all []view.PlanFile) (copied []config.BundleFile) {
		for _, f := range all {
			copied = append(copied, config.BundleFile{Name: strings.Clone(f.Name), Text: []byte(f.Text)})
		}
		return copied
	}
	return &config.Bundle{Files: files(asked.Files), Profiles: files(asked.Profiles)}
}

// refusedFiles is the answer to files with faults: each with its file, line and column.
func refusedFiles(err error, asked *view.PlanRequest) error {
	faults, ok := errors.AsType[document.Faults](err)
	if !ok {
		return err
	}
	problem := &answer.Problem{Status: fiber.StatusUnprocessableEntity}
	for n, f := range faults.Sorted() {
		if n == maxPlanFaults {
			break
		}
		msg := f.Message
		if f.Remedy != "" {
			msg += "; " + f.Remedy
		}
		loc := placeOf(f.File, asked)
		if len(loc) > 1 {
			msg = f.Position.String() + ": " + msg
		}
		problem.Detail = append(problem.Detail, view.Detail{Msg: msg, Type: view.Validation, Loc: loc, Line: f.Line, Column: f.Column})
	}
	return problem
}

// placeOf returns where the body has a file.
func placeOf(name string, asked *view.PlanRequest) []string {
	for _, list := range []struct {
		key   string
		files []view.PlanFile
	}{{"files", asked.Files}, {"profiles", asked.Profiles}} {
		for n, f := range list.files {
			if f.Name == name || filepath.Clean(f.Name) == name {
				return []string{list.key, strconv.Itoa(n), "text"}
			}
		}
	}
	return []string{"files"}
}

// turn waits for the turn of a request that computes much; leave, which may be called again, ends it.
func (i *Inspection) turn(c *route.Call, gate *try.Gate) (leave func(), err error) {
	leave, err = gate.Enter(c.Base, c.Tenant, c.Grant.Name)
	if errors.Is(err, try.ErrBusy) {
		problem := answer.NewProblem(fiber.StatusTooManyRequests, view.RateLimited, err.Error())
		problem.RetryAfter = answer.DefaultRetryAfter
		return nil, problem
	}
	return leave, err
}
