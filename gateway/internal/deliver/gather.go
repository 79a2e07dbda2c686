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
	// maxMemoryWait bounds how long deliveries wait in memory for their batch; longer waits happen in the due-queue.
	maxMemoryWait = 500 * time.Millisecond
	// minDueWait is the shortest wait of a batch of deliveries from the due-queue, which are claimed together.
	minDueWait = 20 * time.Millisecond
	// rateAhead is how far ahead a due batch may reserve its turn under the destination's rate.
	rateAhead = time.Second
	// defaultMaxBatch bounds a batch if neither the product nor the configuration does.
	defaultMaxBatch = 256
)

// group identifies deliveries that can be in one batch: those of one step.
type group struct {
	origin state.Origin
	step   string
}

// batchKey identifies a batch that a delivery can join. Deliveries that wait for an earlier one of their record have batches of their
// own, and so have those that were in a refused batch of the same size.
type batchKey struct {
	group    group
	blocked  bool
	maxBatch int // state.Delivery.MaxBatch
}

// batch is deliveries of one step for one request. It is queued when its wait is over, the rate allows it, and all earlier batches
// with one of its records have ended. A product that takes one event at a time and has keys gets batches of one.
type batch struct {
	key     batchKey
	build   connectors.Connector // all members have it
	maxJobs int
	jobs    []*job // the first one leads; no more are added once a worker has it
	// obstacles counts the reasons why it is not queued: its wait, and each of its blockers.
	obstacles int
	// blockers counts the earlier batches with one of its records.
	blockers int
	// waiters are later batches that wait for this one.
	waiters []*batch
	queued  bool
	// early ends the wait before its time.
	early     chan struct{}
	allowedAt time.Time // under the rate
}

