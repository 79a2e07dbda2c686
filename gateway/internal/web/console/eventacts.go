package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountEventActs() {
	c.get("/events/:id/replay", c.eventReplay)
	c.post("/events/:id/replay", c.replayEvent)
	c.get("/events/:id/normalise", c.eventNormalise)
	c.post("/events/:id/normalise", c.normaliseEvent)
	c.get("/events/:id/drop", c.eventDrop)
	c.post("/events/:id/drop", c.dropEvent)
}

// eventPath is the API's path of the event that the page's path names.
func eventPath(r *page.Request) string { return page.Path("/v1/events", r.Param("id")) }

// eventReplay is what the confirming page of a replay shows: what today's configuration would do with the event.
type eventReplay struct {
	Event view.Event
	Title string
	// Rule and Destination narrow the replay; Fresh delivers under new ids.
	Rule, Destination string
	Fresh             bool
	// Rules are those that match today, of what is replayed. Requests are by KIND/RULE/STEP.
	Rules    []explainedRule
	Requests map[string]view.TriedRequest
	// Owed is how many deliveries there would be; Asked: it is known.
	Owed    int
	Asked   bool
	Problem *page.Problem
}

func (c *Console) eventReplay(r *page.Request) error {
	return c.showEventReplay(r, &eventReplay{Rule: r.Query("rule"), Destination: r.Query("destination"), Fresh: r.Query("fresh") == "true"})
}

func (c *Console) showEventReplay(r *page.Request, e *eventReplay) error {
	var record view.Record
	if err := r.Read(eventPath(r), nil, &record); err != nil {
		return err
	}
	e.Event, e.Title = record.Event, eventTitle(&record.Event)
	if record.Entry != nil {
		return r.Show("eventreplay", e) // it is read again, and then decided
	}
	a, err := r.Ask(page.Ask{
		Method: fiber.MethodPost, Path: "/v1/try", DryRun: true,
		Body: view.Trial{Events: view.TrialEvents{IDs: []string{record.ID}}, Show: []string{"explain", "requests"}},
	})
	var tried view.Tried
	if err == nil {
		err = a.Decode(&tried)
	}
	if err != nil {
		if e.Problem != nil { // the refusal of the replay itself says more
			return r.Show("eventreplay", e)
		}
		if e.Problem = r.Refusal(err); e.Problem == nil {
			return err
		}
		return r.Show("eventreplay", e)
	}
	e.Asked, e.Requests = true, map[string]view.TriedRequest{}
	for _, each := range tried.Requests {
		e.Requests[each.Kind+"/"+each.Rule+"/"+each.Step] = each
	}
	for i := range tried.Explain {
		for _, rule := range explainedRules(&tried.Explain[i]) {
			if rule.State != "matched" || e.Rule != "" && rule.Name != e.Rule {
				continue
			}
			kept := rule.Steps[:0:0]
			for _, s := range rule.Steps {
				if e.Destination == "" || s.Destination == e.Destination {
					kept = append(kept, s)
				}
			}
			if rule.Steps = kept; len(kept) > 0 {
				e.Rules = append(e.Rules, rule)
				e.Owed += len(kept)
			}
		}
	}
	return r.Show("eventreplay", e)
}

func (c *Console) replayEvent(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	e := &eventReplay{Rule: form.Get("rule"), Destination: form.Get("destination"), Fresh: form.Get("fresh") == "true"}
	q := url.Values{"rule": {e.Rule}, "destination": {e.Destination}}
	if e.Fresh {
		q.Set("fresh", "true")
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: eventPath(r) + "/replay", Query: q})
	if err != nil {
		if e.Problem = r.Refusal(err); e.Problem == nil {
			return err
		}
		return c.showEventReplay(r, e)
	}
	var done view.Replay
	if err := a.Decode(&done); err != nil {
		return err
	}
	return r.See(page.Path("/events", r.Param("id")), replayedNote(&done))
}

