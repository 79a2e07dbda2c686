package portal

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (p *Portal) mountDeliveries() {
	p.get(access.CanDeliveries, "/deliveries", p.deliveries)
	p.get(access.CanBodies, "/deliveries/:id", p.delivery)
	p.get(access.CanBodies, "/deliveries/:id/event", p.eventFile)
	p.post(access.CanReplay, "/deliveries/:id/again", p.sendAgain)
}

// filters are the parameters of the list that the page has fields for.
var filters = []string{"state", "destination", "status", "type", "since"}

type deliveries struct {
	visit
	List   view.Page[view.Delivery]
	Filter map[string]string
	// Filtered: some filter is set.
	Filtered bool
	Here     string
	// Hooks are the webhooks to choose from. Labels are the names for people, by those of destinations.
	Hooks  []hook
	Labels map[string]string
}

// Label returns the name for people of a destination.
func (d *deliveries) Label(name string) string {
	if label := d.Labels[name]; label != "" {
		return label
	}
	return name
}

func (p *Portal) deliveries(r *page.Request) error {
	d := &deliveries{visit: visited(r, nil), Filter: map[string]string{}}
	q, here := url.Values{"include": {"event"}, "limit": {"50"}, "cursor": {r.Query("cursor")}}, url.Values{}
	for _, name := range filters {
		if value := r.Query(name); value != "" {
			d.Filter[name], d.Filtered = value, true
			q.Set(name, value)
			here.Set(name, value)
		}
	}
	var refused error
	err := r.Together(
		func() error { refused = r.Read("/v1/deliveries", q, &d.List); return nil },
		func() (err error) { d.Hooks, d.Labels, err = p.labels(r); return err })
	if err != nil {
		return err
	}
	if refused != nil {
		if d.Problem = r.Refusal(refused); d.Problem == nil {
			return refused
		}
	}
	d.Here = r.Base() + "/deliveries?"
	if len(here) > 0 {
		d.Here += here.Encode() + "&"
	}
	return r.Show("deliveries", d)
}

// labels returns the webhooks, as far as the visitor may see them, and their names for people.
func (p *Portal) labels(r *page.Request) ([]hook, map[string]string, error) {
	labels := map[string]string{}
	if !can(r, access.CanWebhooks) {
		return nil, labels, nil
	}
	var hooks []hook
	for cursor := ""; ; { // a tenant has at most config.MaxDocuments of its own
		var list view.Page[view.Webhook]
		if err := r.Read("/v1/webhooks", url.Values{"limit": {"200"}, "cursor": {cursor}}, &list); err != nil {
			return nil, nil, err
		}
		for _, w := range list.Data {
			h := newHook(w)
			hooks = append(hooks, h)
			labels[w.Name] = h.Label
		}
		if list.Next == nil {
			return hooks, labels, nil
		}
		cursor = *list.Next
	}
}

type deliveryPage struct {
	visit
	view.Delivery
	Label string
	// Hook: it is one to a webhook, which the visitor may see.
	Hook bool
	// Event is its event; nil where that is no longer kept.
	Event *view.Record
}

// Envelope returns what the page shows of the event.
func (d *deliveryPage) Envelope() page.Excerpt {
	return page.Indent(string(d.Event.Envelope), page.MaxText)
}

// Newest returns the attempts, newest first.
func (d *deliveryPage) Newest() []*view.Attempt {
	all := make([]*view.Attempt, 0, len(d.Log))
	for i := range slices.Backward(d.Log) {
		all = append(all, &d.Log[i])
	}
	return all
}

func (p *Portal) delivery(r *page.Request) error { return p.showDelivery(r, nil) }

func (p *Portal) showDelivery(r *page.Request, problem *page.Problem) error {
	d := &deliveryPage{visit: visited(r, problem)}
	if err := r.Read(page.Path("/v1/deliveries", r.Param("id")), nil, &d.Delivery); err != nil {
		return err
	}
	var record view.Record
	d.Label = d.Destination
	err := r.Together(
		func() error {
			err := r.Read(page.Path("/v1/events", d.Delivery.Event), nil, &record)
			if err == nil {
				d.Event = &record
			}
			return missing(err)
		},
		func() error {
			if !can(r, access.CanWebhooks) || d.Connector != "webhook" {
				return nil
			}
			var w view.Webhook
			err := r.Read(page.Path("/v1/webhooks", d.Destination), nil, &w)
			if err == nil {
				h := newHook(w)
				d.Label, d.Hook = h.Label, true
			}
			return missing(err)
		})
	if err != nil {
		return err
	}
	return r.Show("delivery", d)
}

// eventFile gives the event of a delivery as a file.
func (p *Portal) eventFile(r *page.Request) error {
	var d view.Delivery
	if err := r.Read(page.Path("/v1/deliveries", r.Param("id")), nil, &d); err != nil {
		return err
	}
	var record view.Record
	if err := r.Read(page.Path("/v1/events", d.Event), nil, &record); err != nil {
		return err
	}
	return r.Download(record.ID+".json", fiber.MIMEApplicationJSONCharsetUTF8, record.Envelope)
}

// sendAgain sends a delivery again: one that waits now, any other once more.
func (p *Portal) sendAgain(r *page.Request) error {
	id := r.Param("id")
	form, err := r.Form()
	if err != nil {
		return err
	}
	verb := "replay"
	if form.Get("waits") == "1" {
		verb = "retry"
	}
	if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/deliveries", id, verb)}); err != nil {
		problem := r.Refusal(err)
		if problem == nil || problem.Status == fiber.StatusNotFound || !can(r, access.CanBodies) {
			return err
		}
		return p.showDelivery(r, problem)
	}
	to := "/deliveries"
	if can(r, access.CanBodies) {
		to += "/" + url.PathEscape(id)
	}
	return r.See(to, "The delivery is sent now.")
}

// plural writes a number with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
