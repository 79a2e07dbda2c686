package deliver

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/responses"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// lookers is how many tenants' responses are read at the same time, for rules that are asked of the response as a whole.
	lookers = 4
	// unreadableWait is how long a delivery waits whose response cannot be read now.
	unreadableWait = time.Second
)

// Reasons of a deferred delivery.
const (
	reasonUnread = "its response cannot be read now"
	reasonOnce   = "once: event %s of this response came first"
)

func tenantOfJob(j *job) string { return j.delivery.Tenant }

// putOff sends the first attempt of a deferred delivery to the due-queue. Whatever is asked of its response is asked when it is due, so
// that nothing is lost in a crash, and deciding reads nothing from the store.
func (l *Loop) putOff(j *job) { l.postpone(j, j.delivery.Reason, j.delivery.Due) }

// lookLater queues a due delivery whose response has to be read first. It counts for the capacity of its lane meanwhile.
func (l *Loop) lookLater(j *job) {
	l.lanes.forJob(j).expect(1)
	l.deferred.add([]*job{j}, tenantOfJob)
}

// lookAtResponses reads responses until ctx ends.
func (l *Loop) lookAtResponses(ctx context.Context) {
	for {
		q, jobs, ok := l.deferred.next()
		if !ok {
			return
		}
		if ctx.Err() != nil {
			l.deferred.done(q, 0, jobs)
			return
		}
		l.look(ctx, jobs[0])
		l.lanes.forJob(jobs[0]).expect(-1)
		l.deferred.done(q, 1, jobs[1:])
	}
}

// giveUpLooking puts back the deliveries whose responses were not read.
func (l *Loop) giveUpLooking() {
	for _, j := range l.deferred.takeAll() {
		l.lanes.forJob(j).expect(-1)
		l.postpone(j, reasonStopping, l.Clock.Now())
	}
}

// look asks the rule of a delivery about the response as it stands, and queues the attempt, or ends or postpones the delivery.
func (l *Loop) look(ctx context.Context, j *job) {
	defer func() {
		if r := recover(); r != nil {
			l.Log.Error("asking a rule about a response panicked", "tenant", j.delivery.Tenant, "event", j.delivery.EventID, "err", fmt.Sprint(r))
			l.endDeferred(j, state.Dead, "asking the rule about its response panicked")
		}
	}()
	now := l.Clock.Now()
	found, err := l.lookAt(ctx, j, now)
	switch {
	case err != nil && ctx.Err() != nil:
		l.postpone(j, reasonStopping, now)
		return
	case err != nil:
		l.Log.Warn("cannot read a response", "tenant", j.delivery.Tenant, "event", j.delivery.EventID, "err", err)
		l.postpone(j, reasonUnread, now.Add(unreadableWait))
		return
	case !found.Wait.IsZero():
		l.postpone(j, found.Reason, found.Wait)
		return
	case found.Dead != "":
		l.endDeferred(j, state.Dead, found.Dead)
		return
	case found.Skip != "":
		if found.Told {
			j.once = "" // it stays reserved
		}
		l.endDeferred(j, state.Skipped, found.Skip)
		return
	}
	j.event = found.Event
	j.atDue.receipt, j.atDue.retract, j.atDue.note = found.Receipt, found.Retract, found.Note
	if j.changes() {
		j.delivery.MaxBatch = 1 // what changes one message is a request of its own
	}
	l.setBatching(j, new(keys))
	if reason := l.lanes.forJob(j).pushDue(j, now); reason != "" {
		l.postpone(j, reason, maxTime(now, j.requeueAt))
	}
}

// endDeferred ends a delivery for which nothing is sent.
func (l *Loop) endDeferred(j *job, as state.DeliveryState, reason string) {
	d := j.current()
	d.State, d.Reason = as, reason
	free := ""
	if as == state.Skipped {
		free = j.once
	}
	l.settle(j, d, free)
}

// lookAt reads the response and reserves what happens once.
func (l *Loop) lookAt(ctx context.Context, j *job, now time.Time) (found decide.Look, err error) {
	digest, err := l.digest(ctx, j, now)
	if err != nil {
		return found, err
	}
	if digest != nil {
		return *digest, nil
	}
	var all []decide.Known
	if j.atDue.rule.Match.Defers(j.event.Type) {
		kept, err := responses.Of(ctx, l.Store, j.event)
		if err != nil {
			return found, err
		}
		for _, r := range kept.Records {
			all = append(all, decide.Known{Event: r.Event, Outcome: r.Outcome})
		}
	}
	owner := ""
	if j.once != "" {
		if owner, err = l.owner(ctx, j, j.once, 0); err != nil {
			return found, err
		}
	}
	owed := decide.Owed{Delivery: j.delivery, Step: j.atDue.step, Once: j.once, AtDue: j.atDue.rule}
	if found, err = owed.Look(j.event, all, owner == j.delivery.EventID, now); err != nil {
		return decide.Look{Dead: "its response cannot be put together: " + err.Error()}, nil
	}
	if found.Event == nil || !found.Wait.IsZero() || found.Skip != "" || found.Dead != "" {
		return found, nil
	}
	if j.once != "" {
		switch owner, err = l.owner(ctx, j, j.once, decide.OnceFor); {
		case err != nil:
			return found, err
		case owner == j.delivery.EventID:
		case j.atDue.rule.IsUnfinished(j.event.Type):
			return decide.Look{Skip: decide.ToldAlready + owner}, nil
		default:
			return decide.Look{Skip: fmt.Sprintf(reasonOnce, owner)}, nil
		}
	}
	if found.Receipt != "" { // nobody hears once more
		return found, nil
	}
	j.atDue.unused, j.atDue.busy = owed.Unused(j.event, all)
	guarded, err := l.guard(ctx, j, found.Event, now)
	guarded.Note = cmp.Or(guarded.Note, found.Note)
	return guarded, err
}

// owner returns for which event a key of `once` is reserved, and reserves it for this one if ttl is not 0.
func (l *Loop) owner(ctx context.Context, j *job, key string, ttl time.Duration) (string, error) {
	owners, err := l.Store.Once(ctx, j.delivery.Tenant, []state.OnceKey{{Key: key, Owner: j.delivery.EventID}}, ttl)
	if err != nil {
		return "", err
	}
	return owners[0], nil
}
