package console

import (
	"fmt"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountDeliveries() {
	c.get("/deliveries", c.deliveries)
	c.get("/deliveries/:id", c.delivery)
	c.post("/deliveries/:id/retry", c.retryDelivery)
}

// deliveryFilters are the parameters of the list that the page has fields for.
var deliveryFilters = []string{"state", "destination", "status", "rule", "type", "since"}

type deliveries struct {
	List   view.Page[view.Delivery]
	Filter map[string]string
	// Here is the page's address without the cursor, up to where that is added.
	Here string
}

func (c *Console) deliveries(r *page.Request) error {
	d := deliveries{Filter: map[string]string{}}
	q, here := url.Values{"include": {"event"}, "limit": {"50"}, "cursor": {r.Query("cursor")}}, url.Values{}
	for _, name := range deliveryFilters {
		if value := r.Query(name); value != "" {
			d.Filter[name] = value
			q.Set(name, value)
			here.Set(name, value)
		}
	}
	if err := r.Read("/v1/deliveries", q, &d.List); err != nil {
		return err
	}
	d.Here = r.Base() + "/deliveries?"
	if len(here) > 0 {
		d.Here += here.Encode() + "&"
	}
	if r.Wants("rows") {
		return r.Part("deliveries", "rows", d)
	}
	return r.Show("deliveries", d)
}

type delivery struct {
	view.Delivery
	May     map[string]bool
	Problem *page.Problem
}

func (c *Console) delivery(r *page.Request) error { return c.showDelivery(r, nil) }

func (c *Console) showDelivery(r *page.Request, problem *page.Problem) error {
	d := delivery{Problem: problem}
	if err := r.Read(page.Path("/v1/deliveries", r.Param("id")), nil, &d.Delivery); err != nil {
		return err
	}
	return r.Show("delivery", d)
}

func (c *Console) retryDelivery(r *page.Request) error {
	id := r.Param("id")
	if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/deliveries", id) + "/retry"}); err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showDelivery(r, problem)
		}
		return err
	}
	return r.See("/deliveries/"+url.PathEscape(id), fmt.Sprintf("Delivery %s is due now.", id))
}