// replayedNote says what a replay of an event scheduled.
func replayedNote(done *view.Replay) string {
	var parts []string
	switch n := len(done.Scheduled); {
	case n > 0:
		parts = append(parts, counted(n, "delivery is", "deliveries are")+" due now")
	case len(done.Events) > 0:
		parts = append(parts, "Read again as "+counted(len(done.Events), "event", "events"))
	default:
		parts = append(parts, "Today's rules owe nothing of this event")
	}
	if n := len(done.LeftAlone); n > 0 {
		parts = append(parts, counted(n, "delivery is", "deliveries are")+" being attempted at this moment and left alone")
	}
	for name, hold := range done.Held {
		parts = append(parts, name+" is on hold ("+hold.Kind+"): its deliveries wait")
	}
	return strings.Join(parts, ". ") + "."
}

// eventNormalise is what the confirming page of reading an event again shows.
type eventNormalise struct {
	Event view.Event
	Title string
	// Would is what would become of it; Known: the API said so.
	Would view.Normalised
	Known bool
	// Again delivers also what was delivered with the same request.
	Again   bool
	Problem *page.Problem
}

func (c *Console) eventNormalise(r *page.Request) error {
	return c.showEventNormalise(r, &eventNormalise{Again: r.Query("again") == "true"})
}

func (c *Console) showEventNormalise(r *page.Request, e *eventNormalise) error {
	q := url.Values{"normalise": {"true"}, "dry_run": {"true"}}
	if e.Again {
		q.Set("again", "true")
	}
	err := r.Together(
		func() error {
			var record view.Record
			err := r.Read(eventPath(r), nil, &record)
			e.Event, e.Title = record.Event, eventTitle(&record.Event)
			return err
		},
		func() error {
			a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: eventPath(r) + "/replay", Query: q, DryRun: true})
			if err != nil {
				if problem := r.Refusal(err); problem != nil && problem.Status != http.StatusNotFound {
					if e.Problem == nil {
						e.Problem = problem
					}
					return nil
				}
				return err
			}
			e.Known = true
			return a.Decode(&e.Would)
		},
	)
	if err != nil {
		return err
	}
	return r.Show("eventnormalise", e)
}

func (c *Console) normaliseEvent(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	e := &eventNormalise{Again: form.Get("again") == "true"}
	q := url.Values{"normalise": {"true"}}
	if e.Again {
		q.Set("again", "true")
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: eventPath(r) + "/replay", Query: q})
	if err != nil {
		if e.Problem = r.Refusal(err); e.Problem == nil {
			return err
		}
		return c.showEventNormalise(r, e)
	}
	var done view.Normalised
	if err := a.Decode(&done); err != nil {
		return err
	}
	note := "It reads as it did: nothing has changed."
	if done.Status == view.Revised {
		note = fmt.Sprintf("It is revision %d now. %s; %s ended, %s as they were.", done.Revision,
			counted(len(done.Deliveries), "delivery is due", "deliveries are due"), page.Number(len(done.Superseded)), page.Number(len(done.Kept)))
	}
	return r.See(page.Path("/events", r.Param("id")), note)
}

// eventDrop is the confirming page of taking an event out of the dead letters.
type eventDrop struct {
	Event   view.Event
	Title   string
	Problem *page.Problem
}

func (c *Console) eventDrop(r *page.Request) error { return c.showEventDrop(r, nil) }

func (c *Console) showEventDrop(r *page.Request, problem *page.Problem) error {
	var record view.Record
	if err := r.Read(eventPath(r), nil, &record); err != nil {
		return err
	}
	return r.Show("eventdrop", eventDrop{Event: record.Event, Title: eventTitle(&record.Event), Problem: problem})
}

func (c *Console) dropEvent(r *page.Request) error {
	if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: eventPath(r) + "/drop"}); err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showEventDrop(r, problem)
		}
		return err
	}
	return r.See(page.Path("/events", r.Param("id")), "The event is no longer among the dead letters. It stays stored.")
}
