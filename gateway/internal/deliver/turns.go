package deliver

import (
	"context"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/expression"
)

// turnWork ends a tenant's turn in steps of its rules: one costly event, or many cheap ones.
const turnWork = expression.MaxWork / 8

// decidersMost bounds the tenants whose events are decided at the same time.
const decidersMost = 8

// turns are the claimed events that wait for their decision, by tenant. Tenants take turns, and one tenant's events are
// decided by one goroutine at a time and in the order of their claim, so that those of one response keep theirs.
//
// They stand in the room of what is held: up to 4,096 events or 64 MiB that one tenant has before others in the stream
// delay nobody. Of a longer backlog the others wait for what exceeds that, since the stream is claimed in its order: at
// the worst, which is some 10 ms for each event.
type turns struct {
	mu     sync.Mutex
	more   sync.Cond
	queues map[string]*queue
	ready  []*queue // in the order of their turns
	n      int
	closed bool
}

// queue is one tenant's events. It is ready, or a goroutine has it.
type queue struct {
	tenant string
	events []state.Claimed
}

func (t *turns) init() {
	t.more.L = &t.mu
	t.queues = map[string]*queue{}
}

// add puts events behind those of their tenants.
func (t *turns) add(batch []state.Claimed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += len(batch)
	for from := 0; from < len(batch); {
		tenant, to := batch[from].Event.Tenant, from+1
		for to < len(batch) && batch[to].Event.Tenant == tenant {
			to++
		}
		q := t.queues[tenant]
		if q == nil {
			q = &queue{tenant: tenant}
			t.queues[tenant] = q
			t.ready = append(t.ready, q)
			t.more.Signal()
		}
		if q.events == nil {
			q.events = batch[from:to:to]
		} else {
			q.events = append(q.events, batch[from:to]...)
		}
		from = to
	}
}

// next waits for a tenant whose turn it is, and takes its events; false once nothing is to be decided any more.
func (t *turns) next() (q *queue, events []state.Claimed, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.ready) == 0 && !t.closed {
		t.more.Wait()
	}
	if t.closed {
		return nil, nil, false
	}
	q = t.ready[0]
	t.ready[0] = nil
	t.ready = t.ready[1:]
	events, q.events = q.events, nil
	return q, events, true
}

// done ends a tenant's turn; what is left of it comes before what was claimed meanwhile.
func (t *turns) done(q *queue, decided int, left []state.Claimed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n -= decided
	if len(left) > 0 {
		q.events = append(left, q.events...)
	}
	if len(q.events) == 0 {
		delete(t.queues, q.tenant)
		return
	}
	t.ready = append(t.ready, q)
	t.more.Signal()
}

// close lets every turn end.
func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.more.Broadcast()
}

// rest takes out what nobody has decided.
func (t *turns) rest() (events []state.Claimed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range t.queues {
		events = append(events, q.events...)
	}
	t.queues, t.ready, t.n = map[string]*queue{}, nil, 0
	return events
}

func (t *turns) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// decideInTurns decides what was claimed until ctx ends.
func (l *Loop) decideInTurns(ctx context.Context) {
	for {
		q, events, ok := l.turns.next()
		if !ok {
			return
		}
		decided := l.turn(ctx, events)
		l.turns.done(q, decided, events[decided:])
	}
}

// turn decides events of one tenant, as many as a turn has, and queues their first attempts. It looks at ctx before
// each of them.
func (l *Loop) turn(ctx context.Context, batch []state.Claimed) (n int) {
	plan, now := l.Plan(), l.Clock.Now()
	decided := make([]*held, 0, min(len(batch), claimEvents))
	for work := 0; n < cap(decided) && work < turnWork && ctx.Err() == nil; n++ {
		h := l.decide(plan, batch[n], now)
		decided = append(decided, h)
		work += h.work
	}
	if !l.reserve(ctx, decided) {
		return 0 // stopping: they are given back with the rest
	}
	l.heldMu.Lock()
	for _, h := range decided {
		l.held[h] = struct{}{}
	}
	l.heldMu.Unlock()
	for _, h := range decided {
		l.start(h, now)
	}
	clear(batch[:n]) // what is left of the batch keeps no event that is gone
	return n
}

// release gives back events that nobody has decided, uncounted.
func (l *Loop) release(undecided []state.Claimed) {
	for _, c := range undecided {
		l.commits.event(&held{
			size: c.Event.Size(), committed: true,
			outcome: state.Outcome{Position: c.Position, Tenant: c.Event.Tenant, EventID: c.Event.ID, Release: true},
		})
	}
}
