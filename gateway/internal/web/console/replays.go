package console

import (
	"cmp"
	"html/template"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountReplays() {
	c.mountDrops()
	c.get("/replays", c.replays)
	c.get("/replays/new", c.newReplay)
	c.post("/replays/new", c.startReplay)
	c.get("/replays/:id", c.replay)
	c.get("/replays/:id/cancel", c.replayCancel)
	c.post("/replays/:id/cancel", c.cancelReplay)
}

type replays struct {
	List     view.Page[view.Job]
	MayWrite bool
	Here     string
}

func (c *Console) replays(r *page.Request) error {
	p := replays{MayWrite: r.May(access.Write), Here: r.Base() + "/replays?"}
	if err := r.Read("/v1/replays", url.Values{"limit": {"50"}, "cursor": {r.Query("cursor")}}, &p.List); err != nil {
		return err
	}
	if r.Wants("rows") {
		return r.Part("replays", "rows", p)
	}
	return r.Show("replays", p)
}

// replayForm are the fields of a replay, as the address of the form has them. Another page presets them by a link, such as
// /replays/new?destination=crm&state=dead&count=1, which counts at once.
type replayForm struct {
	Of   view.ReplayOf
	As   string
	Rate string
	// Events are ids, as they were typed.
	Events, Reason string
	// fault says what of the fields cannot be read.
	fault error
}

type newReplay struct {
	replayForm
	// Would is what the replay has; nil: it is not counted yet.
	Would *view.ReplayCount
	// Number is how many of them there are: deliveries, or events of `today`. Type: it is to be typed, in Typed.
	Number   int
	Type     bool
	Typed    string
	Types    []string
	MayWrite bool
	Problem  *page.Problem
}

// readReplay reads the fields of a replay.
func readReplay(get func(string) string) replayForm {
	field := func(name string) string { return strings.TrimSpace(get(name)) }
	f := replayForm{As: field("as"), Rate: field("rate"), Events: get("events"), Reason: field("reason")}
	f.Of, f.fault = replayOf(field)
	if f.Of.Events = fields(f.Events); len(f.Of.Events) == 0 && field("events") != "" { // without them it would be of all events
		f.fault = cmp.Or(f.fault, error(answer.Invalid("there is no id of an event in this", "events")))
	}
	return f
}

// request is the form as the API takes it.
func (f *replayForm) request() view.ReplayRequest {
	return view.ReplayRequest{Of: f.Of, As: f.As, Rate: f.Rate, Reason: f.Reason}
}

func (c *Console) newReplay(r *page.Request) error {
	n := newReplay{replayForm: readReplay(r.Query)}
	if strings.HasPrefix(n.Of.Since, "dl_") {
		if err := n.sinceDelivery(r); err != nil {
			return err
		}
	}
	return c.showNewReplay(r, &n, (r.Query("count") != "" || n.fault != nil) && n.Problem == nil)
}

// sinceDelivery puts the time of a delivery's last change in the place of its id: all since this one.
func (n *newReplay) sinceDelivery(r *page.Request) error {
	var d view.Delivery
	if err := r.Read(page.Path("/v1/deliveries", n.Of.Since), nil, &d); err != nil {
		if n.Problem = r.Refusal(err); n.Problem == nil {
			return err
		}
		return nil
	}
	n.Of.Since = d.Updated.String()
	if n.Of.Destination == "" {
		n.Of.Destination = d.Destination
	}
	return nil
}

// showNewReplay shows the form; count: with what it selects.
func (c *Console) showNewReplay(r *page.Request, n *newReplay, count bool) error {
	n.MayWrite = r.May(access.Write)
	var types view.EventTypes
	err := r.Together(
		func() error { return r.Read("/v1/event-types", nil, &types) },
		func() error {
			if !count {
				return nil
			}
			err := n.count(r)
			if err == nil {
				return nil
			}
			problem := r.Refusal(err)
			if problem == nil {
				return err
			}
			n.Problem = cmp.Or(n.Problem, problem)
			return nil
		},
	)
	if err != nil {
		return err
	}
	for i := range types.Data {
		n.Types = append(n.Types, types.Data[i].Name)
	}
	return r.Show("newreplay", n)
}

// count asks what the replay selects.
func (n *newReplay) count(r *page.Request) error {
	if n.fault != nil {
		return n.fault
	}
	would, err := countOf(r, n.request())
	if err != nil {
		return err
	}
	if n.Would, n.Number = &would, would.Deliveries; n.As == "today" {
		n.Number = would.Events
	}
	n.Type = n.Number > typedAbove
	return nil
}

func (c *Console) startReplay(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	n := newReplay{replayForm: readReplay(form.Get), Typed: strings.TrimSpace(form.Get("typed"))}
	if err = n.count(r); err == nil {
		err = begin(r, n.request(), n.Number, n.Typed)
	}
	if err != nil {
		if n.Problem = r.Refusal(err); n.Problem != nil {
			return c.showNewReplay(r, &n, false)
		}
	}
	return err
}

type replay struct {
	view.Job
	// Worked is how many of the total are settled.
	Worked   int
	Ended    bool
	MayWrite bool
	Problem  *page.Problem
	// Path is the collection that it belongs to: replays or drops.
	Path string
	// Again is the query of the form that begins the same replay.
	Again template.URL
}

func (c *Console) replay(r *page.Request) error {
	p, err := c.readJob(r)
	if err != nil {
		return err
	}
	if r.Wants("progress") {
		return r.Part("replay", "progress", p)
	}
	return r.Show("replay", p)
}

func (c *Console) readJob(r *page.Request) (*replay, error) {
	p := &replay{MayWrite: r.May(access.Write), Path: "replays"}
	err := p.read(r)
	p.Again = againQuery(&p.Job)
	return p, err
}

// read reads the job that the path names.
func (p *replay) read(r *page.Request) error {
	err := r.Read(page.Path("/v1/"+p.Path, r.Param("id")), nil, &p.Job)
	p.Worked = p.Done + p.LeftAlone + p.NotKept
	p.Ended = !p.Job.Ended.IsZero() || p.State == "done" || p.State == "failed" || p.State == "cancelled"
	return err
}

// againQuery is the form of a replay as a query.
func againQuery(j *view.Job) template.URL {
	q := url.Values{}
	if j.Of != nil {
		for name, value := range map[string]string{
			"destination": j.Of.Destination, "state": j.Of.State, "verdict": j.Of.Verdict, "status": j.Of.Status, "rule": j.Of.Rule, "type": j.Of.Type, "source": j.Of.Source,
			"since": j.Of.Since, "until": j.Of.Until, "events": strings.Join(j.Of.Events, " "), "as": j.As, "rate": j.Rate, "reason": j.Reason,
		} {
			if value != "" {
				q.Set(name, value)
			}
		}
		for name, set := range map[string]bool{"failed": j.Of.Failed, "missing": j.Of.Missing} {
			if set {
				q.Set(name, "true")
			}
		}
	}
	return template.URL(q.Encode()) //nolint:gosec // it is escaped
}

func (c *Console) replayCancel(r *page.Request) error {
	p, err := c.readJob(r)
	if err != nil {
		return err
	}
	return r.Show("replaycancel", p)
}

func (c *Console) cancelReplay(r *page.Request) error {
	id := r.Param("id")
	if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/replays", id) + "/cancel"}); err != nil {
		problem := r.Refusal(err)
		if problem == nil {
			return err
		}
		p, err := c.readJob(r)
		if err != nil {
			return err
		}
		p.Problem = problem
		return r.Show("replay", p)
	}
	return r.See(page.Path("/replays", id), "The replay is cancelled. What it scheduled is still delivered.")
}
