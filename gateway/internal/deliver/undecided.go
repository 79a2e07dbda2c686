package deliver

import (
	"context"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/expression"
)

// turnWork bounds one tenant's turn, in steps of its rules: one costly event, or many cheap ones.
const turnWork = expression.MaxWork / 8

// maxDeciders bounds the tenants whose events are decided at the same time.
const maxDeciders = 8

// undecided are the claimed events that wait for their decision, so that those of one response keep their order.
//
// They count for the capacity of claimed events: up to 4,096 events or 64 MiB of one tenant at the front of the stream delay
// no other tenant. The part of a backlog that exceeds this delays the others, since the stream is claimed in order: by
// about 10 ms for each event in the worst case.
type undecided = turns[state.Claimed]

func tenantOfClaimed(c state.Claimed) string { return c.Event.Tenant }

// decideUndecided decides claimed events until ctx ends.
func (l *Loop) decideUndecided(ctx context.Context) {
	for {
		q, events, ok := l.undecided.next()
		if !ok {
			return
		}
		decided := l.decideTurn(ctx, events)
		l.undecided.done(q, decided, events[decided:])
	}
}

// decideTurn decides as many events of one tenant as a turn has, and queues their first attempts. It looks at ctx before
// each event.
func (l *Loop) decideTurn(ctx context.Context, batch []state.Claimed) (n int) {
	plan, now := l.Plan(), l.Clock.Now()
	decided := make([]*claim, 0, min(len(batch), claimEvents))
	for work := 0; n < cap(decided) && work < turnWork && ctx.Err() == nil; n++ {
		c := l.decide(plan, batch[n], now)
		decided = append(decided, c)
		work += c.work
	}
	if !l.reserve(ctx, decided) {
		return 0 // stopping: they are given back with the rest
	}
	l.countDecided(plan, batch[:n], decided)
	l.claimsMu.Lock()
	for _, c := range decided {
		l.claims[c] = struct{}{}
	}
	l.claimsMu.Unlock()
	for _, c := range decided {
		l.start(c, now)
	}
	clear(batch[:n]) // the rest of the batch must not keep decided events in memory
	return n
}

// countDecided reports the decisions on events of one tenant. An event that was claimed before was decided before, by a process that
// died: it is counted at most once.
func (l *Loop) countDecided(plan *decide.Plan, batch []state.Claimed, decided []*claim) {
	for i, c := range decided {
		if c.asked && batch[i].Claims == 1 {
			ev := batch[i].Event
			l.Observer.Decided(ev, plan.Sets(ev.Tenant), c.outcome.Rules, c.unknown, c.at)
		}
		c.unknown = nil
	}
}

// release gives undecided events back to the store. Their claims are not counted.
func (l *Loop) release(undecided []state.Claimed) {
	for _, c := range undecided {
		l.commits.addEvent(&claim{
			size: c.Event.Size(), phase: phaseClosed,
			outcome: state.Outcome{Position: c.Position, Tenant: c.Event.Tenant, EventID: c.Event.ID, Release: true},
		})
	}
}
