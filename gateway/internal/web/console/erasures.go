package console

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountErasures() {
	c.get("/settings/erasures", func(r *page.Request) error { return c.showErasures(r, erasures{}) })
	c.post("/settings/erasures", c.erase)
	c.get("/settings/erasures/:id", c.erasure)
}

// erasures is the list of erasures with the form that begins one. A person is counted first: the form is posted, as an address would
// stay in the history of a browser.
type erasures struct {
	May        may
	List       view.Page[view.Erasure]
	Here       string
	Respondent string
	Products   bool
	// Would is what would be erased; nil: it is not counted yet.
	Would   *view.ErasureReceipt
	Problem *page.Problem
}

func (c *Console) showErasures(r *page.Request, e erasures) error {
	e.May, e.Here = mayOf(r), r.Base()+"/settings/erasures?"
	if !e.May.Admin {
		return r.Show("erasures", e)
	}
	if err := r.Read("/v1/erasures", url.Values{"limit": {"50"}, "cursor": {r.Query("cursor")}}, &e.List); err != nil {
		return err
	}
	return r.Show("erasures", e)
}

func (c *Console) erase(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	e := erasures{Respondent: strings.TrimSpace(form.Get("respondent")), Products: form.Get("products") != ""}
	count := form.Get("do") != "erase"
	a, err := r.Ask(page.Ask{
		Method: fiber.MethodPost, Path: "/v1/erasures", Body: view.ErasureRequest{Respondent: e.Respondent, Products: e.Products, DryRun: count}, DryRun: count,
	})
	if err != nil {
		if e.Problem = r.Refusal(err); e.Problem != nil {
			return c.showErasures(r, e)
		}
		return err
	}
	if count {
		var would view.WouldErase
		if err := a.Decode(&would); err != nil {
			return err
		}
		e.Would = &would.Would
		return c.showErasures(r, e)
	}
	var began view.Erasure
	if err := a.Decode(&began); err != nil {
		return err
	}
	return r.See(page.Path("/settings/erasures", began.ID), "The erasure has begun.")
}

type erasure struct {
	view.Erasure
	Ended bool
}

func (c *Console) erasure(r *page.Request) error {
	e := erasure{}
	if err := r.Read(page.Path("/v1/erasures", r.Param("id")), nil, &e.Erasure); err != nil {
		return err
	}
	if e.Ended = !e.Erasure.Ended.IsZero(); r.Wants("progress") {
		return r.Part("erasure", "erasureprogress", e)
	}
	return r.Show("erasure", e)
}
