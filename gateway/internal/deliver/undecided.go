package deliver

import (
	"context"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/expression"
)

// turnWork bounds one tenant's turn, in steps of its rules: one costly event, or many cheap ones.
const turnWork = expression.MaxWork / 8

// maxDeciders bounds the tenants whose events are decided at the same time.
const maxDeciders = 8

// undecided are the claimed events that wait for their decision, by tenant. Tenants take turns. One tenant's events are
// decided by one goroutine at a time and in the order of their claim, so that those of one response keep their order.
//
// They count for the capacity of claimed events: up to 4,096 events or 64 MiB of one tenant at the front of the stream delay
// no other tenant. The part of a backlog that exceeds this delays the others, since the stream is claimed in order: by
// about 10 ms for each event in the worst case.
type undecided struct {
	mu     sync.Mutex // guards everything
	more   sync.Cond
	queues map[string]*queue
	ready  []*queue // in the order of their turns
	n      int
	closed bool
}

// queue is one tenant's events. It is in ready, or a goroutine has it.
type queue struct {
	tenant string
	events []state.Claimed
}

func (u *undecided) init() {
	u.more.L = &u.mu
	u.queues = map[string]*queue{}
}

// add puts events behind those of their tenants.
func (u *undecided) add(batch []state.Claimed) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n += len(batch)
	for from := 0; from < len(batch); {
		tenant, to := batch[from].Event.Tenant, from+1
		for to < len(batch) && batch[to].Event.Tenant == tenant {
			to++
		}
		q := u.queues[tenant]
		if q == nil {
			q = &queue{tenant: tenant}
			u.queues[tenant] = q
			u.ready = append(u.ready, q)
			u.more.Signal()
		}
		if q.events == nil {
			q.events = batch[from:to:to]
		} else {
			q.events = append(q.events, batch[from:to]...)
		}
		from = to
	}
}

// next waits for a tenant whose turn it is, and takes its events. It returns false after close.
func (u *undecided) next() (q *queue, events []state.Claimed, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.ready) == 0 && !u.closed {
		u.more.Wait()
	}
	if u.closed {
		return nil, nil, false
	}
	q = u.ready[0]
	u.ready[0] = nil
	u.ready = u.ready[1:]
	events, q.events = q.events, nil
	return q, events, true
}

// done ends a tenant's turn. Events that are left come before those that were claimed meanwhile.
func (u *undecided) done(q *queue, decided int, left []state.Claimed) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n -= decided
	if len(left) > 0 {
		q.events = append(left, q.events...)
	}
	if len(q.events) == 0 {
		delete(u.queues, q.tenant)
		return
	}
	u.ready = append(u.ready, q)
	u.more.Signal()
}

// close ends every wait for a turn.
func (u *undecided) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	u.more.Broadcast()
}

// takeAll removes and returns all events.
func (u *undecided) takeAll() (events []state.Claimed) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, q := range u.queues {
		events = append(events, q.events...)
	}
	u.queues, u.ready, u.n = map[string]*queue{}, nil, 0
	return events
}

func (u *undecided) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.n
}

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
