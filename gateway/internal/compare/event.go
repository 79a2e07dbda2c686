package compare

import (
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// How a delivery would end.
const (
	isNothing  = "nothing" // it is not owed
	isSent     = "sent"
	isSkipped  = "skipped"
	isRejected = "rejected"
	isWaiting  = "waits"
	isFailed   = "failed" // its condition cannot be evaluated
)

// stepOf is what a delivery is made for.
type stepOf struct {
	origin state.Origin
	step   string
}

// reading is one event under both configurations. was and is are nil where nothing would be read.
type reading struct {
	ev      *event.Event // as it is stored
	was, is *event.Event
	gone    string // why is is nil
}

// event compares what one event leads to.
func (c *comparison) event(t *tenant, ev *event.Event) {
	r := c.read(t, ev)
	before, after := t.askBefore, t.askAfter
	if r.was != r.is {
		before, after = t.before, t.after
	} else if len(t.rules) == 0 {
		return
	}
	(&asking{c, t, r, before, after}).compare()
}

// read reads an event again under both configurations, if its source differs. Elsewhere it stays as it is stored.
func (c *comparison) read(t *tenant, ev *event.Event) reading {
	r := reading{ev: ev, was: ev, is: ev}
	s := t.sources[ev.Source]
	if s == nil || ev.Verified == event.VerifiedAPI { // what a token published does not depend on a source
		return r
	}
	at := sourceAt{t.name, ev.Source}
	if !s.has || !s.had {
		if s.had {
			c.tally.source(at).Lost++
			r.is, r.gone = nil, "its source is removed or disabled"
		}
		return r
	}
	was, is, wasErr, isErr := source.RenormaliseBoth(t.before.Source(t.name, ev.Source).Receiver, t.after.Source(t.name, ev.Source).Receiver, ev)
	switch {
	case wasErr != nil && isErr != nil: // as it is, where its raw body is not kept
		if wasErr.Error() != isErr.Error() {
			c.tally.unreadable(at, isErr.Error())
		}
	case isErr != nil:
		c.tally.unreadable(at, isErr.Error())
		r.was, r.is, r.gone = was, nil, isErr.Error()
	case wasErr != nil:
		r.is = is
		c.tally.reread(at, event.Differences(ev, is))
	default:
		if fields := event.Differences(was, is); len(fields) > 0 {
			r.was, r.is = was, is
			c.tally.reread(at, fields)
		}
	}
	return r
}

// asking is the comparison of one event.
type asking struct {
	*comparison
	of *tenant
	reading
	asked, would *decide.Plan // the two plans that are asked
}

// ending is how a delivery would end under one configuration.
type ending struct {
	owed   *decide.Owed
	how    string
	reason string
	built  explain.Built
}

func (e *asking) compare() {
	was, failedBefore := e.owed(e.asked, e.was)
	is, failedAfter := e.owed(e.would, e.is)
	for i := range was {
		at := at(&was[i])
		e.step(at, &was[i], find(is, at))
	}
	for i := range is {
		if at := at(&is[i]); find(was, at) == nil {
			e.step(at, nil, &is[i])
		}
	}
	e.failures(failedBefore, failedAfter)
}

func at(owed *decide.Owed) stepOf { return stepOf{owed.Delivery.Origin, owed.Delivery.Step} }

func find(all []decide.Owed, of stepOf) *decide.Owed {
	for i := range all {
		if at(&all[i]) == of {
			return &all[i]
		}
	}
	return nil
}

// owed returns what an event owes, and the rules whose condition fails. A rule that is asked of the response as a whole is asked of the
// event by itself.
func (e *asking) owed(plan *decide.Plan, ev *event.Event) (all []decide.Owed, failed map[state.Origin]string) {
	if ev == nil {
		return nil, nil
	}
	decision := plan.Decide(ev, e.now)
	for _, r := range decision.Rules {
		if r.Err != "" {
			if failed == nil {
				failed = map[state.Origin]string{}
			}
			failed[r.Origin] = r.Err
		}
	}
	all = decision.Owed[:0]
	for i := range decision.Owed {
		owed := decision.Owed[i]
		if r := e.of.open[owed.Delivery.Origin]; r != nil {
			e.noteOpen(owed.Delivery.Origin, r)
			continue
		}
		if r := owed.AtDue; r != nil && r.Match.Defers(ev.Type) && r.Match.When.Match(ev.WithBudget(nil)).Truth != expression.True {
			continue
		}
		all = append(all, owed)
	}
	return all, failed
}

// ending builds a delivery; nil: it is not owed.
func (e *asking) ending(owed *decide.Owed, ev *event.Event) ending {
	if owed == nil {
		return ending{how: isNothing}
	}
	end := ending{owed: owed, how: isSent, built: explain.Build(*owed, ev, e.now)}
	switch b := &end.built; {
	case b.Skipped != "":
		end.how, end.reason = isSkipped, b.Skipped
	case b.Rejected != "":
		end.how, end.reason = isRejected, b.Rejected
	case b.Request == nil:
		end.how, end.reason = isWaiting, b.Note
	}
	return end
}

// step compares one step of one event.
func (e *asking) step(of stepOf, was, is *decide.Owed) {
	r := e.of.rules[of.origin]
	if r != nil && r.sameSteps && was != nil && is != nil && e.was == e.is {
		return
	}
	before, after := e.ending(was, e.was), e.ending(is, e.is)
	to := e.tally.rule(e.ruleAt(of.origin))
	switch {
	case before.how == isSent && after.how == isSent:
		if fields := differentRequests(&before, &after, e.now); len(fields) > 0 {
			to.changed(of.step, fields)
			e.tally.sent(e.of.name, was.Delivery.Destination, changeChanged)
			if was.Delivery.Destination != is.Delivery.Destination {
				e.tally.sent(e.of.name, is.Delivery.Destination, changeChanged)
			}
			e.sample(to, of, changeChanged, fields)
		}
		return
	case before.how == isSent:
		to.counts.Removed++
		e.tally.sent(e.of.name, was.Delivery.Destination, changeRemoved)
		e.sample(to, of, changeRemoved, nil)
	case after.how == isSent:
		to.counts.Added++
		e.tally.sent(e.of.name, is.Delivery.Destination, changeAdded)
		e.sample(to, of, changeAdded, nil)
	}
	if before.how == after.how && before.reason == after.reason {
		return
	}
	if plain := (before.how == isSent || before.how == isNothing) && (after.how == isSent || after.how == isNothing); !plain {
		reason := after.reason
		if reason == "" {
			reason = before.reason
		}
		to.outcome(before.how, after.how, reason)
	}
}

// failures compares the rules whose condition fails.
func (e *asking) failures(before, after map[state.Origin]string) {
	for origin, reason := range after {
		if before[origin] == "" {
			e.tally.rule(e.ruleAt(origin)).outcome(isNothing, isFailed, reason)
		}
	}
	for origin, reason := range before {
		if after[origin] == "" {
			e.tally.rule(e.ruleAt(origin)).outcome(isFailed, isNothing, reason)
		}
	}
}

func (e *asking) ruleAt(origin state.Origin) ruleAt {
	owner := e.of.name
	if r := e.of.rules[origin]; r != nil {
		owner = r.owner
	}
	return ruleAt{owner, origin}
}

// sample keeps a delivery as an example, unless there are enough like it.
func (e *asking) sample(to *ruleTally, of stepOf, how string, fields []view.PlanField) {
	if !to.wants(how) {
		return
	}
	s := view.PlanSample{Change: how, Event: e.ev.ID, Tenant: e.of.name, Step: of.step, Fields: fields}
	if how != changeChanged {
		s.Why, s.Parts = e.why(of, how)
	}
	to.samples = append(to.samples, s)
}

// why returns why a delivery is owed with the new configuration, or is not.
func (e *asking) why(of stepOf, how string) (why string, parts []view.ConditionPart) {
	if e.is == nil {
		return e.gone, nil
	}
	var r *config.Rule
	for _, each := range e.of.after.Rules(e.of.name) {
		if decide.OriginOf(each) == of.origin {
			r = each
		}
	}
	switch {
	case r == nil && e.of.after.IsBroken(e.of.name, of.origin):
		return decide.BrokenRule, nil
	case r == nil:
		return "the " + string(of.origin.Kind) + " is removed", nil
	case r.Match.Disabled:
		return "the " + string(of.origin.Kind) + " is disabled", nil
	case how == changeRemoved && !e.would.HasStep(e.of.name, of.origin, of.step):
		return "the step is removed", nil
	case r.Match.Defers(e.is.Type):
		x := explain.Alone(r, e.is)
		return x.Why, x.Parts
	}
	if x := explain.Rule(e.would, e.is, of.origin); x != nil {
		return x.Why, x.Parts
	}
	return "", nil
}

// wait returns how long a delivery waits before its first attempt.
func wait(owed *decide.Owed, now time.Time) time.Duration { return max(owed.Delivery.Due.Sub(now), 0) }
