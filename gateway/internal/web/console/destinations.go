package console

import (
	"html/template"
	"net/url"
	"slices"
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

// order is a column that the list can be sorted by.
type order struct {
	Name string
	// Words say it in a menu: what comes first.
	Words string
	// By is the value of `sort` that it begins with: what needs attention first.
	By string
	// Sorted is ascending or descending, of the column that the list is sorted by.
	Sorted string
	// Href sorts by it, or turns the order.
	Href    string
	Numeric bool
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
	Rows    []destinationLine
	Next    *string
	Q, Sort string
	Orders  []order
	// Here is the page's address without the cursor. Live is that of its rows as they are now; empty where they would move.
	Here, Live  string
	MaySettings bool
}

// turned returns the opposite order.
func turned(by string) string {
	if name, down := strings.CutPrefix(by, "-"); down {
		return name
	}
	return "-" + by
}

func (c *Console) destinations(r *page.Request) error {
	d := destinations{Q: strings.TrimSpace(r.Query("q")), Sort: r.Query("sort"), MaySettings: r.May(access.Settings)}
	q := url.Values{"include": {"standing,trend"}, "limit": {"50"}, "q": {d.Q}, "sort": {d.Sort}, "cursor": {r.Query("cursor")}}
	var list view.Page[view.Destination]
	if err := r.Read("/v1/destinations", q, &list); err != nil {
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
	at := func(by, cursor string) string {
		here := url.Values{}
		for name, value := range map[string]string{"q": d.Q, "sort": by, "cursor": cursor} {
			if value != "" {
				here.Set(name, value)
			}
		}
		return r.Base() + "/destinations?" + here.Encode()
	}
	if d.Here = at(d.Sort, ""); !strings.HasSuffix(d.Here, "?") {
		d.Here += "&"
	}
	if d.Sort == "" || d.Sort == "name" {
		d.Live = at(d.Sort, r.Query("cursor")) + "&part=rows"
	}
	d.Orders = slices.Clone(destinationOrders)
	for i := range d.Orders {
		o := &d.Orders[i]
		by := o.By
		if d.Sort == o.By || d.Sort == "" && o.By == "name" || d.Sort == turned(o.By) {
			o.Sorted = "ascending"
			if strings.HasPrefix(d.Sort, "-") {
				o.Sorted = "descending"
			}
			if d.Sort != turned(o.By) {
				by = turned(o.By)
			}
		}
		o.Href = at(by, "")
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
