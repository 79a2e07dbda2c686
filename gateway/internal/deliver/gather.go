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
	// gatherMost is how long deliveries gather in memory; those that may wait longer do it in the due-queue.
	gatherMost = 500 * time.Millisecond
	// gatherDue is how long those gather at least that were claimed together from the due-queue.
	gatherDue = 20 * time.Millisecond
	// rateAhead is how far ahead a due batch may reserve its turn under the destination's rate.
	rateAhead = time.Second
	// batchMost bounds a batch where neither the product nor the configuration does.
	batchMost = 256
)

// group is what may stand in one batch: deliveries of one step.
type group struct {
	origin state.Origin
	step   string
}

// place is where a delivery may join a batch. Those that wait for an earlier one of their record gather apart from
// those that need not.
type place struct {
	group  group
	behind bool
}

// batch is deliveries of one step that one request tells of. It is queued as soon as nothing holds it back any more:
// its time, its turn under the rate, and earlier batches with a record that it has too. A product that takes one
// event at a time and has keys gets batches of one.
type batch struct {
	place place
	build connectors.Connector // all members have it
	most  int
	jobs  []*job // the first one leads; no more are added once a worker has it
	holds int
	// before is how many of holds are earlier batches with a record that it has too.
	before int
	// behind are later batches that wait for the end of this one.
	behind []*batch
	queued bool
	// early ends the wait before its time.
	early chan struct{}
	turn  time.Time // under the rate
}

// gathering is what a lane knows of its batches. Its zero value is ready.
type gathering struct {
	open     map[place]*batch    // that a delivery may still join
	last     map[record]*batch   // the latest unfinished one with the record
	unqueued map[*batch]struct{} // not queued yet
	// back are the records of which deliveries went back to the due-queue; backs are all of those since then.
	back       map[record]sentBack
	forgot     time.Time // when those of back were taken out that were quiet
	backs      int
	backsSince time.Time
	// What the last round of the due-queue came to: deliveries, and the requests they make.
	jobs, requests int
	ratio          float64
}

// keysWork and keysBytes bound what the keys of one event's deliveries take together, whose expressions are evaluated
// where those of all tenants wait. One that takes more is nobody's: it keeps no order with others of its record.
const (
	keysWork  = expression.MaxWork / 4
	keysBytes = 1 << 20
)

// keys are the event that the keys of its deliveries are made from, within their budget. Its zero value is ready.
type keys struct{ event *event.Event }

func (k *keys) budgeted(ev *event.Event) *event.Event {
	if k.event == nil {
		k.event = ev.WithBudget(&event.Budget{Work: keysWork, Bytes: keysBytes})
	}
	return k.event
}

// gathers reads what the connector and its destination say of batches. Key is the connector's code.
func (l *Loop) gathers(j *job, keys *keys) {
	j.requests = 1
	if chained, ok := j.build.(connectors.Chained); ok {
		j.requests = max(chained.MaxRequests(), 1)
	}
	keyer, ok := j.build.(connectors.Keyer)
	if !ok {
		if j.destination.Batch.Max > 1 {
			j.most = 1 // beside others that gather; the due-queue is asked for all of them
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
			j.key = "" // Build fails as well, and is heard there
		}
	}()
	j.key = keyer.Key(keys.budgeted(j.event))
}

// batchWait is how long a delivery waits in memory for others to join its batch.
func batchWait(d *config.Destination) time.Duration { return min(d.Batch.Wait, gatherMost) }

// deferUntil returns when a first attempt that waits for others in the due-queue continues; zero if it does not wait there.
// All of one span are due together.
func (j *job) deferUntil(now time.Time) (at time.Time) {
	if wait := j.destination.Batch.Wait; j.most > 1 && wait > gatherMost {
		at = now.Truncate(wait).Add(wait)
	}
	return at
}

// collect puts a delivery into a batch, or says why it has to wait. Who joins one needs no turn under the rate: it is
// one request. l.mu is held.
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

// begin is a new batch, where the rate has a turn for it. l.mu is held.
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
		wait = 0 // nobody joins: the first one after a circuit was open is alone
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

// unhold takes one of the reasons away for which a batch is not queued. l.mu is held.
func (l *lane) unhold(b *batch) {
	if b.holds--; b.holds == 0 {
		l.enqueue(b)
	}
}

// enqueue gives a batch to the workers; it can still be joined until one has it. l.mu is held.
func (l *lane) enqueue(b *batch) {
	if b.queued {
		return
	}
	b.queued = true
	delete(l.gather.unqueued, b)
	l.enqueueJob(b.jobs[0])
}

// release lets every batch go whatever holds it: the gateway stops, and they are handed back. l.mu is held.
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

// ended makes room for what comes next, and lets later batches with the same records go.
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

// turns are what a delivery, or its batch, takes of the rate before it begins. l.mu is held.
func (l *lane) turns(j *job) int { return min(j.requests, l.limiter.Burst()) }

// owes books the rest of a chain that is longer than what the rate allows at once: the next ones wait for it. l.mu is
// held.
func (l *lane) owes(j *job, now time.Time) {
	for rest := j.requests - l.turns(j); rest > 0; rest -= l.limiter.Burst() {
		l.limiter.ReserveN(now, min(rest, l.limiter.Burst()))
	}
}

// anotherTurn is booked for a batch that needs a second request, because it was too large for one.
func (l *lane) anotherTurn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limiter != nil {
		l.limiter.ReserveN(l.loop.Clock.Now(), 1)
	}
}

// underRate is how many due deliveries are asked for where the rate allows so many requests: twice what they told of in
// the last round, so that it grows as long as they go together, and few have to go back where they do not. l.mu is
// held.
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

// unit is everything that goes with a job: its batch, or itself alone.
func (j *job) unit() []*job {
	if j.batch != nil {
		return j.batch.jobs
	}
	j.self[0] = j
	return j.self[:]
}
