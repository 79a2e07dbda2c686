package api

import (
	"errors"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stream"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules/event"
)

func (a *API) events(c *call) error {
	q := state.EventQuery{
		Type: query(c.Ctx, "type"), Source: query(c.Ctx, "source"), Survey: query(c.Ctx, "survey"),
		Response: query(c.Ctx, "response"), Respondent: query(c.Ctx, "respondent"), Cursor: query(c.Ctx, "cursor"),
	}
	if q.Type != "" && !event.IsCanonical(q.Type) {
		msg := "`" + q.Type + "` is not a canonical type"
		if near := event.Nearest(q.Type, event.Types); near != "" {
			msg += "; did you mean `" + near + "`?"
		}
		return answer.Invalid(msg, "type")
	}
	var err error
	if q.Limit, err = c.limit(); err != nil {
		return err
	}
	if q.Dead, err = c.flag("dead"); err != nil {
		return err
	}
	if q.Since, q.Until, err = c.span(a.Clock.Now()); err != nil {
		return err
	}
	p, err := a.Store.Events(c.ctx, c.tenant, q)
	if err != nil {
		return listError(err, q.Cursor)
	}
	if nothing(p, q.Cursor) && q.Source != "" && q.Source != event.DefaultSource {
		if err := a.knownSource(c, q.Source); err != nil {
			return err
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.NewPage(p, view.NewEvent))
}

func (a *API) event(c *call) error {
	record, err := a.record(c)
	if err != nil {
		return err
	}
	v := view.NewRecord(record, a.Plan())
	if v.SameEvent, err = explain.SameEvent(c.ctx, a.Store, record.Event); err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

func (a *API) explain(c *call) error {
	record, err := a.record(c)
	if err != nil {
		return err
	}
	explanation, err := a.Explain.Event(c.ctx, c.tenant, record.Event.ID)
	if errors.Is(err, state.ErrNotFound) {
		return answer.Missing("event")
	}
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, explanation)
}

// replayEvent decides again, by today's configuration, and delivers what that owes; what `once` had reserved
// does not stand against somebody's word.
func (a *API) replayEvent(c *call) error {
	fresh, err := c.flag("fresh")
	if err != nil {
		return err
	}
	how, normalised, err := c.how("fresh", "rule", "destination")
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
	if record.Outcome == nil {
		return answer.Clash("this event is still being worked on")
	}
	if record.Event.Type == event.TypeEntry {
		return a.readAgain(c, record)
	}
	rule, destination := query(c.Ctx, "rule"), query(c.Ctx, "destination")
	now := a.Clock.Now()
	decision := a.Plan().Decide(record.Event, now)
	out := view.Replay{Scheduled: []string{}, LeftAlone: []string{}, Rules: view.NewRuleOutcomes(decision.Rules)}
	var deliveries []state.Delivery
	for _, owed := range decision.Owed {
		d := owed.Delivery
		if rule != "" && d.Origin.Name != rule || destination != "" && d.Destination != destination {
			continue
		}
		d.Due, d.Reason = now, "replay"
		if earlier := newest(record.Outcome.Deliveries, &d); earlier != nil { // it goes on being the same delivery
			d.ID, d.Revision, d.Attempts, d.Created = earlier.ID, earlier.Revision, earlier.Attempts, earlier.Created
		}
		if fresh {
			d.ID, d.Revision, d.Attempts, d.Created = state.FreshDeliveryID(d.EventID), record.Event.Revision, 0, now
		}
		deliveries = append(deliveries, d)
	}
	var done []bool
	if len(deliveries) > 0 {
		if done, err = a.Store.Schedule(c.ctx, c.tenant, deliveries); err != nil {
			return err
		}
	}
	if err := a.seenTo(c, record); err != nil {
		return err
	}
	for i, d := range deliveries {
		if done[i] {
			out.Scheduled = append(out.Scheduled, d.ID)
			if err := a.addHold(c, d.Destination, &out); err != nil {
				return err
			}
		} else {
			out.LeftAlone = append(out.LeftAlone, d.ID)
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, out)
}

// addHold adds the hold of a destination to a replay, if there is one.
func (a *API) addHold(c *call, destination string, to *view.Replay) error {
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

// newest is a step's delivery that is to be made again: the one with its own id, else the one of the newest revision that
// has any, because a revision that changed nothing for a step made none. nil: there is none.
func newest(all []state.Delivery, of *state.Delivery) (found *state.Delivery) {
	for i := range all {
		d := &all[i]
		switch {
		case d.ID == of.ID:
			return d
		case of.Revision > 0 && d.Origin == of.Origin && d.Step == of.Step && (found == nil || d.Revision > found.Revision):
			found = d
		}
	}
	return found
}

// seenTo takes an event out of the dead letters if it is one.
func (a *API) seenTo(c *call, record *state.Record) error {
	if record.Outcome.Dead == "" {
		return nil
	}
	if err := a.Store.Drop(c.ctx, c.tenant, record.Event.ID); err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	return nil
}

// readAgain reads a stream's entry, of which no event could be made, through its source as that is today. Events that it
// makes go their way as if they had just come, and then the dead letter is done with.
func (a *API) readAgain(c *call, record *state.Record) error {
	started := a.Clock.Now()
	sources := a.Plan().Config.Sources
	i := slices.IndexFunc(sources, func(s *config.Source) bool {
		return s.Tenant == record.Event.Tenant && s.Name == record.Event.Source
	})
	if i < 0 {
		return answer.Clash("the configuration no longer has the source `" + record.Event.Source + "`")
	}
	events, err := stream.Again(sources[i], record.Event, started)
	if err != nil {
		return answer.Clash("it still cannot be read: " + err.Error())
	}
	appended, err := a.Door.Append(events, len(record.Event.Raw.Body), started)
	if err != nil {
		return err
	}
	if err := a.seenTo(c, record); err != nil {
		return err
	}
	out := view.Replay{Scheduled: []string{}, LeftAlone: []string{}, Rules: []view.RuleOutcome{}}
	for i, ev := range events {
		out.Events = append(out.Events, view.NewResult(ev, appended[i]))
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, out)
}

// dropEvent takes an event that is a dead letter itself out of the dead letters.
func (a *API) dropEvent(c *call) error {
	record, err := a.record(c)
	if err != nil {
		return err
	}
	if record.Outcome == nil || record.Outcome.Dead == "" {
		return answer.Clash("this event is no dead letter; it leaves with its retention")
	}
	if err := a.Store.Drop(c.ctx, c.tenant, record.Event.ID); err != nil {
		if errors.Is(err, state.ErrNotFound) {
			return answer.Clash("this event is no dead letter any more")
		}
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.NewEvent(record))
}

func (a *API) deliveries(c *call) error {
	q := state.DeliveryQuery{
		State: state.DeliveryState(query(c.Ctx, "state")), Destination: query(c.Ctx, "destination"),
		Rule: query(c.Ctx, "rule"), EventID: query(c.Ctx, "event"), Cursor: query(c.Ctx, "cursor"),
	}
	switch q.State {
	case "", state.Waiting, state.Delivered, state.Skipped, state.Dead, state.Dropped:
	default:
		return answer.Invalid("a delivery is waiting, delivered, skipped, dead or dropped", "state")
	}
	var err error
	if q.Limit, err = c.limit(); err != nil {
		return err
	}
	if q.Failed, err = c.flag("failed"); err != nil {
		return err
	}
	if q.Since, q.Until, err = c.span(a.Clock.Now()); err != nil {
		return err
	}
	p, err := a.Store.Deliveries(c.ctx, c.tenant, q)
	if err != nil {
		return listError(err, q.Cursor)
	}
	if nothing(p, q.Cursor) {
		if err := a.knownTarget(c, q.Destination, q.Rule); err != nil {
			return err
		}
	}
	plan := a.Plan()
	return answer.JSON(c.Ctx, fiber.StatusOK, view.NewPage(p, func(d state.Delivery) view.Delivery { return view.NewDelivery(&d, plan) }))
}

// nothing says that a list is empty from its beginning to its end: then a name in its filters may be mistyped.
func nothing[T any](p *state.Page[T], cursor string) bool {
	return len(p.Items) == 0 && cursor == "" && p.Next == "" && p.SearchedBackTo.IsZero()
}

// knownTarget refuses a destination or rule of which nothing is kept and which is not configured.
func (a *API) knownTarget(c *call, destination, rule string) error {
	destinations := a.destinationNames(c.tenant)
	if destination != "" && !slices.Contains(destinations, destination) {
		return noSuch("destination", destination, destinations)
	}
	if rules := append(a.ruleNames(c.tenant), destinations...); rule != "" && !slices.Contains(rules, rule) {
		return noSuch("rule or webhook", rule, rules)
	}
	return nil
}

// listError tells a cursor that the store cannot read from a store that cannot.
func listError(err error, cursor string) error {
	known := errors.Is(err, state.ErrUnavailable) || errors.Is(err, state.ErrClosed) || errors.Is(err, state.ErrNotFound)
	if cursor == "" || known {
		return err
	}
	return answer.Invalid("this is no cursor of this list", "cursor")
}

func (a *API) delivery(c *call) error {
	d, err := a.one(c)
	if err != nil {
		return err
	}
	return a.show(c, d)
}

// show answers with one delivery, and with what holds its destination where it waits.
func (a *API) show(c *call, d *state.Delivery) error {
	v := view.NewDelivery(d, a.Plan())
	if d.State == state.Waiting {
		var err error
		if v.Hold, err = a.hold(c, d.Destination); err != nil {
			return err
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

// one is the delivery that the path names, with its attempts.
func (a *API) one(c *call) (*state.Delivery, error) {
	id := param(c.Ctx, "id")
	if !state.IsDeliveryID(id) {
		return nil, answer.Missing("delivery")
	}
	d, err := a.Store.Delivery(c.ctx, c.tenant, id)
	if errors.Is(err, state.ErrNotFound) {
		return nil, answer.Missing("delivery")
	}
	return d, err
}

// retried is the reason of what is tried now on somebody's word.
const retried = "retry"

// retry makes a delivery that waits or is dead due now.
func (a *API) retry(c *call) error {
	d, err := a.one(c)
	if err != nil {
		return err
	}
	if d.State != state.Waiting && d.State != state.Dead {
		return answer.Clash(retryEnded(d.State))
	}
	return a.again(c, *d, retried)
}

func retryEnded(s state.DeliveryState) string {
	return "it is " + string(s) + "; `replay` delivers it again"
}

// replay delivers again on somebody's word, whatever became of it.
func (a *API) replay(c *call) error {
	fresh, err := c.flag("fresh")
	if err != nil {
		return err
	}
	d, err := a.one(c)
	if err != nil {
		return err
	}
	if fresh {
		d.ID, d.Attempts, d.Created = state.FreshDeliveryID(d.EventID), 0, a.Clock.Now()
	}
	return a.again(c, *d, "replay")
}

func (a *API) again(c *call, d state.Delivery, reason string) error {
	record, err := a.Store.Event(c.ctx, c.tenant, d.EventID)
	if errors.Is(err, state.ErrNotFound) {
		return answer.Clash("its event is no longer kept")
	}
	if err != nil {
		return err
	}
	if _, there := a.Plan().Today(d, record.Event); !there {
		return answer.Clash("the configuration no longer has its step")
	}
	now := a.Clock.Now()
	d.State, d.Reason, d.Due, d.Updated, d.Log = state.Waiting, reason, now, now, nil
	ask := d
	if reason == retried { // what ends before this is done stays ended
		ask = state.Delivery{ID: d.ID, EventID: d.EventID, Reason: reason, Due: now}
	}
	done, err := a.Store.Schedule(c.ctx, c.tenant, []state.Delivery{ask})
	switch {
	case errors.Is(err, state.ErrNotFound):
		return answer.Clash("its event is no longer kept")
	case err != nil:
		return err
	case !done[0]:
		if now, err := a.one(c); err == nil && reason == retried && now.State != state.Waiting && now.State != state.Dead {
			return answer.Clash(retryEnded(now.State))
		}
		return answer.Clash("it is being delivered just now")
	}
	return a.show(c, &d)
}

// drop ends a delivery that waits or is dead.
func (a *API) drop(c *call) error {
	d, err := a.one(c)
	if err != nil {
		return err
	}
	if d.State != state.Waiting && d.State != state.Dead {
		return answer.Clash("it is " + string(d.State) + "; there is nothing to drop")
	}
	switch err := a.Store.Drop(c.ctx, c.tenant, d.ID); {
	case errors.Is(err, state.ErrConflict):
		return answer.Clash("it is being delivered just now")
	case errors.Is(err, state.ErrNotFound):
		return answer.Missing("delivery")
	case err != nil:
		return err
	}
	d.State, d.Reason, d.Log = state.Dropped, "", nil
	d.Updated = a.Clock.Now()
	return answer.JSON(c.Ctx, fiber.StatusOK, view.NewDelivery(d, a.Plan()))
}
