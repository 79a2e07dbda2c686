package portal

import (
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/chart"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (p *Portal) mountWebhooks() {
	p.get(access.CanWebhooks, "/webhooks", p.webhooks)
	p.post(access.CanWebhooks, "/webhooks", p.makeWebhook)
	p.get(access.CanWebhooks, "/new/webhook", p.newWebhook)
	p.get(access.CanWebhooks, "/webhooks/:name", p.webhook)
	p.post(access.CanWebhooks, "/webhooks/:name/enable", p.switchWebhook("enable"))
	p.post(access.CanWebhooks, "/webhooks/:name/disable", p.switchWebhook("disable"))
	p.post(access.CanWebhooks, "/webhooks/:name/delete", p.deleteWebhook)
}

// hook is a webhook as pages show it.
type hook struct {
	view.Webhook
	// Label is its title, or its address without one.
	Label string
	// Standing is what waits and has failed; never nil.
	Standing view.Standing
	// Day is what it was sent in the last 24 hours; nil where the visitor does not see deliveries, or where that is not known.
	Day *day
}

// Fixed reports whether the visitor cannot change it.
func (h hook) Fixed() bool { return h.Provenance == "file" || h.Locked }

// Look is the state that the list shows: what keeps deliveries from it comes before that of its settings.
func (h hook) Look() string {
	switch {
	case h.State == view.Broken || h.State == view.Disabled:
		return h.State
	case h.Standing.Hold != nil:
		return h.Standing.Hold.Kind
	}
	return h.State
}

func newHook(w view.Webhook) hook {
	h := hook{Webhook: w, Label: specOf(w.Spec).Title}
	if h.Label == "" {
		h.Label = host(w.URL)
	}
	if h.Label == "" {
		h.Label = w.Name
	}
	if w.Standing != nil {
		h.Standing = *w.Standing
	}
	return h
}

// unreadHook is a webhook of which no more is known than its name.
func unreadHook(name string) hook { return newHook(view.Webhook{Setting: view.Setting{Name: name}}) }

// host returns an address without its scheme and query.
func host(address string) string {
	_, rest, found := strings.Cut(address, "://")
	if !found {
		return address
	}
	rest, _, _ = strings.Cut(rest, "?")
	return strings.TrimSuffix(rest, "/")
}

// day is what was sent to a destination in the last 24 hours.
type day struct {
	Total view.DestinationStat
	// Spark draws the attempts of each hour.
	Spark chart.Spark
	// Failed are attempts that failed. Last is the hour of the newest attempt.
	Failed int64
	Last   time.Time
}

func newDay(name string, stat []view.DestinationStat, total view.DestinationStat, until time.Time) *day {
	d := &day{Total: total, Failed: total.Attempts - total.Delivered, Spark: chart.Spark{Title: name + ", attempts an hour, last 24 hours", Values: make([]float64, 24)}}
	for _, s := range stat {
		if at := 23 - int(until.Sub(s.At.Time)/time.Hour); at >= 0 && at < 24 {
			d.Spark.Values[at] += float64(s.Attempts)
		}
		if s.Attempts > 0 && s.At.After(d.Last) {
			d.Last = s.At.Time
		}
	}
	if total.Attempts == 0 {
		for i := range d.Spark.Values {
			d.Spark.Values[i] = math.NaN()
		}
	}
	return d
}

// trendDay is newDay of what a list of destinations says.
func trendDay(t *view.Trend) *day {
	total := view.DestinationStat{Attempts: t.Attempts, Delivered: t.Attempts - t.Failed}
	d := newDay("", nil, total, time.Time{})
	if t.Attempts > 0 {
		for i, n := range t.Hourly {
			d.Spark.Values[i] = float64(n)
		}
	}
	return d
}

// maxDays bounds the pages of destinations that a list asks for: a connection is among them if its name looks like a webhook's.
const maxDays = 3

// days returns what was sent to each destination in the last 24 hours, for names up to last of the page of webhooks at cursor; all: none of
// these names is left out. Both lists are sorted by name, and a cursor of one continues the other.
func (p *Portal) days(r *page.Request, cursor, last string) (days map[string]*day, all bool, err error) {
	days = map[string]*day{}
	q := url.Values{"q": {"webhook"}, "include": {"trend"}, "limit": {"100"}, "cursor": {cursor}}
	for range maxDays {
		var list view.Page[view.Destination]
		if err := r.Read("/v1/destinations", q, &list); err != nil {
			return nil, false, err
		}
		for i := range list.Data {
			if d := &list.Data[i]; d.Trend != nil {
				days[d.Name] = trendDay(d.Trend)
			}
		}
		if list.Next == nil || len(list.Data) == 0 || list.Data[len(list.Data)-1].Name >= last {
			return days, true, nil
		}
		q.Set("cursor", *list.Next)
	}
	return days, false, nil
}

