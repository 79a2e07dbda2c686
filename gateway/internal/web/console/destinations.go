package console

import (
	"html/template"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountDestinations() {
	c.get("/destinations", c.destinations)
	c.get("/destinations/:name", c.destination)
	c.get("/destinations/:name/pause", c.confirmPause)
	c.post("/destinations/:name/pause", c.pauseDestination)
	c.post("/destinations/:name/resume", c.resumeDestination)
	c.get("/destinations/:name/disable", c.confirmDisable)
	c.post("/destinations/:name/disable", c.disableWebhook)
	c.post("/destinations/:name/enable", c.enableWebhook)
	c.get("/destinations/:name/test", c.destinationTest)
	c.post("/destinations/:name/test", c.sendTest)
	c.post("/destinations/:name/check", c.checkConnection)
	c.post("/destinations/:name/secrets", c.addSecret)
	c.get("/destinations/:name/secrets/:id/delete", c.confirmSecretEnd)
	c.post("/destinations/:name/secrets/:id/delete", c.endSecret)
}

// isWebhook reports whether a destination is a webhook, and not a connection.
func isWebhook(d *view.Destination) bool { return d.Product == "webhook" }

// destinationLine is a destination in a list.
type destinationLine struct {
	view.Destination
	Spark template.HTML
}

// destinationOrders are the columns of the list, but for that of the state.
var destinationOrders = []order{
	{Name: "Name", Words: "name", By: "name"},
	{Name: "Attempts", Words: "most attempts", By: "-attempts", Numeric: true},
	{Name: "Success", Words: "lowest success", By: "success", Numeric: true},
	{Name: "p95", Words: "slowest", By: "-p95", Numeric: true},
	{Name: "Waiting", Words: "most waiting", By: "-waiting", Numeric: true},
	{Name: "Oldest", Words: "longest waiting", By: "-oldest", Numeric: true},
	{Name: "Dead", Words: "most dead letters", By: "-dead", Numeric: true},
	{Name: "24 h", Words: "most failed", By: "-failed"},
}

// destinations is a page of the list.
type destinations struct {
	listing
	Rows        []destinationLine
	Next        *string
	MaySettings bool
}

func (c *Console) destinations(r *page.Request) error {
	d := destinations{listing: listingOf(r, "/destinations", destinationOrders), MaySettings: r.May(access.Settings)}
	var list view.Page[view.Destination]
	if err := r.Read("/v1/destinations", d.query(r, "standing,trend"), &list); err != nil {
		return err
	}
	d.Next = list.Next
	for i := range list.Data {
		row := destinationLine{Destination: list.Data[i]}
		if row.Trend != nil {
			row.Spark = failures(*row.Trend)
		}
		d.Rows = append(d.Rows, row)
	}
	if r.Wants("rows") {
		return r.Part("destinations", "rows", d)
	}
	return r.Show("destinations", d)
}

// destinationPath is the page of the destination of a visit, below that of its tenant.
func destinationPath(r *page.Request) string { return page.Path("/destinations", r.Param("name")) }

// acted leads back to the destination, or shows its page with what the API refused.
func (c *Console) acted(r *page.Request, err error, note string) error {
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showDestination(r, &destination{Problem: problem})
		}
		return err
	}
	return r.See(destinationPath(r), note)
}

// pausing is the page that asks before a pause.
type pausing struct {
	view.Destination
	Reason  string
	Problem *page.Problem
}

func (c *Console) confirmPause(r *page.Request) error { return c.showPausing(r, pausing{}) }

func (c *Console) showPausing(r *page.Request, p pausing) error {
	if err := r.Read(page.Path("/v1/destinations", r.Param("name")), url.Values{"include": {"standing"}}, &p.Destination); err != nil {
		return err
	}
	return r.Show("pause", p)
}

func (c *Console) pauseDestination(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	name, reason := r.Param("name"), strings.TrimSpace(form.Get("reason"))
	_, err = r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/destinations", name) + "/pause", Query: url.Values{"reason": {reason}}})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showPausing(r, pausing{Reason: reason, Problem: problem})
		}
		return err
	}
	return r.See(destinationPath(r), name+" is paused: its deliveries wait until it is resumed.")
}

func (c *Console) resumeDestination(r *page.Request) error {
	name := r.Param("name")
	_, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/destinations", name) + "/resume"})
	return c.acted(r, err, name+" is resumed: what waits for it is due now.")
}

func (c *Console) confirmDisable(r *page.Request) error {
	var p pausing
	if err := r.Read(page.Path("/v1/destinations", r.Param("name")), url.Values{"include": {"standing"}}, &p.Destination); err != nil {
		return err
	}
	return r.Show("disable", p)
}

func (c *Console) disableWebhook(r *page.Request) error {
	name := r.Param("name")
	_, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/webhooks", name) + "/disable"})
	return c.acted(r, err, name+" is off: it is sent nothing, and selects no new events.")
}

func (c *Console) enableWebhook(r *page.Request) error {
	name := r.Param("name")
	_, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/webhooks", name) + "/enable"})
	return c.acted(r, err, name+" is on.")
}
