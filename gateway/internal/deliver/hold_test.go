package deliver

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

func withToken(token string) *config.Config {
	d := destination("crm", 10*time.Millisecond)
	d.Credentials = []connectors.Secret{connectors.NewSecret(token)}
	return destinations(d)
}

// A late refusal of old credentials must not pause the destination for the new ones.
func TestLateRefusalOfOldCredentials(t *testing.T) {
	t.Parallel()
	refuse := make(chan struct{})
	var once sync.Once
	b := begin(t, withToken("old"), func(s seen) (int, http.Header) {
		if s.event == "e1" && s.n == 1 {
			<-refuse
			return 401, nil
		}
		return 200, nil
	})
	t.Cleanup(func() { once.Do(func() { close(refuse) }) })
	first := b.accept(1)[0]
	b.until("the old credentials are tried", func() bool { return b.world.count(func(seen) bool { return true }) == 1 })
	b.reload(withToken("new"))
	b.untilState(b.accept(1)[0], "crm", state.Delivered)
	once.Do(func() { close(refuse) })
	b.untilState(first, "crm", state.Delivered)
}

// lane is a destination's lane of a loop that does not run, and what its answers are made of.
func idleLane(t *testing.T) (*bench, *lane, *clock.Manual, func(status int, after time.Duration)) {
	t.Helper()
	b := prepare(t, destinations(destination("crm", time.Hour)), nil)
	manual := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	b.clock = manual
	b.make()
	l := b.loop.lanes.get(laneKey{"default", "crm"})
	l.configure(b.plan.Load().Destination("default", "crm"))
	return b, l, manual, func(status int, after time.Duration) {
		t.Helper()
		v := connectors.Verdict{Kind: connectors.Retry, Reason: connectors.StatusReason(status), After: after}
		if status == 200 {
			v = connectors.Deliver()
		}
		l.judge(v, &attemptOutcome{sent: true, status: status, verdict: v}, l.destination, l.circuit.epoch, manual.Now())
	}
}

func (b *bench) hold() state.Hold {
	b.t.Helper()
	holds, err := b.store.Holds(b.t.Context(), "*")
	if err != nil || len(holds) > 1 {
		b.t.Fatal(holds, err)
	}
	if len(holds) == 0 {
		return state.Hold{}
	}
	return holds[0].Hold
}

// The circuit opens when nearly all of the last answers failed, for 10 s, doubling to 10 min each time the first three
// requests after that fail too, also over a restart. One good answer lifts the hold, and the lane stays half open.
func TestCircuit(t *testing.T) {
	t.Parallel()
	b, l, now, answer := idleLane(t)
	answer(200, 0)
	for range circuitAfter - 2 {
		answer(503, 0)
	}
	if h := b.hold(); h.Kind != "" {
		t.Fatalf("open after %d answers: %+v", circuitAfter-1, h)
	}
	answer(503, 0)
	for i, want := range []time.Duration{
		10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second,
		10 * time.Minute, 10 * time.Minute,
	} {
		h := b.hold()
		if got := h.Until.Sub(now.Now()); h.Kind != state.HoldCircuit || got != want {
			t.Fatalf("opening %d is for %s (%s), want %s", i+1, got, h.Kind, want)
		}
		for _, late := range []connectors.Verdict{connectors.TryAgain("503"), connectors.Deliver()} {
			l.judge(late, &attemptOutcome{sent: true, verdict: late}, l.destination, l.circuit.epoch-1, now.Now())
			if h2 := b.hold(); h2 != h {
				t.Fatalf("an answer to an attempt that began before it opened changed %+v to %+v", h, h2)
			}
		}
		if i == 3 {
			b.close()
			b.make()
			if err := b.loop.learnHolds(t.Context()); err != nil {
				t.Fatal(err)
			}
			l = b.loop.lanes.get(laneKey{"default", "crm"})
			l.configure(b.plan.Load().Destination("default", "crm"))
			answer = func(status int, after time.Duration) {
				v := connectors.Verdict{Kind: connectors.Retry, Reason: "503", After: after}
				if status == 200 {
					v = connectors.Deliver()
				}
				l.judge(v, &attemptOutcome{sent: true, status: status, verdict: v}, l.destination, l.circuit.epoch, now.Now())
			}
		}
		now.Advance(want)
		for range probes {
			answer(503, 0)
		}
	}
	now.Advance(circuitMost)
	answer(200, 0)
	if h := b.hold(); h.Kind != "" || l.hold.Kind != "" || l.circuit.limit != 2 {
		t.Errorf("not half open: %+v, %+v, %d at once", h, l.hold, l.circuit.limit)
	}
}

