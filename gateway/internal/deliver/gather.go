package deliver

import (
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

const (
	// gatherMost bounds how long deliveries wait in memory for their batch; longer waits happen in the due-queue.
	gatherMost = 500 * time.Millisecond
	// gatherDue is the shortest wait of a batch of deliveries from the due-queue, which are claimed together.
	gatherDue = 20 * time.Millisecond
	// rateAhead is how far ahead a due batch may reserve its turn under the destination's rate.
	rateAhead = time.Second
	// batchMost bounds a batch if neither the product nor the configuration does.
	batchMost = 256
)

// group identifies deliveries that can be in one batch: those of one step.
type group struct {
	origin state.Origin
	step   string
}

// place identifies a batch that a delivery can join. Deliveries that wait for an earlier one of their record have batches of their
// own.
type place struct {
	group  group
	behind bool
}

// batch is deliveries of one step for one request. It is queued when its wait is over, the rate allows it, and all earlier batches
// with one of its records have ended. A product that takes one event at a time and has keys gets batches of one.
type batch struct {
	place place
	build connectors.Connector // all members have it
	most  int
	jobs  []*job // the first one leads; no more are added once a worker has it
	holds int
	// before counts the earlier batches with one of its records; they are part of holds.
	before int
	// behind are later batches that wait for this one.
	behind []*batch
	queued bool
	// early ends the wait before its time.
	early chan struct{}
	turn  time.Time // under the rate
}

// gathering is the state of a lane's batches. Its zero value is ready.
type gathering struct {
	open     map[place]*batch    // those that a delivery can still join
	last     map[record]*batch   // the latest unfinished one with the record
	unqueued map[*batch]struct{} // not queued yet
	// back has the records whose deliveries went back to the due-queue; backs counts those deliveries since backsSince.
	back       map[record]sentBack
	forgot     time.Time // when quiet records were last removed from back
	backs      int
	backsSince time.Time
	// Deliveries of the last round of the due-queue, and how many requests they make.
	jobs, requests int
	ratio          float64
}

// keysWork and keysBytes bound the evaluation of the keys of one event's deliveries together, because all tenants wait for it. A
// delivery beyond the bound has no key, and so no order among others of its record.
const (
	keysWork  = expression.MaxWork / 4
	keysBytes = 1 << 20
)

// keys is an event with the budget for the keys of its deliveries. Its zero value is ready.
type keys struct{ event *event.Event }

func (k *keys) budgeted(ev *event.Event) *event.Event {
	if k.event == nil {
		k.event = ev.WithBudget(&event.Budget{Work: keysWork, Bytes: keysBytes})
	}
	return k.event
}

// gathers sets the job's batch size, number of requests and key, as its connector and destination say. It calls code of the
// connector, which may panic.
func (l *Loop) gathers(j *job, keys *keys) {
	j.requests = 1
	if chained, ok := j.build.(connectors.Chained); ok {
		j.requests = max(chained.MaxRequests(), 1)
	}
	keyer, ok := j.build.(connectors.Keyer)
	if !ok {
		if j.destination.Batch.Max > 1 {
			j.most = 1 // other steps of the destination have batches
		}
		return
	}
	j.most = 1
	if batcher, ok := j.build.(connectors.Batcher); ok && !j.delivery.Alone {
		j.most = batchMost
		for _, bound := range []int{batcher.Batch().Events, j.destination.Batch.Max} {
			if bound > 0 {
				j.most = min(j.most, bound)
			}
		}
	}
	defer func() {
		if recover() != nil {
			j.key = "" // Build fails too, and its error is recorded
		}
	}()
	j.key = keyer.Key(keys.budgeted(j.event))
}

// batchWait is how long a delivery waits in memory for others to join its batch.
func batchWait(d *config.Destination) time.Duration { return min(d.Batch.Wait, gatherMost) }

// deferUntil returns when a first attempt that waits for others in the due-queue continues; zero if it does not wait there.
// All deliveries of one interval are due together.
func (j *job) deferUntil(now time.Time) (at time.Time) {
	if wait := j.destination.Batch.Wait; j.most > 1 && wait > gatherMost {
		at = now.Truncate(wait).Add(wait)
	}
	return at
}

// collect puts a delivery into a batch, or returns why it has to wait. A delivery that joins a batch needs no turn under the rate,
// as it adds no request. l.mu is held.
func (l *lane) collect(j *job, now time.Time, due bool) (reason string) {
	g := &l.gather
	if g.open == nil {
		g.open, g.last, g.unqueued = map[place]*batch{}, map[record]*batch{}, map[*batch]struct{}{}
	}
	of := record{group{j.delivery.Origin, j.delivery.Step}, j.key}
	var before *batch
	if j.key != "" {
		before = g.last[of]
		if j.back = l.goesBack(of, before != nil, now); !j.back.IsZero() {
			return reasonRecord
		}
	}
	at := place{of.group, before != nil}
	if due {
		g.jobs++
	}
	b := g.open[at]
	if b == nil || b.build != j.build || len(b.jobs) >= min(b.most, j.most) || b == before || (before != nil && b.queued) {
		if due {
			g.requests += j.requests
		}
		if b, reason = l.begin(j, at, now, due); reason != "" {
			return reason
		}
	}
	if before != nil {
		l.park(b, before)
	}
	if j.key != "" {
		g.last[of] = b
	}
	j.batch = b
	b.jobs = append(b.jobs, j)
	l.pending++
	if b.before > 0 {
		l.blockedByRecord++
	}
	switch {
	case b.queued:
	case b.holds == 0:
		l.enqueue(b)
	case len(b.jobs) == b.most && !b.turn.After(now):
		b.endWait()
	}
	if len(b.jobs) >= b.most && g.open[b.place] == b {
		delete(g.open, b.place)
	}
	return ""
}

// begin makes a new batch if the rate allows one, or returns why it has to wait. l.mu is held.
func (l *lane) begin(j *job, at place, now time.Time, due bool) (*batch, string) {
	b := &batch{place: at, build: j.build, most: j.most, turn: now}
	if l.limiter != nil {
		turn, ahead := l.limiter.ReserveN(now, l.turns(j)), time.Duration(0)
		if due {
			ahead = rateAhead
		}
		delay := turn.DelayFrom(now)
		if delay > ahead {
			turn.CancelAt(now)
			return nil, reasonRate
		}
		b.turn = now.Add(delay)
		l.owes(j, now)
	}
	wait := time.Duration(0)
	if b.most > 1 {
		if wait = batchWait(l.destination); due {
			wait = max(wait, gatherDue)
		}
	}
	if l.circuit.limit == 1 {
		wait = 0 // the first delivery after a circuit was open is alone
	}
	if wait = max(wait, b.turn.Sub(now)); wait > 0 {
		early := make(chan struct{})
		b.holds, b.early = 1, early
		alarm, stop := l.loop.Clock.After(wait)
		l.loop.running.Go(func() {
			defer stop()
			l.wait(b, alarm, early)
		})
	}
	l.gather.open[at], l.gather.unqueued[b] = b, struct{}{}
	return b, ""
}

// wait lets a batch go when its time has come, or early.
func (l *lane) wait(b *batch, alarm <-chan time.Time, early <-chan struct{}) {
	select {
	case <-alarm:
	case <-early:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unhold(b)
}

// endWait ends the wait of a batch that is full. The lane's mu is held.
func (b *batch) endWait() {
	if b.early != nil {
		close(b.early)
		b.early = nil
	}
}

// unhold removes one of the reasons why a batch is not queued. l.mu is held.
func (l *lane) unhold(b *batch) {
	if b.holds--; b.holds == 0 {
		l.enqueue(b)
	}
}

// enqueue gives a batch to the workers. It can be joined until a worker takes it. l.mu is held.
func (l *lane) enqueue(b *batch) {
	if b.queued {
		return
	}
	b.queued = true
	delete(l.gather.unqueued, b)
	l.enqueueJob(b.jobs[0])
}

// release queues every batch at a stop, so that its deliveries are handed over. l.mu is held.
func (l *lane) release() {
	for b := range l.gather.unqueued {
		b.endWait()
		l.enqueue(b)
	}
}

// dequeue closes the batch of a job that a worker begins, and returns how many deliveries it has. l.mu is held.
func (l *lane) dequeue(j *job) int {
	b := j.batch
	if b == nil {
		return 1
	}
	if l.gather.open[b.place] == b {
		delete(l.gather.open, b.place)
	}
	for b.before > 0 { // the gateway stops
		l.unpark(b)
	}
	return len(b.jobs)
}

// ended counts a job out, and queues later batches with the same records.
func (l *lane) ended(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := j.batch
	if b == nil {
		l.inFlight--
		return
	}
	l.inFlight -= len(b.jobs)
	for _, j := range b.jobs {
		of := record{b.place.group, j.key}
		if l.gather.last[of] == b {
			delete(l.gather.last, of)
		}
	}
	for _, next := range b.behind {
		l.unpark(next)
		l.unhold(next)
	}
}

// turns returns how many requests of the rate a delivery, or its batch, takes before it begins. l.mu is held.
func (l *lane) turns(j *job) int { return min(j.requests, l.limiter.Burst()) }

// owes reserves the rest of a chain of requests that is longer than the rate allows at once; later deliveries wait for it. l.mu is
// held.
func (l *lane) owes(j *job, now time.Time) {
	for rest := j.requests - l.turns(j); rest > 0; rest -= l.limiter.Burst() {
		l.limiter.ReserveN(now, min(rest, l.limiter.Burst()))
	}
}

// anotherTurn reserves a second request for a batch that was too large for one.
func (l *lane) anotherTurn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limiter != nil {
		l.limiter.ReserveN(l.loop.Clock.Now(), 1)
	}
}

// underRate returns how many due deliveries to claim if the rate allows so many requests: twice as many per request as in the last
// round, so that the number grows while they share requests, and few go back if they do not. l.mu is held.
func (l *lane) underRate(requests int) int {
	most := l.destination.Batch.Max
	if most <= 1 || requests <= 0 {
		return requests
	}
	g := &l.gather
	if g.requests > 0 {
		g.ratio = float64(g.jobs) / float64(g.requests)
		g.jobs, g.requests = 0, 0
	}
	if g.ratio == 0 {
		return requests * most
	}
	return max(1, min(int(2*g.ratio*float64(requests)), requests*most))
}

// unit returns the jobs of one attempt: those of the batch, or the job alone.
func (j *job) unit() []*job {
	if j.batch != nil {
		return j.batch.jobs
	}
	j.self[0] = j
	return j.self[:]
}
