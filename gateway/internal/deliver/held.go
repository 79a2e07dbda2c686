package deliver

import (
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// held is an event between its decision and its commit.
type held struct {
	at   time.Time // when it was decided
	size int       // of the event, in bytes
	work int       // that its rules took, in steps
	jobs []*job

	suspect bool // it was claimed alone

	mu        sync.Mutex
	outcome   state.Outcome
	open      int       // deliveries neither finished nor handed over
	first     time.Time // when the first of them finished
	started   bool      // every delivery was queued, delayed or skipped; before, none may be handed over
	committed bool      // the outcome waits for its commit
	sealed    bool      // the commit has begun: what ends now is settled by itself
}

// job is one delivery on its way through a lane.
type job struct {
	delivery    state.Delivery
	event       *event.Event
	build       connectors.Connector
	destination *config.Destination
	once        string
	taken       string    // the event that once belongs to, if not ours
	sets        []string  // the settings that the step writes itself
	most        int       // how many may stand in one batch with it; 0 where the product has neither batches nor keys
	key         string    // of the record that it changes
	requests    int       // that it makes
	batch       *batch    // under lane.mu until a worker has it; nil for one alone
	back        time.Time // when it is due again that had to go back for others of its record
	self        [1]*job

	// held is the event whose first attempt this is; nil for a due delivery.
	held *held
	slot int
	// Below, under held.mu while there is one.
	done     bool
	running  bool
	gathered time.Time // when the batch that it waits in is complete; set before it is queued
	deadline time.Time // of the running attempt
	lease    time.Time // of a due delivery, or one handed over while it ran or gathered

	epoch uint64 // of the lane's circuit when a worker took it; under lane.mu
	// pace is the lane's when a worker took it, nil without a rate; places are what its attempt has there beyond its first
	// request.
	pace   *pace
	places int
}

// decide asks all rules; a panic there makes the event a dead letter, because it would come again and again.
func (l *Loop) decide(plan *decide.Plan, c state.Claimed, now time.Time) (h *held) {
	h = &held{at: now, size: c.Event.Size(), suspect: state.IsSuspect(c.Claims - 1)}
	h.outcome = state.Outcome{
		Position: c.Position, Tenant: c.Event.Tenant, EventID: c.Event.ID,
		Generation: plan.Config.Generation, At: now,
	}
	if c.Claims > state.MaxBatchClaims+aloneMost {
		h.outcome.Dead = fmt.Sprintf("claimed %d times without a commit, %d of them alone", c.Claims-1, c.Claims-1-state.MaxBatchClaims)
		return h
	}
	if c.Event.Type == event.TypeEntry {
		h.outcome.Dead = unread(c.Event)
		return h
	}
	defer func() {
		if r := recover(); r != nil {
			h.jobs, h.open = nil, 0
			h.outcome.Dead = fmt.Sprintf("deciding panicked: %v", r)
			l.Log.Error("deciding panicked", "event", c.Event.ID, "tenant", c.Event.Tenant, "err", r)
		}
	}()
	d := plan.Decide(c.Event, now)
	h.outcome.Rules, h.work = d.Rules, d.Work
	if len(d.Owed) == 0 {
		return h
	}
	h.outcome.Deliveries = make([]state.Delivery, len(d.Owed))
	h.jobs = make([]*job, len(d.Owed))
	jobs := make([]job, len(d.Owed))
	for i, o := range d.Owed {
		jobs[i] = job{
			delivery: o.Delivery, event: c.Event, build: o.Build, destination: o.Destination, once: o.Once,
			sets: o.Sets, held: h, slot: i,
		}
		h.jobs[i] = &jobs[i]
	}
	h.open = len(d.Owed)
	return h
}

// unread is why an entry of a stream is no event.
func unread(ev *event.Event) string {
	if d := ev.Data(); d != nil && len(d.Warnings) > 0 {
		return d.Warnings[0]
	}
	return "no event can be made of this entry"
}

// start queues an event's first attempts; what cannot start now goes to the due-queue.
func (l *Loop) start(h *held, now time.Time) {
	var keys keys
	for _, j := range h.jobs {
		d := &j.delivery
		switch {
		case j.taken != "":
			d.State, d.Reason = state.Skipped, "once: event "+j.taken+" of this response came first"
			l.settle(j, *d, "")
		case d.Due.After(now):
			l.postpone(j, d.Reason, d.Due)
		default:
			l.gathers(j, &keys)
			if at := j.later(now); !at.IsZero() {
				l.postpone(j, reasonBatch, at)
				continue
			}
			if j.most > 1 {
				j.gathered = now.Add(gatherFor(j.destination))
			}
			if reason := l.lanes.of(j).push(j, now); reason != "" {
				l.postpone(j, reason, later(now, j.back))
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.started = true
	l.finishIfDone(h) // here where nothing is owed
}

// abandoned reports whether the job was handed over before it began: its delivery is somebody else's.
func (j *job) abandoned() bool {
	h := j.held
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return j.isAbandoned()
}

// isAbandoned is abandoned for who holds held.mu.
func (j *job) isAbandoned() bool { return j.done || (j.held.committed && j.lease.IsZero()) }

// postpone hands over a delivery that was not tried; no attempt is counted. What a hold keeps back is due all the
// same: it goes on as soon as the hold ends, also where that is sooner than thought.
func (l *Loop) postpone(j *job, reason string, due time.Time) {
	d := j.delivery
	d.State, d.Reason, d.Due = state.Waiting, reason, due
	h := j.held
	if h == nil {
		l.settleDue(j, d, nil)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if j.isAbandoned() {
		return
	}
	j.done = true
	if h.sealed { // handed over while it gathered: give the lease back
		l.commits.due(state.Settled{Delivery: d, Lease: j.lease})
		return
	}
	h.outcome.Deliveries[j.slot] = d
	if h.committed {
		return
	}
	h.open--
	l.finishIfDone(h)
}

// settle takes the end of an attempt, or a delivery that needed none. Free gives back a key of `once`.
func (l *Loop) settle(j *job, d state.Delivery, free string) {
	var keys []string
	if free != "" {
		keys = []string{free}
	}
	h := j.held
	if h == nil {
		l.settleDue(j, d, keys)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sealed {
		l.commits.due(state.Settled{Delivery: d, Lease: j.lease, Free: keys})
		return
	}
	// Also where it was handed over meanwhile: written as still waiting, it could be due before its end is written.
	j.done = true
	h.outcome.Deliveries[j.slot] = d
	h.outcome.Free = append(h.outcome.Free, keys...)
	if h.committed {
		return
	}
	h.open--
	if h.first.IsZero() {
		h.first = l.Clock.Now()
	}
	l.finishIfDone(h)
}

// settleDue ends this holder's lease of a due delivery.
func (l *Loop) settleDue(j *job, d state.Delivery, free []string) {
	l.commits.due(state.Settled{Delivery: d, Lease: j.lease, Free: free})
	l.due.Add(-1)
}

// begins marks an attempt as running; false when the delivery was handed over before it could start, or waited too
// long for its turn: somebody else may have it by the time it ends.
func (l *Loop) begins(j *job, deadline time.Time) bool {
	h := j.held
	if h == nil {
		return l.inTime(j, deadline)
	}
	h.mu.Lock()
	if !h.committed && !j.done {
		j.running, j.deadline = true, deadline
		h.mu.Unlock()
		return true
	}
	leased := !j.done && !j.lease.IsZero()
	h.mu.Unlock()
	return leased && l.inTime(j, deadline)
}

func (l *Loop) inTime(j *job, deadline time.Time) bool {
	if !deadline.After(j.lease) {
		return true
	}
	l.postpone(j, j.delivery.Reason, l.Clock.Now())
	return false
}

// seal is the outcome to be written. Lanes that hang may keep jobs for long that were handed over: without their event.
func (h *held) seal() state.Outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sealed = true
	for _, j := range h.jobs {
		if j.done || (!j.running && j.lease.IsZero()) {
			j.event = nil
		}
	}
	return h.outcome
}

// finishIfDone commits an event whose deliveries are all finished or handed over. h.mu is held.
func (l *Loop) finishIfDone(h *held) {
	if h.open > 0 || h.committed {
		return
	}
	h.committed = true
	l.finish(h)
}

func (l *Loop) finish(h *held) {
	l.heldMu.Lock()
	delete(l.held, h)
	l.heldMu.Unlock()
	l.commits.event(h)
}

// handOverLate hands over what events held for too long still owe.
func (l *Loop) handOverLate() {
	now := l.Clock.Now()
	l.handOver(now, func(h *held) bool {
		return now.Sub(h.at) >= holdFor || (!h.first.IsZero() && now.Sub(h.first) >= holdAfterFirst)
	})
}

func (l *Loop) handOver(now time.Time, late func(*held) bool) {
	l.heldMu.Lock()
	all := make([]*held, 0, len(l.held))
	for h := range l.held {
		all = append(all, h)
	}
	l.heldMu.Unlock()
	for _, h := range all {
		h.mu.Lock()
		if h.started && !h.committed && late(h) {
			for _, j := range h.jobs {
				if j.done {
					continue
				}
				d := j.delivery
				d.State, d.Reason, d.Due = state.Waiting, "queue", now
				switch {
				case j.running:
					// Leased to this holder from the start: the attempt goes on, and its own commit settles it.
					d.Reason, d.Due, d.Leased = "in flight", j.deadline.Add(leaseGrace), true
					j.lease = d.Due
				case j.gathered.After(now): // as well: else it would leave the batch that is about to go
					d.Reason, d.Due, d.Leased = reasonBatch, j.gathered.Add(j.destination.Timeout+leaseGrace), true
					j.lease = d.Due
				}
				h.outcome.Deliveries[j.slot] = d
			}
			h.committed = true
			l.finish(h)
		}
		h.mu.Unlock()
	}
}

// drain waits for running attempts within the bound, hands everything over, and gives up what still runs.
func (l *Loop) drain() {
	// What did not start yet need not start any more.
	l.handOver(l.Clock.Now(), func(h *held) bool {
		for _, j := range h.jobs {
			if !j.done && j.running {
				return false
			}
		}
		return true
	})
	l.lanes.stop()
	idle := make(chan struct{})
	go func() { l.running.Wait(); close(idle) }()
	if !l.within(l.Drain, idle) {
		l.Log.Warn("attempts still running at the end of the drain; they will be repeated", "held", l.Held())
	}
	l.handOver(l.Clock.Now(), func(*held) bool { return true })
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
