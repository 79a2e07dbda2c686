package backtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// tally counts what one rule would have done.
type tally struct {
	rule   *config.Rule
	origin state.Origin
	// written is its name as the caller knows it: a rule of a draft may be compiled under another one.
	written string
	live    bool
	// whole: it is asked of responses. responses counts those that it was asked about, counted is the number of the event with which
	// the last one was counted.
	whole              bool
	responses, counted int

	matched, unknown, earlier          int
	failed, skipped, rejected, waiting reasons
	steps                              []*view.BacktestedStep
	clipped                            map[string]*cut
	hours                              hours
	sources, surveys                   names
	samples                            []view.BacktestSample
	sampled                            map[string]int
}

// cut counts requests in which a field is cut.
type cut struct{ count, length int }

func newTally(plan *decide.Plan, tenant string, r *config.Rule, written string, live bool) *tally {
	zone := r.Zone
	if zone == nil {
		zone = time.UTC
	}
	t := &tally{
		rule: r, origin: decide.OriginOf(r), written: written, live: live,
		whole:   slices.ContainsFunc(event.Types, r.Match.Defers),
		clipped: map[string]*cut{}, sampled: map[string]int{}, hours: hours{zone: zone},
	}
	for _, s := range r.Steps {
		counts := &view.BacktestedStep{Step: s.Name, Destination: s.Destination}
		if d := plan.Destination(tenant, s.Destination); d != nil {
			counts.Connector = s.Connector(d)
		}
		t.steps = append(t.steps, counts)
	}
	return t
}

// match counts an event, or the newest one of a response, that the rule matches.
func (t *tally) match(ev *event.Event) {
	t.matched++
	if !t.hours.add(ev.Received) {
		t.earlier++
	}
	t.sources.add(ev.Source, nil)
	t.surveys.add(ev.SurveyID, ev)
}

// step returns the counts of the step of a delivery.
func (t *tally) step(o *decide.Owed) *view.BacktestedStep {
	return t.steps[slices.IndexFunc(t.steps, func(s *view.BacktestedStep) bool { return s.Step == o.Delivery.Step })]
}

// count counts a delivery by what building its request comes to.
func (t *tally) count(plan *decide.Plan, d *delivery, b *explain.Built) {
	s := t.step(d.owed)
	switch {
	case b.Skipped != "":
		s.Skipped++
		t.skipped.add(b.Skipped)
		t.sample(plan, d, view.BacktestSkipped, b.Note, nil)
	case b.Rejected != "":
		s.Rejected++
		t.rejected.add(b.Rejected)
		t.sample(plan, d, view.BacktestRejected, b.Note, nil)
	case b.Request == nil:
		s.Waiting++
		t.waiting.add(strings.TrimPrefix(b.Note, "would wait: "))
		t.sample(plan, d, view.BacktestWaiting, b.Note, nil)
	case len(b.Shortened) > 0:
		s.Sent++
		s.Clipped++
		for _, short := range b.Shortened {
			t.cut(s, short)
		}
		t.sample(plan, d, view.BacktestClipped, b.Note, b)
	default:
		s.Sent++
		t.sample(plan, d, view.BacktestSent, b.Note, b)
	}
}

// cut counts a field that is cut.
func (t *tally) cut(s *view.BacktestedStep, short explain.Shortened) {
	step := t.shown(s.Step)
	field := step + ": `" + short.Field + "`"
	if short.Field == "" {
		field = step + ": a text"
	}
	if t.clipped[field] == nil {
		if len(t.clipped) >= maxReasons {
			field, short.Length = otherReasons, 0
		}
		if t.clipped[field] == nil {
			t.clipped[field] = &cut{}
		}
	}
	c := t.clipped[field]
	c.count++
	c.length = max(c.length, short.Length)
}

// sample keeps a delivery as an example of a result, if there are not enough of it yet.
func (t *tally) sample(plan *decide.Plan, d *delivery, result, note string, built *explain.Built) {
	if t.sampled[result] == maxSamples {
		return
	}
	t.sampled[result]++
	s := view.BacktestSample{
		Result: result, Event: d.own.ID, Received: view.Time{Time: d.own.Received}, Step: t.shown(d.owed.Delivery.Step), Note: note,
	}
	s.Why, s.Parts = d.why(plan, t)
	if built != nil {
		s.Text = built.Text()
		if s.Cut = len(s.Text) > maxRequestText; s.Cut {
			s.Text = strings.ToValidUTF8(s.Text[:maxRequestText], "")
		}
	}
	t.samples = append(t.samples, s)
}

// shown returns the name of a step or a destination as the caller knows it: a webhook is its own step and destination.
func (t *tally) shown(name string) string {
	if t.origin.Kind == state.Webhook && name == t.origin.Name {
		return t.written
	}
	return name
}

// view returns the result. types are how many events of each type were asked about.
func (t *tally) view(types map[string]int) view.BacktestedRule {
	v := view.BacktestedRule{
		Rule: t.written, Kind: string(t.origin.Kind), Live: t.live, Whole: t.whole, Asked: t.responses,
		Matched: t.matched, Unknown: t.unknown, Earlier: t.earlier,
		Failed: t.failed.sorted(), Skipped: t.skipped.sorted(), Rejected: t.rejected.sorted(), Waiting: t.waiting.sorted(),
		Timezone: t.hours.zone.String(), Sources: t.sources.sorted(), Surveys: t.surveys.sorted(),
		Steps: make([]view.BacktestedStep, len(t.steps)), Samples: t.samples,
	}
	for kind, n := range types {
		if t.rule.Match.AcceptsType(kind) && !t.rule.Match.Defers(kind) {
			v.Asked += n
		}
	}
	for i, s := range t.steps {
		v.Steps[i] = *s
		v.Steps[i].Step, v.Steps[i].Destination = t.shown(s.Step), t.shown(s.Destination)
	}
	v.Days, v.Busiest = t.hours.days()
	for field, c := range t.clipped {
		reason := field
		if c.length > 0 {
			reason = fmt.Sprintf("%s is cut to %d characters", field, c.length)
		}
		v.Clipped = append(v.Clipped, view.ReasonCount{Reason: reason, Count: c.count})
	}
	sortReasons(v.Clipped)
	order := []string{view.BacktestSent, view.BacktestClipped, view.BacktestSkipped, view.BacktestRejected, view.BacktestWaiting}
	slices.SortStableFunc(v.Samples, func(a, b view.BacktestSample) int {
		return cmp.Compare(slices.Index(order, a.Result), slices.Index(order, b.Result))
	})
	if v.Samples == nil {
		v.Samples = []view.BacktestSample{}
	}
	return v
}
