package api

import (
	"errors"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/act"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

func (a *API) events(c *route.Call) error {
	q := state.EventQuery{
		Type: c.Asked("type"), Source: c.Asked("source"), Survey: c.Asked("survey"),
		Response: c.Asked("response"), Respondent: c.Asked("respondent"), Cursor: c.Asked("cursor"),
	}
	err := canonicalType(q.Type)
	if err != nil {
		return err
	}
	if q.Rule = c.Asked("rule"); c.Asked("matched") != "" {
		matched, err := c.Flag("matched")
		if err != nil {
			return err
		}
		q.Matched = &matched
	}
	if q.Limit, err = c.Limit(); err != nil {
		return err
	}
	if q.Dead, err = c.Flag("dead"); err != nil {
		return err
	}
	if q.Since, q.Until, err = c.Span(a.Clock.Now()); err != nil {
		return err
	}
	p, err := a.Store.Events(c.Base, c.Tenant, q)
	if err != nil {
		return listError(err, q.Cursor)
	}
	if nothing(p, q.Cursor) {
		if q.Source != "" && q.Source != event.DefaultSource {
			if err := a.knownSource(c, q.Source); err != nil {
				return err
			}
		}
		if err := a.knownTarget(c, "", q.Rule); err != nil {
			return err
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.NewPage(p, view.NewEvent))
}

// canonicalType refuses a type that is not canonical; an empty one is none.
func canonicalType(name string) error {
	if name == "" || event.IsCanonical(name) {
		return nil
	}
	msg := "`" + name + "` is not a canonical type"
	if near := event.Nearest(name, event.Types); near != "" {
		msg += "; did you mean `" + near + "`?"
	}
	return answer.Invalid(msg, "type")
}

// event answers with one event. Its raw body is always there: `include=raw` is for callers that want to say so.
func (a *API) event(c *route.Call) error {
	if _, err := includes(c, "raw"); err != nil {
		return err
	}
	record, err := a.record(c)
	if err != nil {
		return err
	}
	v := view.NewRecord(record, a.Plan())
	if v.SameEvent, err = explain.SameEvent(c.Base, a.Store, record.Event); err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

// includes reports whether the caller asks for the one thing that a route can include.
func includes(c *route.Call, what string) (bool, error) {
	switch c.Asked("include") {
	case "":
		return false, nil
	case what:
		return true, nil
	}
	return false, answer.Invalid("this is `"+what+"` or nothing", "include")
}

func (a *API) explain(c *route.Call) error {
	if id := c.Segment("id"); state.IsDeliveryID(id) {
		explanation, err := a.Explain.Event(c.Base, c.Tenant, state.EventID(id))
		if err == nil {
			return answer.JSON(c.Ctx, fiber.StatusOK, explanation)
		}
		if !errors.Is(err, state.ErrNotFound) { // else somebody may have published an event with that id
			return err
		}
	}
	record, err := a.record(c)
	if err != nil {
		return err
	}
	explanation, err := a.Explain.Event(c.Base, c.Tenant, record.Event.ID)
	if errors.Is(err, state.ErrNotFound) {
		return answer.NotFound("event")
	}
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, explanation)
}

func (a *API) replayEvent(c *route.Call) error {
	fresh, err := c.Flag("fresh")
	if err != nil {
		return err
	}
	how, normalised, err := howOf(c, "fresh", "rule", "destination")
	if err != nil {
		return err
	}
	record, err := a.record(c)
	if err != nil {
		return err
	}
	if normalised {
		return a.normaliseEvent(c, record, how)
	}
	replayed, err := a.actor.ReplayEvent(c.Base, record, act.ReplayOptions{
		Rule: c.Asked("rule"), Destination: c.Asked("destination"), Fresh: fresh,
	})
	if err != nil {
		return actError(err)
	}
	out := view.Replay{Scheduled: []string{}, LeftAlone: []string{}, Rules: view.NewRuleOutcomes(replayed.Rules)}
	for i := range replayed.Scheduled {
		out.Scheduled = append(out.Scheduled, replayed.Scheduled[i].ID)
		if err := a.addHold(c, replayed.Scheduled[i].Destination, &out); err != nil {
			return err
		}
	}
	for i := range replayed.LeftAlone {
		out.LeftAlone = append(out.LeftAlone, replayed.LeftAlone[i].ID)
	}
	for i, ev := range replayed.Events {
		out.Events = append(out.Events, view.NewResult(ev, replayed.Appended[i]))
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, out)
}

// actError turns an error of package act into an answer.
func actError(err error) error {
	if conflict, ok := errors.AsType[*act.ConflictError](err); ok {
		return answer.Conflict(conflict.Reason)
	}
	if invalid, ok := errors.AsType[*act.InvalidError](err); ok {
		return answer.Invalid(invalid.Problem, invalid.Parameter)
	}
	if errors.Is(err, act.ErrNoDelivery) {
		return answer.NotFound("delivery")
	}
	return err
}

// addHold adds the hold of a destination to a replay, if there is one.
func (a *API) addHold(c *route.Call, destination string, to *view.Replay) error {
	if _, known := to.Held[destination]; known {
		return nil
	}
	h, err := a.hold(c, destination)
	if err != nil || h == nil {
		return err
	}
	if to.Held == nil {
		to.Held = map[string]*view.Hold{}
	}
	to.Held[destination] = h
	return nil
}

func (a *API) dropEvent(c *route.Call) error {
	record, err := a.record(c)
	if err != nil {
		return err
	}
	if err := a.actor.DropEvent(c.Base, record); err != nil {
		return actError(err)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.NewEvent(record))
}

func (a *API) deliveries(c *route.Call) error {
	q := state.DeliveryQuery{
		State: state.DeliveryState(c.Asked("state")), Destination: c.Asked("destination"),
		Rule: c.Asked("rule"), EventID: c.Asked("event"),
		Verdict: c.Asked("verdict"), Status: c.Asked("status"), Type: c.Asked("type"), Source: c.Asked("source"),
	}
	switch q.State {
	case "", state.Waiting, state.Delivered, state.Skipped, state.Dead, state.Dropped:
	default:
		return answer.Invalid("a delivery is waiting, delivered, skipped, dead or dropped", "state")
	}
	heads, err := includes(c, "event")
	if err != nil {
		return err
	}
	if heads && c.Tenant == access.AnyTenant {
		return answer.Invalid("of all tenants there are the states of deliveries, without their events: ask for one tenant", "include")
	}
	if q.Status != "" && !state.IsStatus(q.Status) {
		return answer.Invalid("a status is a number such as 429, a class such as 5xx, or 0 where there was no answer", "status")
	}
	if q.Verdict != "" && !slices.Contains(state.VerdictCodes, q.Verdict) {
		return answer.Invalid("a verdict is one of "+strings.Join(state.VerdictCodes, ", "), "verdict")
	}
	if err := canonicalType(q.Type); err != nil {
		return err
	}
	if q.Failed, err = c.Flag("failed"); err != nil {
		return err
	}
	if q.Since, q.Until, err = c.Span(a.Clock.Now()); err != nil {
		return err
	}
	if text := c.Asked("q"); text != "" {
		page, err := a.search(c, text, &q)
		if err == nil && heads {
			err = a.addHeads(c, page.Data)
		}
		if err != nil {
			return err
		}
		return answer.JSON(c.Ctx, fiber.StatusOK, page)
	}
	all := c.Tenant == access.AnyTenant
	plan := a.Plan()
	return route.List(c, a.Tenants.IDs, func(c *route.Call, cursor string, limit int) (none view.Page[view.Delivery], err error) {
		of := q
		of.Cursor, of.Limit = cursor, limit
		p, err := a.Store.Deliveries(c.Base, c.Tenant, of)
		if err != nil {
			return none, listError(err, cursor)
		}
		if !all && nothing(p, cursor) {
			if err := a.knownTarget(c, q.Destination, q.Rule); err != nil {
				return none, err
			}
		}
		out := view.NewPage(p, func(d state.Delivery) view.Delivery { return view.NewListedDelivery(&d, plan) })
		if heads {
			err = a.addHeads(c, out.Data)
		}
		return out, err
	})
}

// addHeads adds the events of deliveries as lists show them, without their content. One that is no longer kept is left out.
func (a *API) addHeads(c *route.Call, deliveries []view.Delivery) error {
	heads := map[string]*view.Event{}
	for i := range deliveries {
		d := &deliveries[i]
		head, known := heads[d.Event]
		if !known {
			switch record, err := a.Store.Event(c.Base, c.Tenant, d.Event); {
			case errors.Is(err, state.ErrNotFound):
			case err != nil:
				return err
			default:
				v := view.NewEvent(record)
				head = &v
			}
			heads[d.Event] = head
		}
		d.EventHead = head
	}
	return nil
}

// nothing reports whether a whole list is empty: then a name in its filters may be mistyped.
func nothing[T any](p *state.Page[T], cursor string) bool {
	return len(p.Items) == 0 && cursor == "" && p.Next == "" && p.SearchedBackTo.IsZero()
}

// knownTarget refuses the name of a destination or rule that is not configured.
func (a *API) knownTarget(c *route.Call, destination, rule string) error {
	destinations := a.destinationNames(c.Tenant)
	if destination != "" && !slices.Contains(destinations, destination) {
		return noSuch("destination", destination, destinations)
	}
	if rules := append(a.ruleNames(c.Tenant), destinations...); rule != "" && !slices.Contains(rules, rule) {
		return noSuch("rule or webhook", rule, rules)
	}
	return nil
}

// listError distinguishes a cursor that is not valid from a store that fails.
func listError(err error, cursor string) error {
	known := errors.Is(err, state.ErrUnavailable) || errors.Is(err, state.ErrClosed) || errors.Is(err, state.ErrNotFound)
	if cursor == "" || known {
		return err
	}
	return route.NoCursor()
}

func (a *API) delivery(c *route.Call) error {
	d, err := a.actor.Delivery(c.Base, c.Tenant, c.Segment("id"))
	return a.show(c, d, err)
}

// show answers with one delivery; if it waits, with the hold of its destination.
func (a *API) show(c *route.Call, d *state.Delivery, err error) error {
	if err != nil {
		return actError(err)
	}
	v := view.NewDelivery(d, a.Plan())
	if d.State == state.Waiting {
		if v.Hold, err = a.hold(c, d.Destination); err != nil {
			return err
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

func (a *API) retry(c *route.Call) error {
	d, err := a.actor.Retry(c.Base, c.Tenant, c.Segment("id"))
	return a.show(c, d, err)
}

func (a *API) replay(c *route.Call) error {
	fresh, err := c.Flag("fresh")
	if err != nil {
		return err
	}
	d, err := a.actor.ReplayDelivery(c.Base, c.Tenant, c.Segment("id"), fresh)
	return a.show(c, d, err)
}

func (a *API) drop(c *route.Call) error {
	d, err := a.actor.DropDelivery(c.Base, c.Tenant, c.Segment("id"))
	return a.show(c, d, err)
}
