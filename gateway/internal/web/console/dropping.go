package console

import (
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountDrops() {
	c.get("/drops", c.drops)
	c.get("/drops/:id", c.dropJob)
	c.get("/drops/:id/cancel", c.dropCancel)
	c.post("/drops/:id/cancel", c.cancelDrop)
}

// dropping is the page that counts what filters select before it is dropped.
type dropping struct {
	Would view.ReplayCount
	// Counted: the filters can be used, and Would is what they select.
	Counted bool
	// Words are the filters; Query is them in an address, and List the address of the list that they narrow. State is what is dropped,
	// waiting or dead.
	Words              [][2]string
	Query, List, State string
	// Reason and Typed are what was entered. Type: the number has to be typed.
	Reason, Typed string
	Type          bool
	// Posted: it was asked to begin, and Query is what was posted.
	Posted  bool
	Problem *page.Problem
}

func (c *Console) countDrop(r *page.Request) error {
	return c.showDrop(r, filtersOf(r.Query), dropping{}, nil)
}

// showDrop shows how many deliveries the filters select; nil filters cannot be read.
func (c *Console) showDrop(r *page.Request, filter url.Values, d dropping, problem *page.Problem) error {
	d.State, d.Words, d.Problem = filter.Get("state"), wordsOf(filter), problem
	d.List = r.Base() + listOf(filter)
	if !d.Posted {
		d.Query = filter.Encode()
	}
	if filter != nil {
		var err error
		if d.Would, err = wouldDrop(r, filter); err != nil {
			if err = refusedToo(r, &d.Problem, err); err != nil {
				return err
			}
		} else {
			d.Counted = true
		}
	}
	d.Type = d.Would.Deliveries > typedAbove
	return r.Show("dropping", d)
}

func wouldDrop(r *page.Request, filter url.Values) (count view.ReplayCount, err error) {
	if !droppable(filter) {
		return count, answer.NewProblem(fiber.StatusUnprocessableEntity, view.Validation, "choose what is dropped by the filters of the list first: the state `waiting` or `dead`, and what else narrows it")
	}
	of, err := replayOf(filter.Get)
	if err != nil {
		return count, err
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/drops", Body: view.DropRequest{Of: of, DryRun: true}, DryRun: true})
	if err != nil {
		return count, err
	}
	var would view.WouldReplay
	err = a.Decode(&would)
	return would.Would, err
}

func (c *Console) beginDrop(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	d := dropping{Query: form.Get("query"), Posted: true, Reason: form.Get("reason"), Typed: form.Get("typed")}
	filter, err := postedFilters(d.Query)
	var count view.ReplayCount
	if err == nil {
		count, err = wouldDrop(r, filter)
	}
	if err == nil {
		err = wrongNumber(count.Deliveries, d.Typed, "drops")
	}
	var a *page.Answer
	if err == nil {
		of, _ := replayOf(filter.Get) // they were counted
		a, err = r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/drops", Body: view.DropRequest{Of: of, Reason: d.Reason}})
	}
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showDrop(r, filter, d, problem)
		}
		return err
	}
	var job view.Job
	if err := a.Decode(&job); err != nil {
		return err
	}
	return r.See(page.Path("/drops", job.ID), "The drop has begun.")
}

// drops is the list.
func (c *Console) drops(r *page.Request) error {
	p := replays{Here: r.Base() + "/drops?"}
	if err := r.Read("/v1/drops", url.Values{"limit": {"50"}, "cursor": {r.Query("cursor")}}, &p.List); err != nil {
		return err
	}
	if r.Wants("rows") {
		return r.Part("drops", "rows", p)
	}
	return r.Show("drops", p)
}

// dropJob is the page of one drop.
func (c *Console) dropJob(r *page.Request) error {
	p, err := c.readDrop(r)
	if err != nil {
		return err
	}
	if r.Wants("progress") {
		return r.Part("dropjob", "progress", p)
	}
	return r.Show("dropjob", p)
}

func (c *Console) readDrop(r *page.Request) (*replay, error) {
	p := &replay{MayWrite: r.May(access.Write), Path: "drops"}
	return p, p.read(r)
}

func (c *Console) dropCancel(r *page.Request) error {
	p, err := c.readDrop(r)
	if err != nil {
		return err
	}
	return r.Show("dropcancel", p)
}

func (c *Console) cancelDrop(r *page.Request) error {
	id := r.Param("id")
	if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/drops", id) + "/cancel"}); err != nil {
		problem := r.Refusal(err)
		if problem == nil {
			return err
		}
		p, err := c.readDrop(r)
		if err != nil {
			return err
		}
		p.Problem = problem
		return r.Show("dropjob", p)
	}
	return r.See(page.Path("/drops", id), "The drop is cancelled. What it dropped stays dropped.")
}
