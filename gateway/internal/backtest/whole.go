package backtest

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/responses"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// delivery is one delivery that an event owes.
type delivery struct {
	owed *decide.Owed
	// own is the event, told what is sent for it: the response as it stands, for a rule that is asked of it.
	own, told *event.Event
	// whole is the response that the condition was asked of; nil: it was asked of the event.
	whole *event.Event
}

// why returns why the rule matches, with the parts of its condition.
func (d *delivery) why(plan *decide.Plan, t *tally) (string, []view.ConditionPart) {
	if d.whole != nil {
		return explain.OfWhole(t.rule.Match, d.whole)
	}
	if rule := explain.Rule(plan, d.own, t.origin); rule != nil {
		return rule.Why, rule.Parts
	}
	return "", nil
}

// wholes are the responses that rules were asked about as a whole.
type wholes struct {
	// asked has for each rule and response the number of the event with which it was asked.
	asked map[uint64]int
	// most is how many they may be, left how many events of others were left out.
	most, left int
	// kept are the events of the response of the event with the number of; the rules of one event read it once.
	kept []*event.Event
	of   int
}

// look asks a rule about the response of an event: once, with its newest event. It returns false if nothing is left to build.
func (r *Run) look(ctx context.Context, t *tally, d *delivery) (goOn bool, err error) {
	ev := d.own
	if ask, first := r.asks(t, ev); !ask {
		return false, nil
	} else if first {
		t.responses++
	}
	if r.whole.of != r.asked {
		kept, err := responses.Of(ctx, r.store, ev)
		if err != nil {
			return false, fmt.Errorf("ask about a response: %w", err)
		}
		r.whole.of, r.whole.kept = r.asked, r.whole.kept[:0]
		for _, record := range kept.Records {
			if record.Event.Received.Before(r.ask.Until) {
				r.whole.kept = append(r.whole.kept, record.Event)
			}
		}
	}
	found, err := r.plan.PlayWhole(d.owed, ev, r.whole.kept)
	first := t.counted != r.asked
	t.counted = r.asked
	switch {
	case err != nil:
		if first {
			t.failed.add("its response cannot be put together: " + err.Error())
		}
		return false, nil
	case found.Dead != "":
		if first {
			t.failed.add(found.Dead)
		}
		return false, nil
	case strings.HasPrefix(found.Skip, decide.NotMatched):
		if first && strings.Contains(found.Skip, "` is unknown") {
			t.unknown++
		}
		return false, nil
	}
	if first {
		t.match(ev)
	}
	d.whole = found.Asked
	switch {
	case found.Skip != "":
		reason := found.Skip
		if strings.HasPrefix(reason, decide.SupersededBy) {
			reason = strings.TrimSuffix(decide.SupersededBy, ": ")
		}
		t.step(d.owed).Skipped++
		t.skipped.add(reason)
		t.sample(r.plan, d, view.BacktestSkipped, "would be skipped: "+reason, nil)
		return false, nil
	case found.Event == nil:
		t.step(d.owed).Waiting++
		t.waiting.add(found.Reason)
		t.sample(r.plan, d, view.BacktestWaiting, "would wait: "+found.Reason, nil)
		return false, nil
	}
	d.told = found.Event
	return true, nil
}

// asks reports whether a rule is asked about the response of an event, and whether that is the first of its steps to ask.
func (r *Run) asks(t *tally, ev *event.Event) (ask, first bool) {
	of := ev.ResponseKey()
	if of == "" {
		of = "\x00" + ev.ID // a response of its own
	}
	if t.rule.IsUnfinished(ev.Type) {
		of += "\x00incomplete"
	}
	key := maphash.String(r.seed, string(t.origin.Kind)+"\x00"+t.origin.Name+"\x00"+of)
	at, known := r.whole.asked[key]
	switch {
	case known:
		return at == r.asked, false
	case len(r.whole.asked) >= r.whole.most:
		r.whole.left++
		return false, false
	}
	r.whole.asked[key] = r.asked
	return true, true
}
