package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// claimDue claims due deliveries, as many as their destinations take now, and sleeps until there are more.
func (l *Loop) claimDue(ctx context.Context) {
	backoff := newBackoff()
	for ctx.Err() == nil {
		plan, now := l.Plan(), l.Clock.Now()
		round := dueRound{loop: l, plan: plan, now: now, left: map[laneKey]int{}, absence: l.absence(ctx, plan)}
		var claimed []state.Due
		var next time.Time
		// While the store takes no commits, no delivery is claimed: it would be repeated whenever its lease ends.
		free := dueInFlight - int(l.due.Load())
		asks := free > 0 && !l.commitFailing.Load()
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
			round.wakeAt(now)
		}
		noted := map[laneKey]bool{}
		absence := l.absence(ctx, plan) // asked once more: what was claimed may need a configuration that came meanwhile
		for i := range claimed {
			round.left[laneKey{claimed[i].Delivery.Tenant, claimed[i].Delivery.Destination}]--
			l.requeue(plan, &claimed[i], now, absence, noted)
		}
		for key, left := range round.left {
			if left > 0 {
				if lane := l.lanes.find(key); lane != nil {
					lane.caughtUp(now)
				}
			}
		}
		if len(claimed) > 0 {
			l.Observer.Batch("due", len(claimed))
			continue
		}
		behind := l.lanes.withBacklog()
		if !asks {
			behind = nil // the store was not asked
		}
		for _, lane := range behind {
			if _, waits := round.left[lane.key]; !waits {
				lane.caughtUp(now)
			}
		}
		if !l.waitDue(ctx, now, next, round.nextRound) {
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

// dueRound is one claim from the due-queue.
type dueRound struct {
	loop      *Loop
	plan      *decide.Plan
	now       time.Time
	absence   *absence
	left      map[laneKey]int // the remaining capacity of each destination with due deliveries
	nextRound time.Time       // when a destination can take more without any other change; zero: never
}

// capacity returns how many due deliveries a destination takes now.
func (r *dueRound) capacity(tenant, destination string) int {
	key, n, again := laneKey{tenant, destination}, 0, time.Time{}
	switch d := r.plan.Destination(tenant, destination); {
	case d == nil && r.absence.hasNewestBase():
		n = dueAtOnce // today's step may name another destination; without a step they wait, and become dead letters in the end
	case d == nil: // a replica with a newer configuration has it
	case d.Enabled && !d.Broken:
		lane := r.loop.lanes.get(key)
		lane.configure(d)
		n, again = lane.dueCapacity(r.now)
	}
	if !again.IsZero() {
		r.wakeAt(again)
	}
	r.left[key] = n
	return n
}

// wakeAt schedules the next round, not too soon: a destination with a rate gets several deliveries at once.
func (r *dueRound) wakeAt(at time.Time) {
	if soonest := r.now.Add(recheck); at.Before(soonest) {
		at = soonest
	}
	if r.nextRound.IsZero() || at.Before(r.nextRound) {
		r.nextRound = at
	}
}

// leaseFor returns a lease that is longer than any due delivery takes: the attempt queued before it, and its own.
func leaseFor(plan *decide.Plan) time.Duration {
	return 3*max(30*time.Second, plan.LongestTimeout()) + leaseGrace
}

// requeue queues a due delivery with today's step. One whose step is gone waits for it to come back, and is a dead letter in
// the end. No attempt is counted of one that only a newer configuration has, which is left to the replicas that have it, nor of
// one whose rule or destination has a fault in its settings, which waits until that is corrected.
func (l *Loop) requeue(plan *decide.Plan, due *state.Due, now time.Time, absence *absence, noted map[laneKey]bool) {
	l.due.Add(1)
	j := &job{delivery: due.Delivery, event: due.Event, progress: leased, lease: due.Lease}
	j.delivery.Log, j.delivery.Leased = nil, false // its end also ends its lease
	owed, ok := plan.Today(j.delivery, due.Event)
	if !ok && plan.IsBroken(j.delivery.Tenant, j.delivery.Origin) {
		l.awaitStep(j, decide.BrokenRule, now, noted)
		return
	}
	if !ok && !absence.isGone(&j.delivery) {
		reason := decide.Newer
		if j.delivery.Reason == decide.Absent { // its hour keeps running
			reason = decide.Absent
		}
		l.postpone(j, reason, now.Add(newerConfigWait))
		return
	}
	if !ok {
		l.unconfigured(j, now, noted)
		return
	}
	j.delivery, j.build, j.destination, j.once, j.sets = owed.Delivery, owed.Build, owed.Destination, owed.Once, owed.Sets
	j.atDue = newAtDue(&owed)
	if j.destination.Broken {
		l.postpone(j, decide.BrokenDestination, now)
		return
	}
	if j.atDue != nil {
		l.lookLater(j)
		return
	}
	l.setBatching(j, new(keys))
	if reason := l.lanes.forJob(j).pushDue(j, now); reason != "" {
		l.postpone(j, reason, maxTime(now, j.requeueAt))
	}
}
