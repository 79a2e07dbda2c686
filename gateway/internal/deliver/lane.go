package deliver

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// laneQueue bounds the first attempts that wait in memory for one destination; more go to the due-queue.
	laneQueue = 512
	// circuitAfter is how many `retry` in a row open a circuit; it opens for circuitFirst, doubling to circuitMost.
	circuitAfter = 10
	circuitFirst = 10 * time.Second
	circuitMost  = 10 * time.Minute
)

// Reasons why a delivery waits, as people read them.
const (
	reasonQueue    = "queue full"
	reasonRate     = "rate limit"
	reasonCircuit  = "circuit open"
	reasonBacklog  = "behind what already waits"
	reasonDisabled = "disabled in the configuration"
	reasonStopping = "gateway stopping"
)

type laneKey struct{ tenant, name string }

// lane is one destination's queue, with what limits it. A sick one fills its own and nobody else's.
type lane struct {
	loop *Loop
	key  laneKey

	mu          sync.Mutex
	destination *config.Destination
	queue       []*job // from head on
	head        int
	workers     int
	limiter     *rate.Limiter // nil without a rate
	hold        state.Hold    // zero: none
	heldAt      uint64        // counts changes of hold, so that a refresh overwrites no newer one
	failures    int           // `retry` in a row
	opened      int           // how often the circuit opened since the last success
	probing     bool          // the one attempt that decides whether the circuit closes
	backlog     bool          // deliveries wait that a limit kept back; new ones go behind them
	stopped     bool
}

// lanes are made when first used and stay: one per destination.
type lanes struct {
	loop    *Loop
	mu      sync.RWMutex
	byKey   map[laneKey]*lane
	stopped bool
}

func (ls *lanes) of(j *job) *lane {
	l := ls.at(laneKey{j.delivery.Tenant, j.delivery.Destination})
	l.use(j.destination)
	return l
}

func (ls *lanes) at(key laneKey) *lane {
	ls.mu.RLock()
	l := ls.byKey[key]
	ls.mu.RUnlock()
	if l != nil {
		return l
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l = ls.byKey[key]; l == nil {
		l = &lane{loop: ls.loop, key: key, stopped: ls.stopped}
		ls.byKey[key] = l
	}
	return l
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

// stop lets running attempts go on and starts no new ones.
func (ls *lanes) stop() {
	ls.mu.Lock()
	ls.stopped = true
	ls.mu.Unlock()
	for _, l := range ls.all() {
		l.mu.Lock()
		l.stopped = true
		l.mu.Unlock()
	}
}

// use takes over the destination's settings when the configuration changed.
func (l *lane) use(d *config.Destination) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.destination == d {
		return
	}
	l.destination = d
	if d.Rate.Events <= 0 {
		l.limiter = nil
		return
	}
	limit := rate.Limit(float64(d.Rate.Events) / d.Rate.Per.Seconds())
	burst := max(1, int(float64(limit))) // a second's worth
	if l.limiter == nil || l.limiter.Limit() != limit || l.limiter.Burst() != burst {
		l.limiter = rate.NewLimiter(limit, burst)
	}
}

// blocked says why nothing may start now, and until when. l.mu is held.
func (l *lane) blocked(now time.Time) (reason string, until time.Time) {
	if !l.destination.Enabled {
		return reasonDisabled, now
	}
	switch {
	case l.hold.Kind == "":
		return "", now
	case l.hold.Until.IsZero():
		return string(l.hold.Kind) + ": " + l.hold.Reason, now
	case l.hold.Until.After(now):
		reason = reasonRate
		if l.hold.Kind == state.HoldCircuit {
			reason = reasonCircuit
		}
		return reason, l.hold.Until
	case l.hold.Kind == state.HoldCircuit && l.probing:
		return reasonCircuit, now
	}
	return "", now
}

// push queues a first attempt, or says why it has to wait and until when.
func (l *lane) push(j *job, now time.Time) (reason string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return reasonStopping, now
	}
	if reason, until = l.blocked(now); reason != "" {
		return reason, until
	}
	if l.backlog {
		return reasonBacklog, now
	}
	if len(l.queue)-l.head >= laneQueue {
		l.backlog = true
		return reasonQueue, now
	}
	if l.limiter != nil && !l.limiter.AllowN(now, 1) {
		l.backlog = true
		return reasonRate, now
	}
	l.add(j)
	return "", now
}

// pushDue queues a delivery claimed from the due-queue: room was asked for before, so only a change since then refuses it.
func (l *lane) pushDue(j *job, now time.Time) (reason string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return reasonStopping, now
	}
	if reason, until = l.blocked(now); reason != "" {
		return reason, until
	}
	if l.limiter != nil {
		l.limiter.AllowN(now, 1)
	}
	l.add(j)
	return "", now
}

// add queues a job and sees to it that somebody works. l.mu is held.
func (l *lane) add(j *job) {
	if l.hold.Kind == state.HoldCircuit {
		l.probing, j.probe = true, true
	}
	if l.head > 64 && l.head*2 > len(l.queue) {
		l.queue = append(l.queue[:0], l.queue[l.head:]...)
		l.head = 0
	}
	l.queue = append(l.queue, j)
	if l.workers < l.destination.Concurrency {
		l.workers++
		l.loop.running.Go(l.work)
	}
}

// space is how many due deliveries the lane takes now: what its workers get through soon, within its limits.
func (l *lane) space(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.destination == nil {
		return 0
	}
	if reason, _ := l.blocked(now); reason != "" {
		return 0
	}
	queued := len(l.queue) - l.head
	space := 2*l.destination.Concurrency - l.workers - queued
	if l.hold.Kind == state.HoldCircuit {
		space = min(space, 1) // the probe
	}
	if l.limiter != nil {
		space = min(space, int(l.limiter.TokensAt(now)))
	}
	return max(space, 0)
}

// caughtUp says that the due-queue had less for the lane than it had room for.
func (l *lane) caughtUp() {
	l.mu.Lock()
	l.backlog = false
	l.mu.Unlock()
}

// next is the job to do, or one that has to wait after all because the lane was blocked while it was queued.
func (l *lane) next() (j *job, reason string, until time.Time) {
	now := l.loop.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
		l.workers--
		return nil, "", now
	}
	j = l.queue[l.head]
	l.queue[l.head] = nil
	l.head++
	if l.stopped {
		return j, reasonStopping, now
	}
	if reason, until = l.blocked(now); reason != "" && !(j.probe && l.hold.Kind == state.HoldCircuit) {
		l.backlog = true
		return j, reason, until
	}
	return j, "", now
}

// work runs until the queue is empty; idle destinations have no goroutine.
func (l *lane) work() {
	for {
		j, reason, until := l.next()
		if j == nil {
			l.loop.wakeDueIfStarved()
			return
		}
		if reason != "" {
			if j.probe {
				l.unprobe()
			}
			l.loop.postpone(j, reason, until)
			continue
		}
		l.loop.attempt(l, j)
	}
}
