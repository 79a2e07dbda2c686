package deliver

import (
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// maxPostponedWait bounds the wait of a postponed delivery, unless its schedule or the product asks for more.
const maxPostponedWait = 10 * time.Minute

// busyWait is how long a delivery waits if the gateway had no free connection for it.
const busyWait = time.Second

// attempt builds, sends and judges one delivery, or a batch of them, and settles each. A batch may need several requests, one after
// the other. What is left of it goes back to the due-queue if the lane is blocked, the rate does not allow the next request soon, or
// the configuration changes.
func (l *Loop) attempt(lane *lane, lead *job) {
	jobs, epoch := lead.members(), lead.epoch
	var parts [][]*job // those after jobs
	for {
		lead = jobs[0]
		if again := l.attemptOnce(lane, jobs, epoch); len(again) > 0 {
			parts = append(again, parts...)
		}
		lane.releasePlaces(lead)
		if len(parts) == 0 {
			return
		}
		jobs, parts = parts[0], parts[1:]
		reason, due := reasonReloaded, l.Clock.Now()
		if d := jobs[0].delivery; l.Plan().Destination(d.Tenant, d.Destination) == jobs[0].destination {
			reason, due = lane.await(jobs[0])
		}
		if reason != "" {
			for _, part := range append(parts, jobs) {
				for _, j := range part {
					l.postpone(j, reason, due)
				}
			}
			return
		}
		lane.reserveRequest()
	}
}

// attemptOnce makes one request, or one chain of them, and returns the batches that are sent next, at once: those of a batch that was
// refused because of some of its deliveries, and the deliveries that did not fit into the request.
func (l *Loop) attemptOnce(lane *lane, jobs []*job, epoch uint64) (again [][]*job) {
	lead := jobs[0]
	now := l.Clock.Now()
	destination := jobs[0].destination
	deadline := now.Add(destination.Timeout)
	if jobs = l.beginAll(jobs, deadline); len(jobs) == 0 {
		return nil
	}
	t := &attemptOutcome{jobs: jobs, lane: lane, lead: lead}
	rest := l.try(t, deadline)
	end := l.Clock.Now()
	if t.postponeReason != "" {
		for _, j := range jobs {
			d := j.current()
			d.State, d.Reason, d.Due, d.Updated = state.Waiting, t.postponeReason, end, end
			if t.postponeReason != reasonStopping {
				d.Due = end.Add(l.jitteredWait(busyWait, 0))
			}
			l.settle(j, d, "")
		}
		return nil
	}
	if len(t.jobs) > 0 {
		lane.judge(t.health(), t, destination, epoch, end)
		again = l.concludeAll(t, now, end)
	}
	for _, o := range t.unsent {
		l.conclude(&attemptOutcome{jobs: []*job{o.job}}, o.job, o.verdict, now, end)
	}
	if len(rest) > 0 {
		again = append(again, rest)
	}
	return again
}

// beginAll marks deliveries as running and returns those that still belong to this process. The batch itself is unchanged: it ends for
// all of its deliveries.
func (l *Loop) beginAll(jobs []*job, deadline time.Time) []*job {
	if len(jobs) == 1 { // as nearly always
		if l.begin(jobs[0], deadline) {
			return jobs
		}
		return nil
	}
	begun := make([]*job, 0, len(jobs))
	for _, j := range jobs {
		if l.begin(j, deadline) {
			begun = append(begun, j)
		}
	}
	return begun
}

// conclude settles one delivery after its attempt, or its part in one.
func (l *Loop) conclude(t *attemptOutcome, j *job, v connectors.Verdict, began, end time.Time) {
	d := j.current()
	d.Updated = end
	if v.Ref != "" && len(v.Ref) <= connectors.MaxRef {
		d.Ref = v.Ref
	}
	took := t.took(began, end)
	if t.sent {
		d.Attempts++
		d.Log = append(d.Log, t.record(j, v, d.Attempts, began, took))
	}
	l.Observer.Attempt(&j.delivery, v.Kind, t.reached(), took, began)

	free := ""
	switch {
	case v.Kind == connectors.Delivered:
		d.State, d.Reason = state.Delivered, j.deliveredAs()
	case v.Kind == connectors.Skipping:
		d.State, d.Reason, free = state.Skipped, v.Reason, j.once
	case v.Kind == connectors.Revoked && !j.atFault(v):
		d.State, d.Reason, d.Due = state.Waiting, v.Reason, end
		if t.sent {
			d.Forgiven++
		}
	case j.postponedByProduct(v, t.status):
		d.Forgiven++
		waits := j.destination.Retry.Waits
		d.State, d.Reason = state.Waiting, v.Reason
		d.Due = end.Add(l.jitteredWait(max(scheduledWait(waits, d.Attempts-d.Forgiven), postponedWait(waits[0], d.Forgiven)), v.After))
	case v.Kind == connectors.Revoked, v.Kind == connectors.Retry:
		waits := j.retryWaits()
		used := d.Attempts - d.Forgiven
		if used > len(waits) {
			d.State, d.Reason = state.Dead, "no attempts left: "+v.Reason
			break
		}
		d.State, d.Reason = state.Waiting, v.Reason
		d.Due = end.Add(l.jitteredWait(scheduledWait(waits, used), v.After))
	default:
		d.State, d.Reason = state.Dead, v.Reason
	}
	if d.State == state.Dead {
		l.Log.Warn("dead letter", "tenant", d.Tenant, "event", d.EventID, "destination", d.Destination,
			"connector", d.Connector, "delivery", d.ID, "attempt", d.Attempts, "verdict", v.Kind, "status", t.status, "err", d.Reason)
	}
	if l.Attempted != nil {
		l.Attempted(&d, j.event, v.Kind, t.status, took)
	}
	l.settle(j, d, free)
}

// postponedByProduct reports whether the product is healthy, accepted nothing, and said when to come back, as with an exhausted daily limit. That
// is no failure and uses up no attempt of the schedule; retention.waiting bounds it. A server's fault (5xx) counts whatever it asks
// for, and so does every answer of a product where a repeat may count twice.
func (j *job) postponedByProduct(v connectors.Verdict, status int) bool {
	_, cautious := j.build.(connectors.RetryLimiter)
	return v.Kind == connectors.Retry && v.After > 0 && status < 500 && !cautious &&
		len(j.destination.Retry.Waits) > 0
}

// postponedWait returns the shortest wait of a delivery that the product postponed `times` times. It doubles from the schedule's first wait, so that a
// product that says "in a second" for days is not asked every second.
func postponedWait(first time.Duration, times int) time.Duration {
	if first >= maxPostponedWait {
		return first
	}
	return min(first<<min(times-1, 20), maxPostponedWait)
}

// retryWaits returns the retry schedule of the destination, cut to what a product allows where a repeat may count twice.
func (j *job) retryWaits() []time.Duration {
	waits := j.destination.Retry.Waits
	if c, ok := j.build.(connectors.RetryLimiter); ok {
		waits = waits[:min(len(waits), max(c.MaxRetries(), 0))]
	}
	return waits
}

// scheduledWait returns the wait of the schedule after used counted attempts. used is 0 if nothing could be sent, and may exceed the
// schedule if a reload has shortened it.
func scheduledWait(waits []time.Duration, used int) time.Duration {
	if len(waits) == 0 {
		return 0
	}
	return waits[min(max(used-1, 0), len(waits)-1)]
}

// atFault reports whether the setting that the product refuses belongs to the step.
func (j *job) atFault(v connectors.Verdict) bool {
	return v.Setting != "" && slices.Contains(j.sets, v.Setting)
}

// jitteredWait returns the longer of the schedule's wait and what the receiver asked for, plus up to a tenth.
func (l *Loop) jitteredWait(scheduled, asked time.Duration) time.Duration {
	w := max(scheduled, asked)
	return w + time.Duration(l.Jitter()*0.1*float64(w))
}
