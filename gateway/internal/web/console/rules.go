package console

import (
	"math"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/chart"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountRules() {
	c.get("/rules", c.rules)
	c.get("/rules/:name", c.rule)
	c.get("/rules/:name/disable", c.confirmRuleOff)
	c.post("/rules/:name/enable", c.switchRule("enable"))
	c.post("/rules/:name/disable", c.switchRule("disable"))
}

// ruleList is a page of rules.
type ruleList struct {
	listing
	List view.Page[view.Rule]
	May  bool // make and change
}

// ruleOrders are the columns of the list.
var ruleOrders = []order{
	{Name: "Rule", Words: "name", By: "name"},
	{Name: "State"},
	{Name: "When"},
	{Name: "Sends to"},
	{Name: "Matched 24 h", Words: "most matched", By: "-matched", Numeric: true},
	{Name: "Errors", Words: "most errors", By: "-errors", Numeric: true},
	{Name: "Last match"},
	{Name: "Tests"},
	{Name: "Defined by"},
}

func (c *Console) rules(r *page.Request) error {
	d := ruleList{listing: listingOf(r, "/rules", ruleOrders), May: r.May(access.Settings)}
	if err := r.Read("/v1/rules", d.query(r, "seen,tests"), &d.List); err != nil {
		return err
	}
	if r.Wants("rows") {
		return r.Part("rules", "rows", d)
	}
	return r.Show("rules", d)
}

// rule is what the page of one rule shows.
type rule struct {
	view.Rule
	Stats view.Stats[view.RuleStat]
	// Newest are the newest events that it matched.
	Newest  []*view.Event
	YAML    string
	May     bool
	Problem *page.Problem
}

// statSpan is how far the chart of a rule goes back.
const statSpan = "7d"

func (c *Console) rule(r *page.Request) error { return c.showRule(r, nil) }

func (c *Console) showRule(r *page.Request, problem *page.Problem) error {
	name := r.Param("name")
	d := rule{Problem: problem, May: r.May(access.Settings)}
	err := r.Together(
		func() error { return r.Read(page.Path("/v1/rules", name), nil, &d.Rule) },
		func() error {
			return r.Read("/v1/stats", url.Values{"of": {"rule:" + name}, "step": {"hour"}, "since": {statSpan}}, &d.Stats)
		},
		func() error {
			return d.readEvents(r, name)
		},
	)
	if err != nil {
		return err
	}
	d.YAML = editableOf("rule").yaml(d.Spec)
	return r.Show("rule", &d)
}

// maxRuleEvents is how many events the page of a rule shows. Each has a delivery for each step of the rule.
const maxRuleEvents = 10

// readEvents finds the newest events that a rule matched by its deliveries: to search the events themselves takes a read of each.
func (d *rule) readEvents(r *page.Request, name string) error {
	var list view.Page[view.Delivery]
	if err := r.Read("/v1/deliveries", url.Values{"rule": {name}, "include": {"event"}, "limit": {"50"}}, &list); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range list.Data {
		if head := list.Data[i].EventHead; head != nil && !seen[head.ID] && len(d.Newest) < maxRuleEvents {
			seen[head.ID] = true
			d.Newest = append(d.Newest, head)
		}
	}
	return nil
}

// Chart draws how the rule decided.
func (d *rule) Chart() *chart.Chart {
	steps := chart.StepsOf(d.Stats.Since.Time, d.Stats.Until.Time, time.Hour)
	series := []chart.Series{
		{Name: "matched", Class: "delivered"}, {Name: "no match", Class: "no"}, {Name: "unknown", Class: "retry"}, {Name: "error", Class: "rejected"},
	}
	for i := range series {
		series[i].Values = make([]float64, steps.N)
	}
	for _, at := range d.Stats.Data {
		i := int(math.Round(at.At.Sub(steps.First).Hours()))
		if i < 0 || i >= steps.N {
			continue
		}
		for n, count := range []int64{at.Matched, at.No, at.Unknown, at.Erred} {
			series[n].Values[i] = float64(count)
		}
	}
	return &chart.Chart{Title: "Decisions an hour, 7 days", Unit: chart.Count, Steps: steps, Series: series}
}

// confirmRuleOff asks before a rule is switched off.
func (c *Console) confirmRuleOff(r *page.Request) error {
	var d view.Rule
	if err := r.Read(page.Path("/v1/rules", r.Param("name")), nil, &d); err != nil {
		return err
	}
	return r.Show("ruleoff", &d)
}

// switchRule switches a rule on or off.
func (c *Console) switchRule(verb string) page.Handler {
	return func(r *page.Request) error {
		form, err := r.Form()
		if err != nil {
			return err
		}
		name := r.Param("name")
		if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/rules", name) + "/" + verb, Match: form.Get("version")}); err != nil {
			if problem := r.Refusal(err); problem != nil {
				return c.showRule(r, problem)
			}
			return err
		}
		note := "Rule `" + name + "` is enabled."
		if verb == "disable" {
			note = "Rule `" + name + "` is disabled: it is not asked about new events."
		}
		return r.See("/rules/"+url.PathEscape(name), note)
	}
}
