package deliver

import (
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// laneQueue bounds the first attempts that wait in memory for one destination; more go to the due-queue.
	laneQueue = 512
	// laneBatched bounds the due deliveries that a destination with batches has in memory, so that it leaves capacity for other
	// destinations. It is enough for full requests one after the other.
	laneBatched = 256
)

// Reasons why a delivery waits, as people read them.
const (
	reasonQueue      = "queue full"
	reasonHandedOver = "queue"
	reasonInFlight   = "in flight"
	reasonRate       = "rate limit"
	reasonCircuit    = "circuit open"
	reasonHalfOpen   = "circuit half open"
	reasonBacklog    = "behind what already waits"
	reasonDisabled   = "disabled in the configuration"
	reasonStopping   = "gateway stopping"
	reasonBatch      = "gathering a batch"
	reasonRecord     = "behind others of its record"
	reasonReloaded   = "the configuration changed"
)

type laneKey struct{ tenant, name string }

// lane is one destination's queue, with what limits it. A destination that fails fills only its own queue.
type lane struct {
	loop *Loop
	key  laneKey

	mu              sync.Mutex // guards what follows, up to writing, and the circuit
	destination     *config.Destination
	queue           []*job // from head on; of a batch, the one that leads it
	head            int
	pending         int // deliveries that no worker has yet: queued ones, and those of gathering batches
	blockedByRecord int // of them, those of batches that wait for an earlier one with their record
	inFlight        int // deliveries that workers have
	workers         int
	gather          gathering
	limiter         *rate.Limiter // of deliveries that enter the queue; nil without a rate
	pace            *pace         // of requests that begin; nil without a rate
	hold            state.Hold    // zero: none
	changes         uint64        // how often the lane itself changed hold, so that a refresh does not overwrite a newer one
	unwritten       bool          // the store does not know hold yet
	circuit         circuit
	backlog         bool // deliveries that exceeded a limit wait in the due-queue; new ones go behind them
	wantsMore       bool // the due-queue had more than the lane could take
	stopped         bool
	removed         bool // it is no longer in lanes: the next delivery makes another lane

	writing sync.Mutex // of hold into the store, one change after the other
}

// lanes has one lane per destination. A lane is made at its first use, and removed when no configuration has its destination and
// nothing is left in it.
type lanes struct {
	loop       *Loop
	mu         sync.RWMutex // guards byKey, ofTenant, backlogged and stopped
	byKey      map[laneKey]*lane
	ofTenant   map[string]map[string]*lane // the same by tenant and name
	backlogged map[*lane]struct{}          // those with a backlog
	halt       chan struct{}               // closed by stop
	stopped    bool
}

func (ls *lanes) forJob(j *job) *lane {
	l := ls.get(laneKey{j.delivery.Tenant, j.delivery.Destination})
	l.configure(j.destination)
	return l
}

// find returns a destination's lane; nil if it was not used yet.
func (ls *lanes) find(key laneKey) *lane {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return ls.byKey[key]
}

