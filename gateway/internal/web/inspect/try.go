package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/try"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
	"github.com/surveygate/surveygate/gateway/internal/web/manage"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

func tryRows() []row {
	return []row{{(*Inspection).try, route.Route{
		Method: fiber.MethodPost, Path: "/v1/try", Scope: access.Read,
		For: "what a draft of documents, or what runs, would do with events: explanations, requests, difference; nothing is sent or kept. A draft needs the scope `settings` too",
		In:  view.Trial{}, Out: view.Tried{}, Statuses: []int{fiber.StatusTooManyRequests, fiber.StatusConflict, fiber.StatusRequestEntityTooLarge},
	}}}
}

// What a trial shows.
const (
	showExplain    = "explain"
	showRequests   = "requests"
	showDifference = "difference"
)

func (i *Inspection) try(c *route.Call) error {
	var t view.Trial
	if err := route.ReadJSON(c.Body(), &t); err != nil {
		return err
	}
	ask, err := i.askOf(c, &t)
	if err != nil {
		return err
	}
	leave, err := i.enter(c)
	if err != nil {
		return err
	}
	defer leave()
	tried, err := i.tryer.Try(c.Base, *ask)
	if err != nil {
		return inDraft(manage.Refusal(err), err, ask.Draft)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, tried)
}

// enter waits for the turn of a request that computes much; leave ends it.
func (i *Inspection) enter(c *route.Call) (leave func(), err error) { return i.turn(c, i.gate) }

// askOf checks what is asked.
func (i *Inspection) askOf(c *route.Call, t *view.Trial) (*try.Ask, error) {
	ask := &try.Ask{Tenant: c.Tenant, By: c.By(), Variables: t.Variables}
	var err error
	if ask.Draft, err = draftOf(t.Draft); err != nil {
		return nil, err
	}
	if t.Draft != nil && !c.Grant.May(access.Settings) {
		return nil, answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token lacks the scope `"+access.Settings.String()+"`", "draft")
	}
	if t.Show == nil {
		t.Show = []string{showExplain, showRequests}
		if len(ask.Draft) > 0 {
			t.Show = append(t.Show, showDifference)
		}
	}
	for n, show := range t.Show {
		switch show {
		case showExplain:
			ask.Explain = true
		case showRequests:
			ask.Requests = true
		case showDifference:
			ask.Difference = true
		default:
			return nil, answer.Invalid("this is `explain`, `requests` or `difference`", "show", fmt.Sprint(n))
		}
	}
	if ask.Difference && len(ask.Draft) == 0 {
		return nil, answer.Invalid("the difference is that between what runs and a draft: send a `draft`", "show")
	}
	return ask, i.selectEvents(c, &t.Events, ask)
}

// selectEvents reads which events are asked about.
func (i *Inspection) selectEvents(c *route.Call, e *view.TrialEvents, ask *try.Ask) error {
	ways := 0
	for _, chosen := range []bool{e.Last != 0, e.IDs != nil, e.Body != nil} {
		if chosen {
			ways++
		}
	}
	switch {
	case ways == 0:
		return answer.Invalid("say which events: `last`, how many of the newest; `ids`; or one in `body`", "events")
	case ways > 1:
		return answer.Invalid("`last`, `ids` and `body` exclude each other", "events")
	case e.Last < 0 || e.Last > try.MaxEvents:
		return answer.Invalid(fmt.Sprintf("this is 1 to %d", try.MaxEvents), "events", "last")
	case e.IDs != nil && (len(e.IDs) == 0 || len(e.IDs) > try.MaxEvents):
		return answer.Invalid(fmt.Sprintf("these are 1 to %d ids", try.MaxEvents), "events", "ids")
	case e.Type != "" && e.Last == 0:
		return answer.Invalid("`type` narrows `last`", "events", "type")
	case e.Source != "" && e.IDs != nil:
		return answer.Invalid("`source` narrows `last`, or says whose `body` it is", "events", "source")
	case e.Type != "" && !event.IsCanonical(e.Type):
		msg := "`" + e.Type + "` is not a canonical type"
		if near := event.Nearest(e.Type, event.Types); near != "" {
			msg += "; did you mean `" + near + "`?"
		}
		return answer.Invalid(msg, "events", "type")
	}
	ask.Last, ask.Type, ask.Source, ask.IDs = e.Last, e.Type, e.Source, e.IDs
	if e.Body != nil {
		ask.Read = func(plan *decide.Plan) ([]*event.Event, error) { return i.read(c, plan, e) }
	}
	return nil
}