type webhooks struct {
	visit
	List []hook
	Next *string
	Here string
}

func (p *Portal) webhooks(r *page.Request) error {
	var list view.Page[view.Webhook]
	if err := r.Read("/v1/webhooks", url.Values{"include": {"standing"}, "limit": {"50"}, "cursor": {r.Query("cursor")}}, &list); err != nil {
		return err
	}
	w := webhooks{visit: visited(r, nil), Next: list.Next, Here: r.Base() + "/webhooks?"}
	for _, each := range list.Data {
		w.List = append(w.List, newHook(each))
	}
	if can(r, access.CanDeliveries) && len(w.List) > 0 {
		days, all, err := p.days(r, r.Query("cursor"), w.List[len(w.List)-1].Name)
		if err != nil {
			return err
		}
		for i := range w.List {
			if w.List[i].Day = days[w.List[i].Name]; w.List[i].Day == nil {
				if !all {
					continue // it is not known
				}
				w.List[i].Day = newDay(w.List[i].Label, nil, view.DestinationStat{}, time.Time{})
			}
			w.List[i].Day.Spark.Title = w.List[i].Label + ", attempts an hour, last 24 hours"
		}
	}
	return r.Show("webhooks", w)
}

// newHookPage is the form for a new webhook.
type newHookPage struct {
	visit
	Form   hookForm
	Choice []eventChoice
}

func (p *Portal) newWebhook(r *page.Request) error {
	return p.showNew(r, hookForm{All: true, Events: map[string]bool{}, Body: "event"}, nil)
}

func (p *Portal) showNew(r *page.Request, form hookForm, problem *page.Problem) error {
	choice, err := p.choices(r, &form)
	if err != nil {
		return err
	}
	return r.Show("new", newHookPage{visited(r, problem), form, choice})
}

func (p *Portal) makeWebhook(r *page.Request) error {
	values, err := r.Form()
	if err != nil {
		return err
	}
	form, faults := readForm(values, &hookForm{All: true})
	if len(faults) > 0 {
		return p.showNew(r, form, r.Refusal(&answer.Problem{Status: fiber.StatusUnprocessableEntity, Detail: faults}))
	}
	spec := form.patch(&hookForm{})
	spec["url"] = form.URL
	spec["events"] = form.events()
	spec["body"] = "event" // what the pages about event types show
	answer, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/webhooks", Body: spec})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return p.showNew(r, form, problem)
		}
		return err
	}
	var made view.Webhook
	if err := answer.Decode(&made); err != nil {
		return err
	}
	return r.Show("made", madePage{visited(r, nil), newHook(made)})
}

// madePage shows the secret of a new webhook, once.
type madePage struct {
	visit
	Hook hook
}

// hookPage is one webhook.
type hookPage struct {
	visit
	Hook    hook
	Newest  []view.Delivery
	Waiting bool
}

// readHead asks for a webhook as the head of each of its pages shows it: with what waits and has failed, as far as the visitor may see that.
func (p *Portal) readHead(r *page.Request, name string) (hook, error) {
	var w view.Webhook
	var at view.Destination
	asks := []func() error{func() error { return r.Read(page.Path("/v1/webhooks", name), nil, &w) }}
	if can(r, access.CanDeliveries) {
		asks = append(asks, func() error {
			return missing(r.Read(page.Path("/v1/destinations", name), url.Values{"include": {"standing"}}, &at))
		})
	}
	if err := r.Together(asks...); err != nil {
		return hook{}, err
	}
	h := newHook(w)
	if at.Standing != nil {
		h.Standing = *at.Standing
	}
	return h, nil
}

// readHook asks for a webhook as readHead does and, as far as the visitor may see that, for the last day.
func (p *Portal) readHook(r *page.Request, name string) (h hook, err error) {
	var stats view.Stats[view.DestinationStat]
	asks := []func() error{func() (err error) { h, err = p.readHead(r, name); return err }}
	if can(r, access.CanDeliveries) {
		asks = append(asks, func() error {
			return missing(r.Read("/v1/stats", url.Values{"of": {"destination:" + name}, "step": {"hour"}}, &stats))
		})
	}
	if err := r.Together(asks...); err != nil {
		return h, err
	}
	if can(r, access.CanDeliveries) {
		h.Day = newDay(h.Label, stats.Data, stats.Total, stats.Until.Add(-time.Nanosecond))
	}
	return h, nil
}