// gathering is the state of a lane's batches. Its zero value is ready.
type gathering struct {
	open     map[batchKey]*batch // those that a delivery can still join
	last     map[record]*batch   // the latest unfinished one with the record
	unqueued map[*batch]struct{} // not queued yet
	// sentBack has the records whose deliveries went back to the due-queue; sentBackCount counts those deliveries since
	// sentBackSince.
	sentBack       map[record]sentBack
	quietDroppedAt time.Time // when quiet records were last removed from sentBack
	sentBackCount  int
	sentBackSince  time.Time
	// Deliveries of the last round of the due-queue, and how many requests they make.
	dueJobs, dueRequests int
	jobsPerRequest       float64
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

// setBatching sets the job's batch size, number of requests and key, as its connector and destination say. It calls code of the
// connector, which may panic.
func (l *Loop) setBatching(j *job, keys *keys) {
	j.requests = 1
	_, j.sharesKey = j.build.(connectors.SharedKeyer)
	if chained, ok := j.build.(connectors.Chained); ok {
		j.requests = max(chained.MaxRequests(), 1)
	}
	if j.changes() {
		j.requests = min(j.requests+1, chainSteps) // what it changes may be gone, and is then told anew
	}
	keyer, ok := j.build.(connectors.Keyer)
	if !ok {
		if j.destination.Batch.Max > 1 {
			j.maxBatch = 1 // other steps of the destination have batches
		}
		return
	}
	j.maxBatch = 1
	if batcher, ok := j.build.(connectors.Batcher); ok {
		j.maxBatch = defaultMaxBatch
		for _, bound := range []int{batcher.Batch().Events, j.destination.Batch.Max, j.delivery.MaxBatch} {
			if bound > 0 {
				j.maxBatch = min(j.maxBatch, bound)
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
func batchWait(d *config.Destination) time.Duration { return min(d.Batch.Wait, maxMemoryWait) }

// deferUntil returns when a first attempt that waits for others in the due-queue continues; zero if it does not wait there.
// All deliveries of one interval are due together.
func (j *job) deferUntil(now time.Time) (at time.Time) {
	if wait := j.destination.Batch.Wait; j.maxBatch > 1 && wait > maxMemoryWait {
		at = now.Truncate(wait).Add(wait)
	}
	return at
}

// collect puts a delivery into a batch, or returns why it has to wait. A delivery that joins a batch reserves nothing of the rate,
// as it adds no request. l.mu is held.
func (l *lane) collect(j *job, now time.Time, due bool) (reason string) {
	g := &l.gather
	if g.open == nil {
		g.open, g.last, g.unqueued = map[batchKey]*batch{}, map[record]*batch{}, map[*batch]struct{}{}
	}
	of := j.record()
	var before *batch
	if j.key != "" {
		before = g.last[of]
		if j.requeueAt = l.sendBackUntil(of, before != nil, now); !j.requeueAt.IsZero() {
			return reasonRecord
		}
	}
	at := batchKey{of.group, before != nil, j.delivery.MaxBatch}
	if due {
		g.dueJobs++
	}
	b := g.open[at]
	if b == nil || b.build != j.build || len(b.jobs) >= min(b.maxJobs, j.maxBatch) || b == before || (before != nil && b.queued) {
		if due {
			g.dueRequests += j.requests
		}
		if b, reason = l.newBatch(j, at, now, due); reason != "" {
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
	if b.blockers > 0 {
		l.blockedByRecord++
	}
	switch {
	case b.queued:
	case b.obstacles == 0:
		l.enqueue(b)
	case len(b.jobs) == b.maxJobs && !b.allowedAt.After(now):
		b.endWait()
	}
	if len(b.jobs) >= b.maxJobs && g.open[b.key] == b {
		delete(g.open, b.key)
	}
	return ""
}

// newBatch makes a batch if the rate allows one, or returns why it has to wait. l.mu is held.
func (l *lane) newBatch(j *job, at batchKey, now time.Time, due bool) (*batch, string) {
	b := &batch{key: at, build: j.build, maxJobs: j.maxBatch, allowedAt: now}
	if l.limiter != nil {
		turn, ahead := l.limiter.ReserveN(now, l.rateCost(j)), time.Duration(0)
		if due {
			ahead = rateAhead
		}
		delay := turn.DelayFrom(now)
		if delay > ahead {
			turn.CancelAt(now)
			return nil, reasonRate
		}
		b.allowedAt = now.Add(delay)
		l.reserveChain(j, now)
	}
	wait := time.Duration(0)
	if b.maxJobs > 1 {
		if wait = batchWait(l.destination); due {
			wait = max(wait, minDueWait)
		}
	}
	if l.circuit.limit == 1 {
		wait = 0 // the first delivery after a circuit was open is alone
	}
	if wait = max(wait, b.allowedAt.Sub(now)); wait > 0 {
		early := make(chan struct{})
		b.obstacles, b.early = 1, early
		alarm, stop := l.loop.Clock.After(wait)
		l.loop.running.Go(func() {
			defer stop()
			l.wait(b, alarm, early)
		})
	}
	l.gather.open[at], l.gather.unqueued[b] = b, struct{}{}
	return b, ""
}

// wait ends the wait of a batch when alarm or early fires.
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
	if b.obstacles--; b.obstacles == 0 {
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

// queueAllBatches queues every batch at a stop, so that its deliveries are handed over. l.mu is held.
func (l *lane) queueAllBatches() {
	for b := range l.gather.unqueued {
		b.endWait()
		l.enqueue(b)
	}
}

// closeBatch closes the batch of a job that a worker begins, and returns how many deliveries it has. l.mu is held.
func (l *lane) closeBatch(j *job) int {
	b := j.batch
	if b == nil {
		return 1
	}
	if l.gather.open[b.key] == b {
		delete(l.gather.open, b.key)
	}
	for b.blockers > 0 { // the gateway stops
		l.unpark(b)
	}
	return len(b.jobs)
}

// finish removes a job from inFlight, and queues later batches with the same records.
func (l *lane) finish(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := j.batch
	if b == nil {
		l.inFlight--
		return
	}
	l.inFlight -= len(b.jobs)
	for _, j := range b.jobs {
		of := record{b.key.group, j.key}
		if l.gather.last[of] == b {
			delete(l.gather.last, of)
		}
	}
	for _, next := range b.waiters {
		l.unpark(next)
		l.unhold(next)
	}
}

// rateCost returns how many requests of the rate a delivery, or its batch, reserves before it begins. l.mu is held.
func (l *lane) rateCost(j *job) int { return min(j.requests, l.limiter.Burst()) }

// reserveChain reserves the rest of a chain of requests that is longer than the rate allows at once; later deliveries wait for it. l.mu is
// held.
func (l *lane) reserveChain(j *job, now time.Time) {
	for rest := j.requests - l.rateCost(j); rest > 0; rest -= l.limiter.Burst() {
		l.limiter.ReserveN(now, min(rest, l.limiter.Burst()))
	}
}

// reserveRequest reserves one more request for a batch that needs several.
func (l *lane) reserveRequest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limiter != nil {
		l.limiter.ReserveN(l.loop.Clock.Now(), 1)
	}
}

// dueUnderRate returns how many due deliveries to claim if the rate allows the given number of requests: twice as many per request as in the last
// round, so that the number grows while they share requests, and few go back if they do not. l.mu is held.
func (l *lane) dueUnderRate(requests int) int {
	most := l.destination.Batch.Max
	if most <= 1 || requests <= 0 {
		return requests
	}
	g := &l.gather
	if g.dueRequests > 0 {
		g.jobsPerRequest = float64(g.dueJobs) / float64(g.dueRequests)
		g.dueJobs, g.dueRequests = 0, 0
	}
	if g.jobsPerRequest == 0 {
		return requests * most
	}
	return max(1, min(int(2*g.jobsPerRequest*float64(requests)), requests*most))
}

// members returns the jobs of one attempt: those of the batch, or the job alone.
func (j *job) members() []*job {
	if j.batch != nil {
		return j.batch.jobs
	}
	j.self[0] = j
	return j.self[:]
}