func (ls *lanes) get(key laneKey) *lane {
	l := ls.find(key)
	if l != nil {
		return l
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l = ls.byKey[key]; l == nil {
		l = &lane{loop: ls.loop, key: key, stopped: ls.stopped}
		ls.byKey[key] = l
		if ls.ofTenant[key.tenant] == nil {
			ls.ofTenant[key.tenant] = map[string]*lane{}
		}
		ls.ofTenant[key.tenant][key.name] = l
	}
	return l
}

// of returns the lanes of some tenants, each once; without any, those of all.
func (ls *lanes) of(tenants ...string) (all []*lane) {
	if len(tenants) == 0 {
		return ls.all()
	}
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	for _, tenant := range slices.Compact(slices.Sorted(slices.Values(tenants))) {
		all = slices.AppendSeq(all, maps.Values(ls.ofTenant[tenant]))
	}
	return all
}

// follow makes lanes obey the settings of a plan.
func (ls *lanes) follow(plan *decide.Plan, lanes []*lane) {
	for _, l := range lanes {
		if d := plan.Destination(l.key.tenant, l.key.name); d != nil {
			l.configure(d)
		}
	}
}

func (ls *lanes) all() []*lane {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	all := make([]*lane, 0, len(ls.byKey))
	for _, l := range ls.byKey {
		all = append(all, l)
	}
	return all
}

func (ls *lanes) withBacklog() []*lane {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return slices.Collect(maps.Keys(ls.backlogged))
}

// removeUnused removes those of some lanes whose destination the plan does not have, once they are empty and not on hold.
func (ls *lanes) removeUnused(plan *decide.Plan, lanes []*lane, now time.Time) {
	for _, l := range lanes {
		if plan.Destination(l.key.tenant, l.key.name) != nil {
			continue
		}
		l.mu.Lock()
		if l.unused(now) {
			l.removed = true
			ls.delete(l)
		}
		l.mu.Unlock()
	}
}

func (ls *lanes) delete(l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.byKey[l.key] != l {
		return
	}
	delete(ls.byKey, l.key)
	if of := ls.ofTenant[l.key.tenant]; len(of) > 1 {
		delete(of, l.key.name)
	} else {
		delete(ls.ofTenant, l.key.tenant)
	}
}

// unused reports whether nothing is in the lane, and the store knows all of it. l.mu is held.
func (l *lane) unused(now time.Time) bool {
	onHold := l.hold.Kind != "" && (l.hold.Until.IsZero() || l.hold.Until.After(now))
	return !onHold && !l.unwritten && !l.backlog && l.pending == 0 && l.inFlight == 0 && l.workers == 0 && l.queued() == 0 &&
		len(l.gather.open) == 0 && len(l.gather.last) == 0 && len(l.gather.unqueued) == 0
}

// stop lets running attempts go on and starts no new ones.
func (ls *lanes) stop() {
	ls.mu.Lock()
	if !ls.stopped {
		ls.stopped = true
		close(ls.halt)
	}
	ls.mu.Unlock()
	for _, l := range ls.all() {
		l.mu.Lock()
		l.stopped = true
		l.queueAllBatches()
		l.mu.Unlock()
	}
}

// configure takes over the destination's settings when the configuration changed.
func (l *lane) configure(d *config.Destination) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.destination == d {
		return
	}
	l.destination = d
	if d.Rate.Events <= 0 {
		l.limiter, l.pace = nil, nil
		return
	}
	if l.pace == nil || l.pace.limit != d.Rate.Events || l.pace.window != d.Rate.Per {
		l.pace = newPace(d.Rate.Events, d.Rate.Per)
	}
	limit := rate.Limit(float64(d.Rate.Events) / d.Rate.Per.Seconds())
	burst := max(1, int(float64(limit))) // a second's worth
	if l.limiter == nil || l.limiter.Limit() != limit || l.limiter.Burst() != burst {
		l.limiter = rate.NewLimiter(limit, burst)
	}
}

// blocked returns why no attempt may start now, and until when if time ends it; "" if attempts may start. l.mu is held.
func (l *lane) blocked(now time.Time) (reason string, until time.Time) {
	switch {
	case l.destination.Broken:
		return decide.BrokenDestination, until
	case !l.destination.Enabled:
		return reasonDisabled, until
	}
	return l.held(now)
}

// held is blocked without the settings of the destination. l.mu is held.
func (l *lane) held(now time.Time) (reason string, until time.Time) {
	switch {
	case l.hold.Kind == "":
		return "", until
	case l.hold.Until.IsZero():
		return string(l.hold.Kind) + ": " + l.hold.Reason, until
	case l.hold.Until.After(now):
		reason = reasonRate
		if l.hold.Kind == state.HoldCircuit {
			reason = reasonCircuit
		}
		return reason, l.hold.Until
	}
	return "", until
}

// push queues a first attempt, or returns why it has to wait.
func (l *lane) push(j *job, now time.Time) (reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason = l.refuses(now); reason != "" {
		return reason
	}
	if l.backlog {
		return reasonBacklog
	}
	if l.circuit.limit > 0 && l.busy() >= l.maxBusy() {
		l.fallBehind()
		return reasonHalfOpen
	}
	if l.pending-l.blockedByRecord >= laneQueue {
		l.fallBehind()
		return reasonQueue
	}
	if j.maxBatch > 0 {
		if reason = l.collect(j, now, false); reason != "" && j.requeueAt.IsZero() {
			l.fallBehind()
		}
		return reason
	}
	if l.limiter != nil {
		if !l.limiter.AllowN(now, l.rateCost(j)) {
			l.fallBehind()
			return reasonRate
		}
		l.reserveChain(j, now)
	}
	l.pending++
	l.enqueueJob(j)
	return ""
}

// expect counts deliveries that the lane will get, or with a negative number those that it has got or will not get.
func (l *lane) expect(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending += n
	if n < 0 && l.wantsMore && l.busy() < l.maxBusy() {
		l.wantsMore = false
		l.loop.wakeDue()
	}
}

// pushDue queues a delivery claimed from the due-queue, or returns why it has to wait. It was claimed within the capacity of the
// lane, so only a later change refuses it, or more batches than expected.
func (l *lane) pushDue(j *job, now time.Time) (reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason = l.refuses(now); reason != "" {
		return reason
	}
	if j.maxBatch > 0 {
		return l.collect(j, now, true)
	}
	if l.limiter != nil {
		l.limiter.ReserveN(now, l.rateCost(j)) // may go below zero; the next deliveries wait for it
		l.reserveChain(j, now)
	}
	l.pending++
	l.enqueueJob(j)
	return ""
}

// refuses returns why the lane takes no delivery now. l.mu is held.
func (l *lane) refuses(now time.Time) (reason string) {
	switch {
	case l.stopped:
		return reasonStopping
	case l.removed:
		return reasonReloaded
	}
	reason, _ = l.blocked(now)
	return reason
}

