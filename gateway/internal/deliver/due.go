package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// claimDue takes what is due, as much as its destinations have room for, and sleeps until there is more.
func (l *Loop) claimDue(ctx context.Context) {
	backoff := newBackoff()
	for ctx.Err() == nil {
		plan, now := l.Plan(), l.Clock.Now()
		free := dueInFlight - int(l.due.Load())
		given := map[laneKey]int{}
		starved := free <= 0
		var claimed []state.Due
		var next time.Time
		if free > 0 {
			var err error
			claimed, next, err = l.Store.ClaimDue(ctx, state.ClaimDue{
				Max: min(free, dueAtOnce), Bytes: claimBytes, Lease: leaseFor(plan),
				Room: func(tenant, destination string) int {
					n, wants := l.roomFor(plan, laneKey{tenant, destination}, now)
					given[laneKey{tenant, destination}] = n
					starved = starved || n == 0 && wants
					return n
				},
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
		}
		for i := range claimed {
			given[laneKey{claimed[i].Delivery.Tenant, claimed[i].Delivery.Destination}]--
			l.again(plan, &claimed[i], now)
		}
		for key, left := range given {
			if left > 0 {
				l.lanes.at(key).caughtUp()
			}
		}
		if len(claimed) > 0 {
			l.Observer.Batch("due", len(claimed))
			continue
		}
		l.starving.Store(starved)
		if !l.waitDue(ctx, next, starved) {
			return
		}
	}
}

// waitDue sleeps until something may be due; false when ctx ended.
func (l *Loop) waitDue(ctx context.Context, next time.Time, starved bool) bool {
	wait := time.Duration(-1)
	if !next.IsZero() {
		wait = max(next.Sub(l.Clock.Now()), 0)
	}
	if starved && (wait < 0 || wait < recheck) || wait == 0 {
		wait = recheck
	} else if starved {
		wait = min(wait, recheck)
	}
	if wait < 0 || wait > lookAgain {
		wait = lookAgain
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

// roomFor is how many due deliveries a destination takes now; wants is false where only a configuration, a hand or a
// time already known to the store can make room.
func (l *Loop) roomFor(plan *decide.Plan, key laneKey, now time.Time) (n int, wants bool) {
	d := plan.Destination(key.tenant, key.name)
	if d == nil {
		return dueAtOnce, true // they become dead letters: no longer configured
	}
	if !d.Enabled {
		return 0, false
	}
	lane := l.lanes.at(key)
	lane.use(d)
	return lane.space(now), true
}

// leaseFor is longer than any due delivery can take: its turn behind one queued before it, and its own attempt.
func leaseFor(plan *decide.Plan) time.Duration {
	longest := 30 * time.Second
	for _, d := range plan.Config.Destinations {
		longest = max(longest, d.Timeout)
	}
	return 3*longest + leaseGrace
}

// again queues a due delivery with today's step; a step that is gone makes it a dead letter.
func (l *Loop) again(plan *decide.Plan, due *state.Due, now time.Time) {
	l.due.Add(1)
	j := &job{delivery: due.Delivery, event: due.Event, lease: due.Lease}
	j.delivery.Log, j.delivery.Leased = nil, false // its lease ends with what comes of it
	owed, ok := plan.Today(j.delivery, due.Event)
	if !ok {
		d := j.delivery
		d.State, d.Reason, d.Updated = state.Dead, "no longer configured", now
		l.settle(j, d, "")
		return
	}
	j.delivery, j.build, j.destination, j.once = owed.Delivery, owed.Build, owed.Destination, owed.Once
	if reason, until := l.lanes.of(j).pushDue(j, now); reason != "" {
		l.postpone(j, reason, until)
	}
}

// wakeDueIfStarved lets the due loop ask again when a lane has run empty.
func (l *Loop) wakeDueIfStarved() {
	if l.draining.Load() {
		return
	}
	if l.starving.Load() {
		l.wakeDue()
	}
}
