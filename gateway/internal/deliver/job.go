package deliver

import (
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// job is this process's work on one delivery.
type job struct {
	// delivery is what the store has of it, or will have: its worker alone changes it, once, when the job ends.
	delivery    state.Delivery
	event       *event.Event
	build       connectors.Connector
	destination *config.Destination
	once        string    // the key of `once` that it reserves; empty without `once`
	onceOwner   string    // id of the event that reserved once before this one; empty: none did
	sets        []string  // the settings that the step writes itself
	atDue       *atDue    // what is asked when it is due, and what came of it; nil for all others
	maxBatch    int       // how many may be in one batch with it; 0 where the product has neither batches nor keys
	key         string    // of the record that it changes
	sharesKey   bool      // other steps change the record too
	requests    int       // how many requests its attempt may make
	batch       *batch    // under lane.mu until a worker has it; nil for one alone
	requeueAt   time.Time // when it is due again, if it went back to the due-queue because of earlier ones of its record; else zero
	self        [1]*job
	refusals    *refusals // set once a batch that it was in was refused because of some of its deliveries

	// claim is the event whose first attempt this is; nil for a delivery from the due-queue, which one goroutine has at a time.
	claim        *claim
	progress     progress  // under claim.mu
	batchReadyAt time.Time // when the batch that it waits in is complete; set before it is queued
	deadline     time.Time // of the running attempt; under claim.mu
	lease        time.Time // until when it is this process's, once it is leased; under claim.mu

	epoch uint64 // of the lane's circuit when a worker took it; under lane.mu
	// pace is the lane's when a worker took it, nil without a rate. places is how many requests beyond the first its attempt
	// has reserved there.
	pace   *pace
	places int
}

// atDue belongs to a delivery of which something is asked when it is due: the response as a whole, or a guardrail.
type atDue struct {
	rule *config.Rule
	step *config.Step
	// receipt names what was told before, which this delivery changes, or with retract marks as no longer so; empty: neither.
	receipt string
	retract bool
	// note is its reason once it is delivered.
	note string
	// unused are the deliveries of earlier events of its response that told nothing, whose reservations it takes over; busy reports that
	// one of them is being made.
	unused []string
	busy   bool
	// digest is sent in place of the event: one message about many; nil: the event is.
	digest *connectors.Digest
}

func newAtDue(o *decide.Owed) *atDue {
	if o.AtDue == nil {
		return nil
	}
	return &atDue{rule: o.AtDue, step: o.Step}
}

// changes reports whether the delivery changes what was told before.
func (j *job) changes() bool { return j.atDue != nil && j.atDue.receipt != "" }

// deliveredAs returns the reason of the delivery once it is delivered; empty for almost all.
func (j *job) deliveredAs() string {
	if j.atDue == nil {
		return ""
	}
	return j.atDue.note
}

// result is what the store is to have of the delivery when its event is committed. claim.mu is held.
func (j *job) result() state.Delivery {
	d := j.delivery
	switch j.progress {
	case leased:
		d.State, d.Reason, d.Due, d.Leased = state.Waiting, reasonBatch, j.lease, true
		if !j.deadline.IsZero() {
			d.Reason = reasonInFlight
		}
	case released:
		d.State, d.Reason, d.Due = state.Waiting, reasonHandedOver, j.claim.handedOver
	default:
	}
	return d
}

// begin marks an attempt as running. It returns false when the delivery was handed over before it could begin, or waited too
// long for its turn: another process may have it by the time the attempt ends.
func (l *Loop) begin(j *job, deadline time.Time) bool {
	until, ok := j.begin(deadline)
	if ok && !until.IsZero() && deadline.After(until) {
		l.postpone(j, j.current().Reason, l.Clock.Now())
		return false
	}
	return ok
}

// begin also returns until when the delivery is leased; zero where it is not.
func (j *job) begin(deadline time.Time) (until time.Time, ok bool) {
	if c := j.claim; c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	if !j.move(toBegin) {
		return until, false
	}
	if j.progress == leased {
		return j.lease, true
	}
	j.deadline = deadline
	return until, true
}

// ended reports whether the delivery is not this process's any more.
func (j *job) ended() bool {
	if c := j.claim; c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	return j.progress == released || j.progress == done
}

// postpone ends a job whose delivery was not tried: it goes to the due-queue, and no attempt is counted. What a hold keeps
// back is due all the same: it goes on as soon as the hold ends, also where that is sooner than expected.
func (l *Loop) postpone(j *job, reason string, due time.Time) {
	d := j.current()
	d.State, d.Reason, d.Due = state.Waiting, reason, due
	l.end(j, d, nil, false)
}

// settle ends a job with the result of its attempt, or of a delivery that needed none. Free is a key of `once` to give back.
func (l *Loop) settle(j *job, d state.Delivery, free string) {
	var keys []string
	if free != "" {
		keys = []string{free}
	}
	l.end(j, d, keys, true)
}

// end records what becomes of a delivery. Tried says that it is more than a postponement.
func (l *Loop) end(j *job, d state.Delivery, free []string, tried bool) {
	c := j.claim
	if c == nil {
		if !j.move(toEnd) {
			return // ended already
		}
		l.commits.addDue(settlement{state.Settled{Delivery: d, Lease: j.lease, Free: free}, arrival{j.event.Received, j.event.Type}})
		l.due.Add(-1)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !j.move(toEnd) {
		return // released: it is another process's
	}
	if c.phase == phaseSealed { // it was leased: its event is committed, or about to be
		l.commits.addDue(settlement{state.Settled{Delivery: d, Lease: j.lease, Free: free}, c.arrival})
		return
	}
	// Also where it was leased meanwhile: committed as still waiting, it could be due before its end is committed.
	j.delivery = d
	c.outcome.Free = append(c.outcome.Free, free...)
	if c.phase == phaseClosed {
		return
	}
	c.unfinished--
	if tried && c.firstEnded.IsZero() {
		c.firstEnded = l.Clock.Now()
	}
	l.closeIfDone(c)
}