// enqueueJob appends a job to the queue, and adds a worker if the lane may have one. l.mu is held.
func (l *lane) enqueueJob(j *job) {
	if l.head > 64 && l.head*2 > len(l.queue) {
		l.queue, l.head = slices.Delete(l.queue, 0, l.head), 0
	}
	l.queue = append(l.queue, j)
	l.addWorkers(1)
}

// addWorkers adds at most n workers, up to the limit of the lane. l.mu is held.
func (l *lane) addWorkers(n int) {
	for n = min(n, l.atOnce()-l.workers); n > 0; n-- {
		l.workers++
		l.loop.running.Go(l.work)
	}
}

// atOnce is how many requests may run at once now. l.mu is held.
func (l *lane) atOnce() int { return l.circuit.atOnce(l.concurrency()) }

// concurrency is at least 1, also of a destination that is Broken: workers hand back what was queued before. l.mu is held.
func (l *lane) concurrency() int { return max(l.destination.Concurrency, 1) }

// busy returns how many deliveries the lane has in memory, without those that wait for an earlier one of their record. l.mu is held.
func (l *lane) busy() int { return l.pending - l.blockedByRecord + l.inFlight }

func (l *lane) queued() int { return len(l.queue) - l.head }

// maxBusy is the bound of busy: about what the workers finish soon. After a circuit was open, the first delivery is alone. l.mu is held.
func (l *lane) maxBusy() int {
	if l.circuit.limit == 1 {
		return 1
	}
	most := 2 * l.atOnce()
	return max(most, min(most*l.destination.Batch.Max, laneBatched))
}

// dueCapacity returns how many due deliveries the lane takes now. again is when to ask again; it is zero if time alone changes
// nothing, since a worker that runs out of work wakes the due-queue.
func (l *lane) dueCapacity(now time.Time) (n int, again time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.destination == nil {
		return 0, again
	}
	if reason, until := l.blocked(now); reason != "" {
		return 0, until
	}
	if n = l.maxBusy() - l.busy(); n <= 0 {
		l.wantsMore = true
		return 0, again
	}
	if again = l.claimAgainAt(now); !again.IsZero() {
		return 0, again
	}
	if l.limiter != nil {
		tokens := l.limiter.TokensAt(now)
		if n = min(n, l.dueUnderRate(int(tokens))); n <= 0 {
			return 0, now.Add(time.Duration((1 - tokens) / float64(l.limiter.Limit()) * float64(time.Second)))
		}
	}
	return n, again
}

// fallBehind sends new deliveries behind those that wait in the due-queue. l.mu is held.
func (l *lane) fallBehind() {
	if l.backlog {
		return
	}
	l.backlog = true
	l.loop.lanes.mu.Lock()
	l.loop.lanes.backlogged[l] = struct{}{}
	l.loop.lanes.mu.Unlock()
}

// caughtUp is called when the due-queue had less for the lane than it could take: its backlog is gone, unless the lane is blocked.
func (l *lane) caughtUp(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.backlog {
		return
	}
	reason, _ := l.held(now)
	// A destination that was removed while it was disabled or Broken has no settings any more: its lane must not wait for others.
	if reason == "" && l.loop.Plan().Destination(l.key.tenant, l.key.name) != nil {
		reason, _ = l.blocked(now)
	}
	if reason != "" {
		return
	}
	l.backlog = false
	l.loop.lanes.mu.Lock()
	delete(l.loop.lanes.backlogged, l)
	l.loop.lanes.mu.Unlock()
}

// next returns the next job, and why it has to wait if the lane was blocked meanwhile; nil if the worker is no longer needed.
func (l *lane) next() (j *job, reason string) {
	now := l.loop.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wantsMore && l.busy() < l.maxBusy() {
		l.wantsMore = false
		l.loop.wakeDue()
	}
	if l.queued() == 0 || l.workers > l.atOnce() {
		l.workers--
		return nil, ""
	}
	j = l.queue[l.head]
	l.queue[l.head] = nil
	l.head++
	n := l.closeBatch(j)
	l.pending -= n
	l.inFlight += n
	if l.stopped {
		return j, reasonStopping
	}
	if reason, _ = l.blocked(now); reason != "" {
		l.fallBehind()
		return j, reason
	}
	j.epoch, j.pace = l.circuit.epoch, l.pace
	return j, ""
}

// work runs until the queue is empty; idle destinations have no goroutine.
func (l *lane) work() {
	for {
		j, reason := l.next()
		if j == nil {
			return
		}
		var due time.Time
		if reason == "" && j.pace != nil {
			reason, due = l.await(j)
		}
		if reason != "" {
			for _, j := range j.members() {
				l.loop.postpone(j, reason, maxTime(l.loop.Clock.Now(), due))
			}
		} else {
			l.loop.attempt(l, j)
		}
		l.finish(j)
	}
}