func (p *Portal) webhook(r *page.Request) error { return p.showWebhook(r, nil) }

func (p *Portal) showWebhook(r *page.Request, problem *page.Problem) error {
	name := r.Param("name")
	w := hookPage{visit: visited(r, problem)}
	var newest view.Page[view.Delivery]
	asks := []func() error{func() (err error) { w.Hook, err = p.readHook(r, name); return err }}
	if can(r, access.CanDeliveries) {
		asks = append(asks, func() error {
			return missing(r.Read("/v1/deliveries", url.Values{"destination": {name}, "include": {"event"}, "limit": {"8"}}, &newest))
		})
	}
	if err := r.Together(asks...); err != nil {
		return err
	}
	w.Newest = newest.Data
	return r.Show("webhook", w)
}

// switchWebhook switches a webhook on or off.
func (p *Portal) switchWebhook(verb string) page.Handler {
	return func(r *page.Request) error {
		name := r.Param("name")
		if verb == "disable" {
			if sure, err := isSure(r); err != nil {
				return err
			} else if !sure {
				return p.askOff(r, "webhook", name, "disable", p.hookLabel)
			}
		}
		if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/webhooks", name, verb)}); err != nil {
			if problem := r.Refusal(err); problem != nil && problem.Status != fiber.StatusNotFound {
				return p.showWebhook(r, problem)
			}
			return err
		}
		note := "The webhook is on."
		if verb == "disable" {
			note = "The webhook is off: new events are not sent to it."
		}
		return r.See("/webhooks/"+url.PathEscape(name), note)
	}
}

// isSure reports whether the visitor was asked, and is sure.
func isSure(r *page.Request) (bool, error) {
	form, err := r.Form()
	return err == nil && form.Get("sure") == "1", err
}

// askOff asks before a document is switched off by the act of its page.
func (p *Portal) askOff(r *page.Request, what, name, act string, label func(r *page.Request, name string) (string, error)) error {
	path := "/" + what + "s/" + url.PathEscape(name)
	d := deletePage{visit: visited(r, nil), Path: path + "/" + act, Back: path, Name: name, What: what}
	var err error
	if d.Label, err = label(r, name); err != nil {
		return err
	}
	return r.Show("off", d)
}

// hookLabel returns the name for people of a webhook.
func (p *Portal) hookLabel(r *page.Request, name string) (string, error) {
	var w view.Webhook
	if err := r.Read(page.Path("/v1/webhooks", name), nil, &w); err != nil {
		return "", err
	}
	return newHook(w).Label, nil
}

// deletePage asks before something is deleted or switched off.
type deletePage struct {
	visit
	// Path is where the form is sent, Back where nothing happens. What is `webhook`, `connection` or `rule`.
	Path, Back, Name, Label, What string
	Waiting                       int
}

func (p *Portal) deleteWebhook(r *page.Request) error {
	return p.remove(r, "webhook", r.Param("name"), p.hookLabel)
}

// remove deletes a document; without `sure` in the form, it shows what that ends.
func (p *Portal) remove(r *page.Request, what, name string, label func(r *page.Request, name string) (string, error)) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	path := "/" + what + "s/" + url.PathEscape(name)
	sure := form.Get("sure") == "1"
	q := url.Values{}
	if !sure {
		q.Set("dry_run", "true")
	}
	d := deletePage{visit: visited(r, nil), Path: path + "/delete", Back: path, Name: name, What: what}
	answer, err := r.Ask(page.Ask{Method: fiber.MethodDelete, Path: page.Path("/v1/"+what+"s", name), Query: q})
	if err != nil {
		if d.Problem = r.Refusal(err); d.Problem == nil || d.Problem.Status == fiber.StatusNotFound {
			return err
		}
	}
	if sure && d.Problem == nil {
		return r.See("/"+what+"s", "The "+what+" "+name+" is deleted.")
	}
	if d.Label, err = label(r, name); err != nil {
		return err
	}
	if d.Problem == nil {
		var would view.Deleted
		if err := answer.Decode(&would); err != nil {
			return err
		}
		d.Waiting = would.Waiting
	}
	return r.Show("delete", d)
}

// missing takes a thing that is not there for an empty one: what was made a moment ago is not known everywhere.
func missing(err error) error {
	if isMissing(err) {
		return nil
	}
	return err
}
