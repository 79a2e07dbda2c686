package deliver

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// counted counts how often the due-queue is asked.
type counted struct {
	state.Store
	asked atomic.Int64
}

func (s *counted) ClaimDue(ctx context.Context, ask state.ClaimDue) ([]state.Due, time.Time, error) {
	s.asked.Add(1)
	return s.Store.ClaimDue(ctx, ask)
}

// Destinations with a backlog that they may not have yet do not make the loop ask the due-queue without end, however
// busy others are.
func TestWaitingIsNotAskedFor(t *testing.T) {
	t.Parallel()
	const often = 400
	cases := map[string]func(d *config.Destination){
		"rate":     func(d *config.Destination) { d.Rate = config.Rate{Events: 1, Per: time.Minute} },
		"disabled": func(d *config.Destination) { d.Enabled = false },
		"hanging":  func(d *config.Destination) { d.Concurrency = 1 },
		"failing": func(d *config.Destination) {
			d.Retry.Waits = []time.Duration{time.Millisecond, time.Millisecond, time.Hour}
		},
	}
	for name, set := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow := destination("slow", time.Hour)
			set(slow)
			conf := destinations(slow, destination("fast"))
			conf.Rules[0].Match.Events = []string{event.TypeResponsePartial}
			release := make(chan struct{})
			b := prepare(t, conf, func(s seen) (int, http.Header) {
				if s.destination == "default/fast" {
					return 200, nil
				}
				if name == "hanging" {
					<-release
				}
				return 503, nil
			})
			store := &counted{}
			b.wrap = func(s state.Store) state.Store { store.Store = s; return store }
			b.open()
			var once sync.Once
			t.Cleanup(func() { once.Do(func() { close(release) }) })
			for _, id := range b.acceptType(event.TypeResponsePartial, 40) {
				b.until("waits", func() bool { d := b.delivery(id, "slow"); return d != nil && d.State != state.Delivered })
			}
			before, began := store.asked.Load(), b.clock.Now()
			for range often {
				b.accept(1)
			}
			b.until("the fast one has all", func() bool {
				return b.world.count(func(s seen) bool { return s.destination == "default/fast" }) == often
			})
			took := b.clock.Now().Sub(began)
			n := store.asked.Load() - before
			t.Logf("%d times in %s", n, took)
			if most := 20 + int64(took/recheck); n > most {
				t.Errorf("asked %d times in %s for what has to wait; want at most %d", n, took, most)
			}
			once.Do(func() { close(release) })
		})
	}
}

// A destination whose rate gives one at a time catches up: what comes later is sent from memory again.
func TestLowRateCatchesUp(t *testing.T) {
	t.Parallel()
	d := destination("crm", time.Minute)
	d.Rate = config.Rate{Events: 1, Per: 600 * time.Millisecond}
	b := begin(t, destinations(d), nil)
	for _, id := range b.accept(2) {
		b.untilState(id, "crm", state.Delivered)
	}
	lane := b.loop.lanes.get(laneKey{"default", "crm"})
	b.until("nothing waits before what comes next", func() bool {
		lane.mu.Lock()
		defer lane.mu.Unlock()
		return !lane.backlog
	})
}

// A reload that lowers the concurrency is obeyed by a lane that never runs dry.
func TestLoweredConcurrency(t *testing.T) {
	t.Parallel()
	with := func(n int) *config.Config {
		d := destination("crm", time.Hour)
		d.Concurrency = n
		return destinations(d)
	}
	var after atomic.Bool
	var running, most atomic.Int32
	release := make(chan struct{})
	b := begin(t, with(8), func(seen) (int, http.Header) {
		if !after.Load() {
			<-release
			return 200, nil
		}
		most.Store(max(most.Load(), running.Add(1)))
		runtime.Gosched()
		running.Add(-1)
		return 200, nil
	})
	ids := b.accept(60)
	b.until("eight run", func() bool { return b.world.count(func(seen) bool { return true }) == 8 })
	b.reload(with(1))
	after.Store(true)
	close(release)
	for _, id := range ids {
		b.untilState(id, "crm", state.Delivered)
	}
	if n := most.Load(); n > 1 {
		t.Errorf("%d at once, where 1 is allowed", n)
	}
}

// What a destination has been given back waits for no schedule: leases, counters and room are whole at the end.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	d := destination("crm", time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond)
	d.Rate = config.Rate{Events: 400, Per: time.Second}
	d.Concurrency = 2
	b := begin(t, destinations(d, destination("chat", time.Millisecond)), func(s seen) (int, http.Header) {
		if s.destination == "default/crm" && s.n == 1 && s.event[len(s.event)-1] == '7' {
			return 500, nil
		}
		return 200, nil
	})
	for _, id := range b.accept(1200) {
		b.untilState(id, "crm", state.Delivered)
		b.untilState(id, "chat", state.Delivered)
	}
	b.until("nothing is held or leased", func() bool {
		events, bytes := b.loop.capacity.free()
		return b.loop.Claimed() == 0 && b.loop.due.Load() == 0 && events == claimedEvents && bytes == claimedBytes
	})
	if n := b.world.count(func(s seen) bool { return s.n > 1 && s.event[len(s.event)-1] != '7' }); n > 0 {
		t.Errorf("%d were sent again without a reason", n)
	}
}

