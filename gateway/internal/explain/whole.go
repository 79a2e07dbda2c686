package explain

import (
	"context"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/responses"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/response"
)

// askWhole adds what the rules were asked that are asked of the response as a whole: the response as it stood then, or as it stands.
// The response is read once, and only if there is such a rule; without a store it is the event alone. It returns the response that the
// last of these rules was asked of; nil without one.
func (x *Explanation) askWhole(ctx context.Context, store responses.Reader, plan *decide.Plan, ev *event.Event, deliveries []state.Delivery) (whole *event.Event, err error) {
	if plan == nil {
		return nil, nil
	}
	var kept *responses.Kept
	for _, r := range plan.Rules(ev.Tenant) {
		if !r.Match.Defers(ev.Type) || r.Match.Disabled {
			continue
		}
		rule := x.rule(decide.OriginOf(r))
		if rule == nil || !rule.Matched {
			continue
		}
		if kept == nil {
			kept = &responses.Kept{}
			if store != nil {
				if kept, err = responses.Of(ctx, store, ev); err != nil {
					return nil, fmt.Errorf("explain: %w", err)
				}
			}
		}
		asked := askedAt(rule, deliveries)
		fold := foldUntil(kept, ev, asked)
		if whole, err = fold.Event(ev); err != nil {
			return nil, fmt.Errorf("explain: %w", err)
		}
		rule.Whole = &view.ExplainedWhole{
			Asked: asked, Status: fold.Status, Version: fold.Version, Events: fold.Events, More: kept.More, Envelope: whole.Envelope(),
		}
		e := decide.Whole(r.Match, whole)
		rule.Parts, rule.Missing, rule.Faults = parts(&e), e.Missing, e.Faults
		rule.Why = fmt.Sprintf("it is asked of the response as a whole (%s): %s", about(fold), e.Why)
	}
	return whole, nil
}

// about says how far a response has come.
func about(r *response.Response) string {
	text := plural(r.Events, "event", "events")
	if r.Status != "" {
		text = r.Status + ", " + text
	}
	return text
}

// askedAt returns when a rule was asked about the response of an event; zero: it was not asked finally.
func askedAt(rule *view.ExplainedRule, deliveries []state.Delivery) (at time.Time) {
	for i := range deliveries {
		d := &deliveries[i]
		if d.Origin.Kind != rule.Kind || d.Origin.Name != rule.Name {
			continue
		}
		if len(d.Log) > 0 {
			at = later(at, d.Log[len(d.Log)-1].At)
		} else if d.State != state.Waiting {
			at = later(at, d.Updated)
		}
	}
	return at
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// foldUntil folds the events of a response that were received by a time; zero: all of them. ev is one of them, and the newest if it
// is not kept.
func foldUntil(kept *responses.Kept, ev *event.Event, until time.Time) *response.Response {
	var events []*event.Event
	own := false
	for _, r := range kept.Records {
		switch {
		case r.Event.ID == ev.ID:
			events, own = append(events, ev), true
		case until.IsZero() || !r.Event.Received.After(until):
			events = append(events, r.Event)
		}
	}
	if !own {
		events = append(events, ev)
	}
	if fold := response.Fold(events); fold != nil {
		return fold
	}
	return response.Of(ev)
}

// OfWhole explains a rule that is asked of the response as a whole: why it matches or not, with the parts of its condition.
func OfWhole(r *rules.Rule, whole *event.Event) (why string, all []view.ConditionPart) {
	e := decide.Whole(r, whole)
	return e.Why, parts(&e)
}
