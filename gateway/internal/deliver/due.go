package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// claimDue takes what is due, as much as its destinations have room for, and sleeps until there is more.
func (l *Loop) claimDue(ctx context.Context) {
	backoff := newBackoff()
	for ctx.Err() == nil {
		plan, now := l.Plan(), l.Clock.Now()
		round := dueRound{loop: l, plan: plan, now: now, left: map[laneKey]int{}, newest: l.newest(ctx)}
		var claimed []state.Due
		var next time.Time
		// While the store keeps no end of a delivery, none is taken: it would be made again whenever its lease ends.
		free := dueInFlight - int(l.due.Load())
		asks := free > 0 && !l.unkept.Load()
		if asks {
			var err error
			claimed, next, err = l.Store.ClaimDue(ctx, state.ClaimDue{
				Max: min(free, dueAtOnce), Bytes: claimBytes, Lease: leaseFor(plan), Capacity: round.capacity,
			})
			if err != nil {
				if ctx.Err() != nil || errors.Is(err, state.ErrClosed) {
					return
				}
				l.Log.Warn("cannot claim due deliveries", "err", err)
				if !l.sleep(ctx, backoff.next()) {
					return
				}
				continue
			}
			backoff.reset()
		} else {
			round.later(now)
		}
		noted := map[laneKey]bool{}
		newest := l.newest(ctx) // asked again: what is claimed may be owed to a configuration that came meanwhile
		for i := range claimed {
			round.left[laneKey{claimed[i].Delivery.Tenant, claimed[i].Delivery.Destination}]--
			l.requeue(plan, &claimed[i], now, newest, noted)
		}
		for key, left := range round.left {
			if left > 0 {
				l.lanes.at(key).caughtUp(now)
			}
		}
		if len(claimed) > 0 {
			l.Observer.Batch("due", len(claimed))
			continue
		}
		behind := l.lanes.withBacklog()
		if !asks {
			behind = nil // nobody knows what waits for them
		}
		for _, lane := range behind {
			if _, waits := round.left[lane.key]; !waits {
				lane.caughtUp(now)
			}
		}
		if !l.waitDue(ctx, now, next, round.again) {
			return
		}
	}
}

// waitDue sleeps until something may be due; false when ctx ended.
func (l *Loop) waitDue(ctx context.Context, now, next, again time.Time) bool {
	wait := lookAgain
	for _, at := range []time.Time{next, again} {
		if !at.IsZero() {
			wait = min(wait, at.Sub(now))
		}
	}
	if wait <= 0 {
		wait = recheck
	}
	alarm, stop := l.Clock.After(wait)
	defer stop()
	select {
	case <-alarm:
	case <-l.dueWake:
	case <-ctx.Done():
		return false
	}
	return true
}

// dueRound is one look at the due-queue.
type dueRound struct {
	loop *Loop
	plan *decide.Plan
	now  time.Time
	// newest reports whether a step that the plan lacks is really deleted.
	newest func() bool
	left   map[laneKey]int // the remaining capacity of each destination with due deliveries
	again  time.Time       // when time alone makes room for the first of them; zero is never
}

// capacity returns how many due deliveries a destination takes now.
func (r *dueRound) capacity(tenant, destination string) int {
	key, n, again := laneKey{tenant, destination}, 0, time.Time{}
	switch d := r.plan.Destination(tenant, destination); {
	case d == nil && r.newest():
		n = dueAtOnce // today's step may send elsewhere; without one they are put off, and are dead letters in the end
	case d == nil: // other replicas know it
	case d.Enabled:
		lane := r.loop.lanes.at(key)
		lane.use(d)
		n, again = lane.space(r.now)
	}
	if !again.IsZero() {
		r.later(again)
	}
	r.left[key] = n
	return n
}

// later asks for another look, not too soon: what has a rate is given several at once.
func (r *dueRound) later(at time.Time) {
	if soonest := r.now.Add(recheck); at.Before(soonest) {
		at = soonest
	}
	if r.again.IsZero() || at.Before(r.again) {
		r.again = at
	}
}

// leaseFor is longer than any due delivery can take: its turn behind one queued before it, and its own attempt.
func leaseFor(plan *decide.Plan) time.Duration {
	longest := 30 * time.Second
	for _, d := range plan.Config.Destinations {
		longest = max(longest, d.Timeout)
	}
	return 3*longest + leaseGrace
}

// newest is Options.Newest, asked when it is needed and then once.
func (l *Loop) newest(ctx context.Context) func() bool {
	return sync.OnceValue(func() bool { return l.Newest == nil || l.Newest(ctx) })
}

// requeue queues a due delivery with today's step. One whose step is gone waits for it to come back, and is a dead letter in
// the end; one that only a newer configuration has is left to the replicas that have it, with no attempt counted.
func (l *Loop) requeue(plan *decide.Plan, due *state.Due, now time.Time, newest func() bool, noted map[laneKey]bool) {
	l.due.Add(1)
	j := &job{delivery: due.Delivery, event: due.Event, progress: leased, lease: due.Lease}
	j.delivery.Log, j.delivery.Leased = nil, false // its lease ends with what comes of it
	owed, ok := plan.Today(j.delivery, due.Event)
	if !ok && !newest() {
		reason := decide.Newer
		if j.delivery.Reason == decide.Absent { // its hour goes on
			reason = decide.Absent
		}
		l.postpone(j, reason, now.Add(leaveFor))
		return
	}
	if !ok {
		l.unconfigured(plan, j, now, noted)
		return
	}
	j.delivery, j.build, j.destination, j.once, j.sets = owed.Delivery, owed.Build, owed.Destination, owed.Once, owed.Sets
	l.gathers(j, new(keys))
	if reason := l.lanes.forJob(j).pushDue(j, now); reason != "" {
		l.postpone(j, reason, maxTime(now, j.back))
	}
}