// Whoever says that one event is nothing for it (somebody has opted out) is well.
func TestAnAnswerThatSkipsClosesTheCircuit(t *testing.T) {
	t.Parallel()
	b, l, now, answer := idleLane(t)
	for range circuitAfter {
		answer(503, 0)
	}
	now.Advance(circuitFirst)
	skip := connectors.Verdict{Kind: connectors.Skipping, Reason: "opted out"}
	l.judge(skip, &attemptOutcome{verdict: skip}, l.destination, l.circuit.epoch, now.Now())
	if l.hold.Kind != state.HoldCircuit { // the store lists none whose time is over
		t.Fatalf("closed by what was never sent: %+v", l.hold)
	}
	l.judge(skip, &attemptOutcome{sent: true, status: 400, verdict: skip}, l.destination, l.circuit.epoch, now.Now())
	if h := b.hold(); h.Kind != "" || l.hold.Kind != "" {
		t.Errorf("still %+v, %+v", h, l.hold)
	}
}

// Exactly one attempt goes out when the time of an open circuit is over.
func TestOneProbe(t *testing.T) {
	t.Parallel()
	b, l, now, answer := idleLane(t)
	for range circuitAfter {
		answer(503, 0)
	}
	push := func() *job {
		ids := b.accept(1)
		claimed, err := b.store.Claim(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(ids, err)
		}
		return b.loop.decide(b.plan.Load(), claimed[0], now.Now()).jobs[0]
	}
	if reason := l.push(push(), now.Now()); reason != reasonCircuit {
		t.Fatalf("pushed into an open circuit: %q", reason)
	}
	if n, again := l.dueCapacity(now.Now()); n != 0 || again.Sub(now.Now()) != circuitFirst {
		t.Errorf("an open circuit has room for %d, and more at %s", n, again)
	}
	now.Advance(circuitFirst)
	if n, _ := l.dueCapacity(now.Now()); n != 1 {
		t.Errorf("room for %d probes", n)
	}
	l.workers = l.destination.Concurrency // nobody works: the probe stays queued
	probe := push()
	if reason := l.push(probe, now.Now()); reason != "" {
		t.Fatalf("no probe: %q", reason)
	}
	if reason := l.push(push(), now.Now()); reason != reasonHalfOpen {
		t.Errorf("a second one beside the probe: %q", reason)
	}
	if n, _ := l.dueCapacity(now.Now()); n != 0 {
		t.Errorf("room for %d beside the probe", n)
	}
}

// A short Retry-After takes nothing from a longer hold, be it another's Retry-After or an open circuit.
func TestShorterHoldShortensNothing(t *testing.T) {
	t.Parallel()
	b, _, now, answer := idleLane(t)
	answer(429, time.Hour)
	answer(429, time.Second)
	if got := b.hold().Until.Sub(now.Now()); got != time.Hour {
		t.Errorf("held for %s, want 1h", got)
	}
	now.Advance(time.Hour)
	for range circuitAfter {
		answer(503, 0)
	}
	answer(429, time.Second)
	if h := b.hold(); h.Kind != state.HoldCircuit || h.Until.Sub(now.Now()) != circuitFirst {
		t.Errorf("a late 429 made %+v of an open circuit", h)
	}
}