// chain asks for one more request after every answer.
type chain struct{ product }

func (c *chain) Judge(res *connectors.Response) connectors.Verdict {
	next, _ := c.Build(res.Events[0])
	return connectors.Then(next)
}

// The requests of one attempt share its time: one that has none left is not sent, or the attempt would outlive its lease.
func TestChainSharesItsTime(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm", time.Hour))
	conf.Rules[0].Steps[0].Build["default"] = &chain{}
	b := prepare(t, conf, nil)
	manual := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	b.clock = manual
	b.make()
	b.accept(1)
	claimed, err := b.store.Claim(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	deadline := b.clock.Now().Add(30 * time.Millisecond)
	sent := 0
	b.world.send = func(ctx context.Context, _ seen, o outbound.Attempt) outbound.Result {
		if sent++; o.Timeout != 30*time.Millisecond {
			t.Errorf("request %d gets %s", sent, o.Timeout)
		}
		manual.Advance(o.Timeout) // as long as the attempt may take
		return ok()
	}
	try := &attemptOutcome{jobs: b.loop.decide(b.plan.Load(), claimed[0], b.clock.Now()).jobs}
	b.loop.try(try, deadline)
	if sent != 1 || try.verdict.Kind != connectors.Retry || !try.sent {
		t.Errorf("%d sent, %s", sent, try.verdict)
	}
}

// A request that cannot be sent is no attempt and proves nothing of its destination.
func TestInvalidRequestIsNoAttempt(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm", time.Hour)), nil)
	b.world.send = func(context.Context, seen, outbound.Attempt) outbound.Result {
		return outbound.Result{Kind: outbound.Invalid, Err: &outbound.Error{Kind: outbound.Invalid, Reason: "a header with a line break"}}
	}
	b.open()
	d := b.untilState(b.accept(1)[0], "crm", state.Dead)
	if d.Attempts != 0 || d.Reason != "a header with a line break" {
		t.Errorf("%d attempts, %q", d.Attempts, d.Reason)
	}
}

// An event that was claimed alone five times without a commit is a dead letter itself, and so is one that no rule survives.
func TestDeadEvents(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm"))
	b := prepare(t, conf, nil)
	b.make()
	b.accept(1)
	claimed, err := b.store.Claim(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := b.clock.Now()
	c := claimed[0]
	for claims, dead := range map[int]string{1: "", 7: "", 8: "claimed 7 times without a commit, 5 of them alone"} {
		c.Claims = claims
		if h := b.loop.decide(b.plan.Load(), c, now); h.outcome.Dead != dead || (h.unfinished == 0) != (dead != "") {
			t.Errorf("claim %d: dead %q, %d open", claims, h.outcome.Dead, h.unfinished)
		}
	}
	plan := decide.New(conf)
	conf.Rules[0].Steps = append(conf.Rules[0].Steps, nil)
	c.Claims = 1
	h := b.loop.decide(plan, c, now)
	if h.outcome.Dead == "" || len(h.jobs) > 0 {
		t.Errorf("a panic in deciding: dead %q, %d jobs", h.outcome.Dead, len(h.jobs))
	}
	b.loop.start(h, now)
	if events, _, _ := b.loop.commits.take(); len(events) != 1 {
		t.Errorf("%d outcomes", len(events))
	}
}

// An outcome that the store can never apply ends its own event and holds up no other's.
func TestInvalidOutcome(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm"), destination("odd"))
	odd := conf.Rules[1]
	odd.Match.Events = []string{event.TypeResponsePartial}
	odd.Steps = append(odd.Steps, odd.Steps[0]) // one delivery owed twice, which no configuration can say
	b := begin(t, conf, nil)
	bad := b.acceptType(event.TypeResponsePartial, 1)[0]
	for _, id := range b.accept(20) {
		b.untilState(id, "crm", state.Delivered)
	}
	b.until("a dead letter", func() bool {
		r, err := b.store.Event(t.Context(), "default", bad)
		return err == nil && r.Outcome != nil && r.Outcome.Dead != ""
	})
	b.until("nothing is held", func() bool {
		events, bytes := b.loop.capacity.free()
		return b.loop.Claimed() == 0 && events == claimedEvents && bytes == claimedBytes
	})
}

// An entry of a stream that is no event is a dead letter from the start: no rule is asked, not even one that hears
// everything of the gateway's own.
func TestUnreadEntryIsDead(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm"))
	conf.Rules[0].Match.Events = []string{event.TypeEntry}
	b := begin(t, conf, nil)
	ev, err := event.New(event.Header{Type: event.TypeEntry, Received: b.clock.Now()}, &event.Data{Warnings: []string{"not JSON"}}, event.Raw{Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Append(t.Context(), []*event.Event{ev}); err != nil {
		t.Fatal(err)
	}
	var r *state.Record
	b.until("a dead letter", func() bool {
		var err error
		r, err = b.store.Event(t.Context(), "default", ev.ID)
		return err == nil && r.Outcome != nil
	})
	if o := r.Outcome; o.Dead != "not JSON" || len(o.Deliveries) > 0 || len(o.Rules) > 0 {
		t.Errorf("dead %q, %d deliveries, rules %v", o.Dead, len(o.Deliveries), o.Rules)
	}
}
