// Package deliver is the loop from an accepted event to its committed outcome: claim, decide, one queue per
// destination, Build, send, Judge, commit; and the same again for what became due.
//
// An event is claimed until it is committed. It is committed as soon as each of its deliveries is finished or handed
// over to the due-queue, so that a slow destination delays no other one, and a crash repeats only claimed events.
package deliver

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	// claimedFor is how long an event is claimed at most, from its decision to its commit.
	claimedFor = time.Second
	// claimedAfterFirst is how long it is claimed at most once one of its deliveries has ended.
	claimedAfterFirst = 100 * time.Millisecond
	// watchEvery is how often the two bounds above are looked at.
	watchEvery = 20 * time.Millisecond
	// leaseGrace is added to an attempt's deadline when it is handed over while it runs.
	leaseGrace = 5 * time.Second
	// giveUpFor is how long attempts get to end that were given up at the end of a drain.
	giveUpFor = time.Second

	claimEvents   = 256
	claimBytes    = 8 << 20
	claimedEvents = 4096
	claimedBytes  = 64 << 20
	dueAtOnce     = 256
	dueInFlight   = 4096
	commitAtMost  = 512

	// recheck is the shortest time between two claims from the due-queue if the first one got nothing.
	recheck = 50 * time.Millisecond
	// lookAgain is the longest time between two claims from the due-queue: what another replica scheduled is not announced here.
	lookAgain = 500 * time.Millisecond
	// newerConfigWait is how long a delivery whose step only a newer configuration has is left to the replicas that run it.
	newerConfigWait = time.Second
	// refresh is how often holds that were put on elsewhere are read.
	refresh = time.Second
)

// Sender makes one request; *outbound.Sender is the real one.
type Sender interface {
	Send(ctx context.Context, r *connectors.Request, o outbound.Attempt) outbound.Result
}

// Observer counts what the loop does. It is called in the loop's hot path, so it must not wait, and it keeps none of its arguments.
type Observer interface {
	// Decided is called once for each event whose rules were asked, at its first decision: with the sets of rules that were asked,
	// the rules that matched or failed, and the names of those that are unknown.
	Decided(ev *event.Event, sets []*rules.Set, outcomes []state.RuleOutcome, unknown []string, at time.Time)
	// Attempt is called after each attempt for each delivery of it, with the verdict on that delivery, how long the product took,
	// and when the attempt began.
	Attempt(d *state.Delivery, verdict connectors.Kind, reached state.Reached, took time.Duration, began time.Time)
	// Ended is called once a delivery has ended and that is committed, with the time when its event was received.
	Ended(d *state.Delivery, received time.Time)
	// Batch is called with the sizes of batches; stage is claim, due, deliver or commit.
	Batch(stage string, n int)
}

// Options are what a loop works with. All but Newest, Died and Attempted are needed.
type Options struct {
	Store    state.Store
	Sender   Sender
	Plan     func() *decide.Plan
	Clock    clock.Clock
	Log      *slog.Logger
	Observer Observer
	// Newest reports whether the base of Plan is the newest of all replicas. Only then is a step that Plan lacks really deleted,
	// if no document of the store may have it. Nil: there are no other replicas.
	Newest func(ctx context.Context) bool
	// Jitter returns a random number from 0 to 1; each wait is extended by that fraction of a tenth.
	Jitter func() float64
	// FingerprintKey is the HMAC key for the fingerprints of credentials (state.Hold.Fingerprint).
	FingerprintKey []byte
	// Died is called once a delivery has become a dead letter and that is committed, with the type of its event. It must not wait,
	// and keeps none of its arguments; nil: nobody wants to know.
	Died func(d *state.Delivery, eventType string)
	// Attempted is called after each attempt for each delivery of it, with the delivery as it is then and the event, and the HTTP status, 0
	// where there was none. It must not wait, and keeps none of its arguments; nil: nobody wants to know.
	Attempted func(d *state.Delivery, ev *event.Event, verdict connectors.Kind, status int, took time.Duration)
	// Drain bounds how long Run waits for running attempts once its context has ended.
	Drain time.Duration
}

