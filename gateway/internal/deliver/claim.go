package deliver

import (
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// claim is a claimed event between its decision and its commit.
type claim struct {
	at      time.Time // when it was decided
	arrival arrival
	size    int      // of the event, in bytes
	work    int      // that its rules took, in steps
	asked   bool     // its rules were asked
	unknown []string // names of the rules whose condition is unknown
	jobs    []*job   // its deliveries
	suspect bool     // it was claimed alone

	// mu guards what follows, and the progress of the jobs.
	mu         sync.Mutex
	phase      phase
	outcome    state.Outcome // all but its deliveries, which are those of the jobs
	unfinished int           // jobs neither done nor handed over
	firstEnded time.Time     // when the first of them ended
	handedOver time.Time     // when those that were not done were handed over
}

// phase is how far a claim has come. It only goes forward.
type phase uint8

const (
	// phaseStarting: not every delivery is queued, delayed or skipped yet; none may be handed over.
	phaseStarting phase = iota
	// phaseOpen: its deliveries end, or are handed over when that takes too long.
	phaseOpen
	// phaseClosed: it waits for its commit.
	phaseClosed
	// phaseSealed: its commit has begun. What ends now is committed by itself.
	phaseSealed
)

// decide asks all rules; a panic there makes the event a dead letter, because it would come again and again.
func (l *Loop) decide(plan *decide.Plan, claimed state.Claimed, now time.Time) (c *claim) {
	ev := claimed.Event
	c = &claim{at: now, arrival: arrival{ev.Received, ev.Type}, size: ev.Size(), suspect: state.IsSuspect(claimed.Claims - 1)}
	c.outcome = state.Outcome{
		Position: claimed.Position, Tenant: ev.Tenant, EventID: ev.ID,
		Generation: plan.Generation(ev.Tenant), At: now,
	}
	if claimed.Claims > state.MaxBatchClaims+maxClaimsAlone {
		c.outcome.Dead = fmt.Sprintf("claimed %d times without a commit, %d of them alone", claimed.Claims-1, claimed.Claims-1-state.MaxBatchClaims)
		return c
	}
	if ev.Type == event.TypeEntry {
		c.outcome.Dead = unreadable(ev)
		return c
	}
	defer func() {
		if r := recover(); r != nil {
			c.jobs, c.unfinished, c.asked = nil, 0, false
			c.outcome.Dead = fmt.Sprintf("deciding panicked: %v", r)
			l.Log.Error("deciding panicked", "event", ev.ID, "tenant", ev.Tenant, "err", r)
		}
	}()
	d := plan.Decide(ev, now)
	c.outcome.Rules, c.work, c.unknown = d.Rules, d.Work, d.Unknown
	c.asked = !event.IsAlone(ev.Source)
	if len(d.Owed) == 0 {
		return c
	}
	c.jobs = make([]*job, len(d.Owed))
	jobs := make([]job, len(d.Owed))
	for i, o := range d.Owed {
		jobs[i] = job{
			delivery: o.Delivery, event: ev, build: o.Build, destination: o.Destination, once: o.Once,
			sets: o.Sets, atDue: newAtDue(&o), claim: c, progress: queued,
		}
		c.jobs[i] = &jobs[i]
	}
	c.unfinished = len(d.Owed)
	return c
}

// unreadable is why an entry of a stream is no event.
func unreadable(ev *event.Event) string {
	if d := ev.Data(); d != nil && len(d.Warnings) > 0 {
		return d.Warnings[0]
	}
	return "no event can be made of this entry"
}

// start queues an event's first attempts. What cannot start now goes to the due-queue.
func (l *Loop) start(c *claim, now time.Time) {
	var keys keys
	for _, j := range c.jobs {
		d := &j.delivery
		switch {
		case j.onceOwner != "":
			skipped := *d
			skipped.State, skipped.Reason = state.Skipped, "once: event "+j.onceOwner+" of this response came first"
			l.settle(j, skipped, "")
		case j.atDue != nil:
			l.putOff(j)
		case d.Due.After(now):
			l.postpone(j, d.Reason, d.Due)
		case j.destination.Broken:
			l.postpone(j, decide.BrokenDestination, now)
		default:
			l.setBatching(j, &keys)
			if at := j.deferUntil(now); !at.IsZero() {
				l.postpone(j, reasonBatch, at)
				continue
			}
			if j.maxBatch > 1 {
				j.batchReadyAt = now.Add(batchWait(j.destination))
			}
			if reason := l.lanes.forJob(j).push(j, now); reason != "" {
				l.postpone(j, reason, maxTime(now, j.requeueAt))
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseStarting {
		c.phase = phaseOpen
	}
	l.closeIfDone(c) // here where nothing is owed
}

// closeIfDone queues the commit of an event whose deliveries have all ended. c.mu is held.
func (l *Loop) closeIfDone(c *claim) {
	if c.unfinished == 0 && c.phase < phaseClosed {
		l.close(c)
	}
}

// close queues the commit of an event. c.mu is held.
func (l *Loop) close(c *claim) {
	c.phase = phaseClosed
	l.claimsMu.Lock()
	delete(l.claims, c)
	l.claimsMu.Unlock()
	l.commits.addEvent(c)
}

// seal returns the outcome to commit. A lane whose destination hangs may keep jobs for long that are not this process's any
// more: they let go of their event.
func (c *claim) seal() state.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = phaseSealed
	outcome := c.outcome
	if len(c.jobs) > 0 {
		outcome.Deliveries = make([]state.Delivery, len(c.jobs))
	}
	for i, j := range c.jobs {
		outcome.Deliveries[i] = j.result()
		if j.progress != leased {
			j.event = nil
		}
	}
	return outcome
}

// handOverLate hands over what events that were claimed for too long still owe.
func (l *Loop) handOverLate() {
	now := l.Clock.Now()
	l.handOver(now, func(c *claim) bool {
		return now.Sub(c.at) >= claimedFor || (!c.firstEnded.IsZero() && now.Sub(c.firstEnded) >= claimedAfterFirst)
	})
}

// handOver hands over the unfinished deliveries of events that are late, and queues the commits of those events.
func (l *Loop) handOver(now time.Time, late func(*claim) bool) {
	l.claimsMu.Lock()
	all := make([]*claim, 0, len(l.claims))
	for c := range l.claims {
		all = append(all, c)
	}
	l.claimsMu.Unlock()
	for _, c := range all {
		c.mu.Lock()
		if c.phase == phaseOpen && late(c) {
			c.handedOver = now
			for _, j := range c.jobs {
				j.handOver(now)
			}
			l.close(c)
		}
		c.mu.Unlock()
	}
}

// handOver keeps a delivery that runs under a lease until its attempt has ended, and one in a batch that is about to be sent,
// which it would leave else; any other is released. claim.mu is held.
func (j *job) handOver(now time.Time) {
	var until time.Time
	switch {
	case j.progress == running:
		until = j.deadline.Add(leaseGrace)
	case j.batchReadyAt.After(now):
		until = j.batchReadyAt.Add(j.destination.Timeout + leaseGrace)
	default:
		j.move(toRelease)
		return
	}
	if j.move(toLease) {
		j.lease = until
	}
}

// drain waits for running attempts within the bound, hands everything over, and gives up what still runs.
func (l *Loop) drain() {
	// What did not start yet need not start any more.
	l.handOver(l.Clock.Now(), func(c *claim) bool {
		for _, j := range c.jobs {
			if j.progress == running {
				return false
			}
		}
		return true
	})
	l.lanes.stop()
	idle := make(chan struct{})
	go func() { l.running.Wait(); close(idle) }()
	if !l.within(l.Drain, idle) {
		l.Log.Warn("attempts still running at the end of the drain; they will be repeated", "claimed", l.Claimed())
	}
	l.handOver(l.Clock.Now(), func(*claim) bool { return true })
	l.giveUp()
	l.within(giveUpFor, idle)
}

// within waits until done is closed; false when it was not in time.
func (l *Loop) within(d time.Duration, done <-chan struct{}) bool {
	late, stop := l.Clock.After(d)
	defer stop()
	select {
	case <-done:
		return true
	case <-late:
		return false
	}
}