// A pause by hand stays, also where the lane opens or closes its circuit before it has heard of it.
func TestPauseByHandStays(t *testing.T) {
	t.Parallel()
	b, l, _, answer := idleLane(t)
	pause := state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: b.clock.Now()}
	for _, status := range []int{503, 200} {
		if err := b.store.Hold(t.Context(), "default", "crm", pause, nil); err != nil {
			t.Fatal(err)
		}
		for range circuitAfter {
			answer(status, 0)
		}
		if h := b.hold(); h.Kind != state.HoldPaused {
			t.Errorf("after %d: the pause became %+v", status, h)
		}
		if l.hold.Kind != state.HoldPaused {
			t.Errorf("after %d: the lane knows only %+v", status, l.hold)
		}
	}
}

// late is a store where somebody pauses the destination between a look at the holds and what is done upon it.
type late struct {
	state.Store
	pause func()
}

func (s *late) Holds(ctx context.Context, tenant string) ([]state.DestinationOnHold, error) {
	holds, err := s.Store.Holds(ctx, tenant)
	if pause := s.pause; pause != nil {
		s.pause = nil
		pause()
	}
	return holds, err
}

// A pause by hand stays, also where it comes between the lane's look at what stands and its write.
func TestPauseAtTheSameTimeStays(t *testing.T) {
	t.Parallel()
	for name, was := range map[string]state.Hold{
		"opens":  {},
		"closes": {Kind: state.HoldCircuit},
		"lifts":  {Kind: state.HoldRevoked, Fingerprint: "of other credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, l, now, answer := idleLane(t)
			if was.Kind != "" {
				was.Since = now.Now()
				if was.Kind == state.HoldCircuit {
					was.Until = now.Now().Add(time.Minute)
				}
				if err := b.store.Hold(t.Context(), "default", "crm", was, nil); err != nil {
					t.Fatal(err)
				}
				l.hold = was
			}
			pause := state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: now.Now()}
			b.loop.Store = &late{b.store, func() {
				if err := b.store.Hold(t.Context(), "default", "crm", pause, nil); err != nil {
					t.Error(err)
				}
			}}
			switch name {
			case "opens":
				for range circuitAfter {
					answer(503, 0)
				}
			case "closes":
				answer(200, 0)
			case "lifts":
				if err := b.loop.learnHolds(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if h := b.hold(); h.Kind != state.HoldPaused {
				t.Errorf("the pause became %+v", h)
			}
		})
	}
}