// Loop claims and delivers. Make it with New and call Run once.
type Loop struct {
	Options

	lanes         lanes
	commits       commits
	capacity      capacity    // for claimed events
	undecided     undecided   // claimed events that wait for their decision
	deferred      turns[*job] // due deliveries that wait for a look at their response
	missing       missing
	due           atomic.Int64 // due deliveries leased and not yet committed
	commitFailing atomic.Bool  // the store did not take the last commit

	learning sync.Mutex // of holds from the store, one list after the other

	claimsMu sync.Mutex          // guards claims
	claims   map[*claim]struct{} // decided and not closed

	dueWake      chan struct{}
	suspectEnded chan struct{}   // the claimed one is committed or released
	running      sync.WaitGroup  // workers
	sending      context.Context // of every request; ends when the drain is over
	giveUp       context.CancelFunc
}

// New makes a loop.
func New(o Options) *Loop {
	l := &Loop{Options: o, claims: map[*claim]struct{}{}, dueWake: make(chan struct{}, 1), suspectEnded: make(chan struct{}, 1)}
	l.sending, l.giveUp = context.WithCancel(context.Background())
	l.lanes.loop, l.lanes.halt = l, make(chan struct{})
	l.lanes.byKey, l.lanes.ofTenant, l.lanes.backlogged = map[laneKey]*lane{}, map[string]map[string]*lane{}, map[*lane]struct{}{}
	l.commits.wake = make(chan struct{}, 1)
	l.capacity.init(claimedEvents, claimedBytes)
	l.undecided.init()
	l.deferred.init()
	l.missing.init()
	return l
}

// Claimed returns how many events are claimed and not closed.
func (l *Loop) Claimed() int {
	l.claimsMu.Lock()
	defer l.claimsMu.Unlock()
	return len(l.claims) + l.undecided.len()
}

// Run claims and delivers until ctx ends, then lets running attempts finish within the bound, hands the rest over
// and commits everything. The store must stay open until it returns. Until the store says which destinations are paused,
// nothing is claimed: one that is unavailable is asked again, any other error is returned.
func (l *Loop) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for backoff := newBackoff(); ; {
		err := l.learnHolds(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, state.ErrUnavailable) {
			return err
		}
		l.Log.Warn("cannot find out which destinations are paused; nothing is delivered until it is known", "err", err)
		if !l.sleep(ctx, backoff.next()) {
			return nil
		}
	}

	var loops, tail sync.WaitGroup
	loops.Go(func() { l.claim(ctx) })
	loops.Go(func() { l.claimSuspects(ctx) })
	for range min(max(runtime.GOMAXPROCS(0), 2), maxDeciders) {
		loops.Go(func() { l.decideUndecided(ctx) })
	}
	for range lookers {
		loops.Go(func() { l.lookAtResponses(ctx) })
	}
	loops.Go(func() { l.claimDue(ctx) })
	loops.Go(func() { l.every(ctx, refresh, func() { _ = l.learnHolds(ctx) }) })
	loops.Go(func() { l.recallLoop(ctx) })
	tail.Go(func() { l.every(work, watchEvery, l.handOverLate) })
	tail.Go(func() { l.commit(work) })

	<-ctx.Done()
	l.undecided.close()
	l.deferred.close()
	loops.Wait()
	l.release(l.undecided.takeAll())
	l.giveUpLooking()
	l.drain()
	l.commits.close()
	stop()
	tail.Wait()
	return nil
}

// Reloaded tells the loop that Plan has another base: lanes obey their new settings, pauses whose credentials changed are lifted,
// and deliveries go on whose step is back.
func (l *Loop) Reloaded(ctx context.Context) error { return l.changed(ctx) }

