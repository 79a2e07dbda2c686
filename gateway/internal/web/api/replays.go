package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/replay"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// beginWithin is how long a request waits for its job to know what it selects, so that the answer has the total.
const (
	beginWithin = time.Second
	beginLook   = 20 * time.Millisecond
)

// replays begins a replay as a job, or, as earlier versions did, reads a page of raw bodies again.
func (a *API) replays(c *route.Call) error {
	how, normalised, err := howOf(c)
	if err != nil {
		return err
	}
	if normalised {
		return a.normaliseMany(c, how)
	}
	for _, name := range []string{"source", "since", "until", "cursor"} {
		if c.Asked(name) != "" {
			return answer.Invalid("as a parameter it goes with `normalise=true`; what a replay selects is `of` in the body", name)
		}
	}
	if len(bytes.TrimSpace(c.Body())) == 0 {
		return answer.Invalid("say in the body what is replayed, as in {\"of\": {\"destination\": \"crm\", \"state\": \"dead\"}}; `normalise=true` reads raw bodies again", "of")
	}
	var req view.ReplayRequest
	if err := route.ReadJSON(c.Body(), &req); err != nil {
		return err
	}
	spec, err := a.specOf(&req, a.Clock.Now())
	if err != nil {
		return err
	}
	if err := a.knownTarget(c, req.Of.Destination, req.Of.Rule); err != nil && !a.isKept(c, spec) {
		return err
	}
	return a.replayAs(c, spec, req.DryRun)
}

func (a *API) specOf(req *view.ReplayRequest, now time.Time) (*replay.Spec, error) {
	since, until, err := momentsOf(&req.Of, now)
	if err != nil {
		return nil, err
	}
	spec, err := replay.New(req.Of, since, until, req.As, req.Rate, req.Reason)
	return spec, replayError(err)
}

// momentsOf returns the times that a selection means.
func momentsOf(of *view.ReplayOf, now time.Time) (since, until time.Time, err error) {
	if since, err = route.ReadMoment(of.Since, now, "of", "since"); err != nil {
		return since, until, err
	}
	until, err = route.ReadMoment(of.Until, now, "of", "until")
	return since, until, err
}

func replayError(err error) error {
	if invalid, ok := errors.AsType[*replay.InvalidError](err); ok {
		return answer.Invalid(invalid.Problem, invalid.Loc...)
	}
	return jobError(err, "replay")
}

// jobError turns an error of package job into an answer; what is the kind of job.
func jobError(err error, what string) error {
	switch {
	case errors.Is(err, job.ErrNoJob):
		return answer.NotFound(what)
	case errors.Is(err, job.ErrTooMany):
		return answer.Conflict("too many jobs wait or run already: cancel one, or ask again when one has ended")
	case errors.Is(err, job.ErrEnded):
		return answer.Conflict("it has ended already")
	}
	return err
}

// isKept reports whether the store has deliveries of a destination or rule that the configuration lacks.
func (a *API) isKept(c *route.Call, spec *replay.Spec) bool {
	p, err := a.Store.Deliveries(c.Base, c.Tenant, state.DeliveryQuery{Destination: spec.Of.Destination, Rule: spec.Of.Rule, Limit: 1})
	return err == nil && !nothing(p, "")
}

// replayAs counts what a replay selects, or begins it.
func (a *API) replayAs(c *route.Call, spec *replay.Spec, dryRun bool) error {
	return a.beginJob(c, replay.Kind, spec, dryRun)
}

// beginJob counts what a replay or a drop selects, or begins it.
func (a *API) beginJob(c *route.Call, kind string, spec *replay.Spec, dryRun bool) error {
	if c.DryRun = dryRun; dryRun {
		count, err := a.Replay.Count(c.Base, c.Tenant, spec)
		if err != nil {
			return err
		}
		return answer.JSON(c.Ctx, fiber.StatusOK, view.WouldReplay{Would: count})
	}
	by := c.By()
	j, err := a.Jobs.Create(c.Base, c.Tenant, kind, spec, by)
	if err != nil {
		return jobError(err, kind)
	}
	after, _ := json.Marshal(spec.Of)
	line := audit.Line{By: by, Did: kind + ".create", Of: kind + "/" + j.ID, After: after}
	if err := a.Book.Audit.Add(c.Base, c.Tenant, line); err != nil { // the job is made; an error would make the caller repeat it
		a.Log.Warn("a job is missing from the audit", "tenant", c.Tenant, "job", j.ID, "err", err)
	}
	c.Set(fiber.HeaderLocation, "/v1/"+kind+"s/"+j.ID)
	return answer.JSON(c.Ctx, fiber.StatusAccepted, replay.View(a.counted(c, j)))
}

// counted returns a job once it knows what it selects, or as it is after a while.
func (a *API) counted(c *route.Call, j *job.Job) *job.Job {
	for began := wall.Elapsed(); wall.Elapsed()-began < beginWithin; {
		now, err := a.Jobs.Get(c.Base, c.Tenant, j.ID)
		if err != nil {
			return j
		}
		if j = now; j.Counted || j.State.Ended() {
			return j
		}
		after, stop := wall.After(beginLook)
		select {
		case <-after:
		case <-c.Base.Done():
		}
		stop()
	}
	return j
}

func (a *API) replayList(c *route.Call) error {
	return a.listJobs(c, c.Tenant, replay.Kind, replay.View)
}

// listJobs answers a page of the jobs of a tenant of one kind.
func (a *API) listJobs(c *route.Call, tenant, kind string, viewOf func(*job.Job) view.Job) error {
	limit, err := c.Limit()
	if err != nil {
		return err
	}
	all, err := a.Jobs.List(c.Base, tenant, kind)
	if err != nil {
		return err
	}
	some, next, err := job.Page(all, c.Asked("cursor"), cmp.Or(limit, 50))
	if err != nil {
		return listError(err, c.Asked("cursor"))
	}
	p := view.Page[view.Job]{Data: make([]view.Job, len(some))}
	for i, j := range some {
		p.Data[i] = viewOf(j)
	}
	if next != "" {
		p.Next = &next
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, p)
}

// jobOf returns the job of a kind that the path names.
func (a *API) jobOf(c *route.Call, kind string) (*job.Job, error) {
	j, err := a.Jobs.Get(c.Base, c.Tenant, c.Segment("id"))
	if err == nil && j.Kind != kind {
		err = job.ErrNoJob
	}
	return j, jobError(err, kind)
}

func (a *API) replayOne(c *route.Call) error { return a.showJob(c, replay.Kind) }

func (a *API) showJob(c *route.Call, kind string) error {
	j, err := a.jobOf(c, kind)
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, replay.View(j))
}

func (a *API) replayCancel(c *route.Call) error { return a.cancelJob(c, replay.Kind) }

func (a *API) cancelJob(c *route.Call, kind string) error {
	j, err := a.jobOf(c, kind)
	if err != nil {
		return err
	}
	if j, err = a.Jobs.Cancel(c.Base, c.Tenant, j.ID); err != nil {
		return jobError(err, kind)
	}
	if err := a.Book.Audit.Add(c.Base, c.Tenant, audit.Line{By: c.By(), Did: kind + ".cancel", Of: kind + "/" + j.ID}); err != nil {
		a.Log.Warn("a cancellation is missing from the audit", "tenant", c.Tenant, "job", j.ID, "err", err)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, replay.View(j))
}