// read makes events of the body in a request.
func (i *Inspection) read(c *route.Call, plan *decide.Plan, e *view.TrialEvents) ([]*event.Event, error) {
	now := i.Clock.Now().UTC()
	if len(e.Body) > intake.MaxBody {
		return nil, answer.NewProblem(fiber.StatusRequestEntityTooLarge, view.TooLarge, "an event has at most 1 MiB", "events", "body")
	}
	if e.Source == "" {
		ev, err := event.ParseOne(e.Body, event.Defaults{Tenant: c.Tenant, Source: event.DefaultSource, Received: now, Verified: event.VerifiedAPI, Notices: true})
		if err != nil {
			return nil, under(err, "events", "body")
		}
		if ev.Tenant != c.Tenant {
			return nil, answer.Invalid("this event names another tenant", "events", "body", "tenant")
		}
		return []*event.Event{ev}, nil
	}
	s := plan.Source(c.Tenant, e.Source)
	if s == nil {
		var names []string
		for _, each := range plan.Sources(c.Tenant) {
			names = append(names, each.Name)
		}
		return nil, answer.NoSuch("source", e.Source, names)
	}
	body, contentType := bodyOf(e.Body)
	events, err := s.Receiver.Normalise(&source.Request{
		Method: fiber.MethodPost, Body: body, ContentType: contentType, Received: now, Verified: source.Verified{Kind: event.VerifiedAPI},
	}, now)
	if err != nil {
		return nil, under(err, "events", "body")
	}
	return events, nil
}

// under puts the place of a body in front of what a problem is about.
func under(err error, loc ...string) error {
	problem := answer.FromError(err)
	for n := range problem.Detail {
		problem.Detail[n].Loc = slices.Concat(loc, problem.Detail[n].Loc)
	}
	return problem
}

// kinds are the kinds of documents, as drafts name them and as documents are named.
var kinds = []struct {
	plural, kind string
	of           func(*view.Draft) map[string]view.Document
}{
	{"connections", "connection", func(d *view.Draft) map[string]view.Document { return d.Connections }},
	{"sources", "source", func(d *view.Draft) map[string]view.Document { return d.Sources }},
	{"webhooks", "webhook", func(d *view.Draft) map[string]view.Document { return d.Webhooks }},
	{"rules", "rule", func(d *view.Draft) map[string]view.Document { return d.Rules }},
}

// draftOf returns the changes of a draft, in a fixed order.
func draftOf(d *view.Draft) ([]settings.Change, error) {
	if d == nil {
		return nil, nil
	}
	var changes []settings.Change
	for _, k := range kinds {
		documents := k.of(d)
		for _, name := range slices.Sorted(maps.Keys(documents)) {
			if !access.ValidName(name) {
				return nil, answer.Invalid("`"+name+"` is not a "+k.kind+"'s name", "draft", k.plural, name)
			}
			change := settings.Change{Name: k.kind + "/" + name, Spec: documents[name]}
			if string(bytes.TrimSpace(change.Spec)) == "null" {
				change.Spec, change.Delete = nil, true
			}
			changes = append(changes, change)
		}
	}
	return changes, nil
}

// inDraft puts the place of a document in front of what a refusal of it is about.
func inDraft(refused, err error, draft []settings.Change) error {
	if _, ofEvents := errors.AsType[*answer.Problem](err); ofEvents { // and has its own place
		return refused
	}
	problem, ok := errors.AsType[*answer.Problem](refused)
	if !ok || problem.Status != fiber.StatusUnprocessableEntity {
		return refused
	}
	name := ""
	if faults, ok := errors.AsType[*settings.FaultsError](err); ok {
		name = faults.Name
	} else if len(draft) == 1 {
		name = draft[0].Name
	}
	for _, k := range kinds {
		if k.kind == settings.Kind(name) {
			return under(problem, "draft", k.plural, settings.Title(name))
		}
	}
	return refused
}