// Changed tells the loop that the overlays of these tenants changed in Plan. It is Reloaded for these tenants alone.
func (l *Loop) Changed(ctx context.Context, tenants ...string) error {
	if len(tenants) == 0 {
		return nil
	}
	return l.changed(ctx, tenants...)
}

// changed follows a change of some tenants, or without any of all.
func (l *Loop) changed(ctx context.Context, tenants ...string) error {
	l.lanes.follow(l.Plan(), l.lanes.of(tenants...))
	err := l.learnHolds(ctx, tenants...)
	l.wakeDue()
	l.missing.wakeRecall(tenants...)
	return err
}

// Wake makes the loop look at the due-queue now: something was scheduled from outside. It never waits.
func (l *Loop) Wake() { l.wakeDue() }

// HoldsChanged makes the loop read the holds now: one was put on or lifted from outside. A failure is logged; the loop reads
// them again by itself within a second.
func (l *Loop) HoldsChanged(ctx context.Context) {
	if err := l.learnHolds(ctx); err != nil && ctx.Err() == nil {
		l.Log.Warn("cannot look at holds", "err", err)
	}
}

func (l *Loop) wakeDue() {
	select {
	case l.dueWake <- struct{}{}:
	default:
	}
}

func (l *Loop) every(ctx context.Context, period time.Duration, do func()) {
	for l.sleep(ctx, period) {
		do()
	}
}

// sleep is false when ctx ended.
func (l *Loop) sleep(ctx context.Context, d time.Duration) bool {
	c, stop := l.Clock.After(d)
	defer stop()
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// claim takes new events, which are then decided while it goes on.
func (l *Loop) claim(ctx context.Context) {
	backoff := newBackoff()
	for ctx.Err() == nil {
		if !l.capacity.wait(ctx) {
			return
		}
		events, bytes := l.capacity.free()
		batch, err := l.Store.Claim(ctx, min(events, claimEvents), min(bytes, claimBytes))
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, state.ErrClosed) {
				return
			}
			l.Log.Warn("cannot claim events", "err", err)
			if !l.sleep(ctx, backoff.next()) {
				return
			}
			continue
		}
		backoff.reset()
		if len(batch) == 0 {
			continue
		}
		l.Observer.Batch("claim", len(batch))
		for i := range batch {
			l.capacity.take(1, batch[i].Event.Size())
		}
		l.undecided.add(batch, tenantOfClaimed)
	}
}

// reserve asks for the keys of `once` and skips what somebody else has. False means that ctx ended first.
func (l *Loop) reserve(ctx context.Context, decided []*claim) bool {
	byTenant := map[string][]*job{}
	for _, c := range decided {
		for _, j := range c.jobs {
			if j.once != "" && j.atDue == nil {
				byTenant[j.delivery.Tenant] = append(byTenant[j.delivery.Tenant], j)
			}
		}
	}
	for tenant, jobs := range byTenant {
		keys := make([]state.OnceKey, len(jobs))
		for i, j := range jobs {
			keys[i] = state.OnceKey{Key: j.once, Owner: j.delivery.EventID}
		}
		backoff := newBackoff()
		for {
			owners, err := l.Store.Once(ctx, tenant, keys, decide.OnceFor)
			if err == nil {
				for i, j := range jobs {
					if owners[i] != j.delivery.EventID {
						j.onceOwner = owners[i]
					}
				}
				break
			}
			if ctx.Err() != nil {
				return false
			}
			l.Log.Warn("cannot reserve what happens once", "err", err)
			if !l.sleep(ctx, backoff.next()) {
				return false
			}
		}
	}
	return true
}

// backoff doubles from 50 ms to 5 s, for calls on the store.
type backoff struct{ wait time.Duration }

func newBackoff() *backoff { return &backoff{} }
func (b *backoff) reset()  { b.wait = 0 }
func (b *backoff) next() time.Duration {
	b.wait = min(max(2*b.wait, 50*time.Millisecond), 5*time.Second)
	return b.wait
}