// What somebody resumes is served soon, though its circuit were open for longer.
func TestResumeClosesTheCircuit(t *testing.T) {
	t.Parallel()
	var good atomic.Bool
	b := begin(t, destinations(destination("crm", time.Hour)), func(seen) (int, http.Header) {
		return map[bool]int{true: 200, false: 503}[good.Load()], nil
	})
	b.accept(circuitAfter)
	b.until("open", func() bool { return b.hold().Kind == state.HoldCircuit })
	hour := b.hold()
	hour.Until = hour.Until.Add(time.Hour)
	if err := b.store.Hold(t.Context(), "default", "crm", hour, nil); err != nil {
		t.Fatal(err)
	}
	lane := b.loop.lanes.get(laneKey{"default", "crm"})
	b.until("the lane knows that it is open for an hour", func() bool {
		lane.mu.Lock()
		defer lane.mu.Unlock()
		return lane.hold.Until.Equal(b.hold().Until)
	})
	good.Store(true)
	if err := b.store.Hold(t.Context(), "default", "crm", state.Hold{}, nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range b.accept(5) {
		b.untilState(id, "crm", state.Delivered)
	}
}

// A hold that the store does not know yet is not taken for one that was lifted.
func TestUnwrittenHoldStays(t *testing.T) {
	t.Parallel()
	b, l, now, _ := idleLane(t)
	l.mu.Lock()
	l.setHold(state.Hold{Kind: state.HoldRevoked, Reason: "401", Since: now.Now(), Fingerprint: b.loop.fingerprint(l.destination, state.HoldRevoked)})
	l.mu.Unlock()
	if err := b.loop.learnHolds(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.hold.Kind != state.HoldRevoked || b.hold().Kind != state.HoldRevoked {
		t.Errorf("lane %+v, store %+v", l.hold, b.hold())
	}
}

// 410 disables a webhook until its URL is another one.
func TestGone(t *testing.T) {
	t.Parallel()
	at := func(url string) *config.Config {
		d := destination("hook", time.Hour)
		d.Address = connectors.NewSecret(url)
		c := destinations(d)
		c.Rules[0].Steps[0].Build["default"] = &gone{}
		return c
	}
	b := begin(t, at("https://a.example/"), func(s seen) (int, http.Header) {
		return map[bool]int{true: 410, false: 200}[s.event == "e1"], nil
	})
	b.untilState(b.accept(1)[0], "hook", state.Dead)
	b.until("disabled", func() bool { return b.hold().Kind == state.HoldGone })
	waits := b.accept(1)[0]
	b.untilState(waits, "hook", state.Waiting)
	b.reload(at("https://a.example/"))
	if b.hold().Kind != state.HoldGone {
		t.Error("lifted by a reload that changed nothing")
	}
	b.reload(at("https://b.example/"))
	b.untilState(waits, "hook", state.Delivered)
}

type gone struct{ product }

func (*gone) Judge(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	v.Gone = res.Status == http.StatusGone
	return v
}

// unsaid is a store that does not tell at first what stands.
type unsaid struct {
	state.Store
	asked atomic.Int64
}

func (s *unsaid) Holds(ctx context.Context, tenant string) ([]state.DestinationOnHold, error) {
	if s.asked.Add(1) < 4 {
		return nil, state.ErrUnavailable
	}
	return s.Store.Holds(ctx, tenant)
}

// A store that cannot be reached when the loop begins is waited for: nothing is delivered before it is known what is
// paused, and then everything is.
func TestBeginsWithoutItsStore(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm"), destination("paused")), nil)
	b.wrap = func(s state.Store) state.Store { return &unsaid{Store: s} }
	b.make()
	if err := b.store.Hold(t.Context(), "default", "paused", state.Hold{Kind: state.HoldPaused, Since: b.clock.Now()}, nil); err != nil {
		t.Fatal(err)
	}
	id := b.accept(1)[0]
	b.run()
	b.untilState(id, "crm", state.Delivered)
	if d := b.delivery(id, "paused"); d.State == state.Delivered || len(d.Log) > 0 {
		t.Errorf("the paused one is %s after %d attempts", d.State, len(d.Log))
	}
}

// slowHolds keeps the first answer to Holds back.
type slowHolds struct {
	state.Store
	asked      atomic.Bool
	read, give chan struct{}
}

func (s *slowHolds) Holds(ctx context.Context, tenant string) ([]state.DestinationOnHold, error) {
	holds, err := s.Store.Holds(ctx, tenant)
	if s.asked.CompareAndSwap(false, true) {
		close(s.read)
		<-s.give
	}
	return holds, err
}

// A pause by hand takes effect at once, and an older list of holds that is still on its way does not lift it.
func TestOlderHoldsDoNotLiftAPause(t *testing.T) {
	t.Parallel()
	b, l, now, _ := idleLane(t)
	slow := &slowHolds{Store: b.store, read: make(chan struct{}), give: make(chan struct{})}
	b.loop.Store = slow
	var both sync.WaitGroup
	both.Go(func() { b.loop.HoldsChanged(t.Context()) })
	<-slow.read
	pause := state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: now.Now()}
	if err := b.store.Hold(t.Context(), "default", "crm", pause, nil); err != nil {
		t.Fatal(err)
	}
	learnt := make(chan struct{})
	both.Go(func() { b.loop.HoldsChanged(t.Context()); close(learnt) })
	select {
	case <-learnt:
	case <-time.After(100 * time.Millisecond): // it waits for the older one
	}
	close(slow.give)
	both.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold.Kind != state.HoldPaused {
		t.Errorf("after the pause, the lane has %+v", l.hold)
	}
}
