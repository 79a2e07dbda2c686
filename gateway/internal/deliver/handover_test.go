package deliver

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// An attempt that runs when it is handed over belongs to this holder: nobody may send or end its delivery meanwhile.
func TestHandedOverIsLeased(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := begin(t, destinations(destination("crm", time.Minute)), func(seen) (int, http.Header) {
		<-release
		return 200, nil
	})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	id := b.accept(1)[0]
	d := b.untilState(id, "crm", state.Waiting)
	if !d.Leased {
		t.Error("a running attempt was handed over without a lease")
	}
	if err := b.store.Drop(t.Context(), "default", d.ID); !errors.Is(err, state.ErrConflict) {
		t.Errorf("dropped under a running attempt: %v", err)
	}
	if moved, err := b.store.Schedule(t.Context(), "default", []state.Delivery{{ID: d.ID, EventID: id}}); err != nil || moved[0] {
		t.Errorf("scheduled under a running attempt: %v, %v", moved, err)
	}
	once.Do(func() { close(release) })
	b.untilState(id, "crm", state.Delivered)
	if n := b.world.count(func(seen) bool { return true }); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What waits for its retry is nobody's: a person may ask for it now.
func TestRetryNowBetweenAttempts(t *testing.T) {
	t.Parallel()
	var good atomic.Bool
	b := begin(t, destinations(destination("crm", 5*time.Millisecond, time.Hour)), func(seen) (int, http.Header) {
		return map[bool]int{true: 200, false: 500}[good.Load()], nil
	})
	id := b.accept(1)[0]
	var d *state.Delivery
	b.until("waiting for an hour, leased to nobody", func() bool {
		d = b.delivery(id, "crm")
		return d != nil && d.Attempts == 2 && !d.Leased
	})
	good.Store(true)
	if moved, err := b.store.Schedule(t.Context(), "default", []state.Delivery{{ID: d.ID, EventID: id}}); err != nil || !moved[0] {
		t.Fatalf("retry now: %v, %v", moved, err)
	}
	b.loop.Wake()
	b.untilState(id, "crm", state.Delivered)
}

// Between its claim and its start an event is late for nobody: handed over then, a delay or a `once` were forgotten.
func TestNothingIsHandedOverBeforeItStarted(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("later"), destination("taken"))
	conf.Rules[0].Delay = time.Hour
	b := prepare(t, conf, nil)
	b.make()
	b.accept(1)
	claimed, err := b.store.Claim(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := b.clock.Now()
	h := b.loop.decide(b.plan.Load(), claimed[0], now.Add(-time.Minute)) // the keys of once took so long
	h.jobs[1].onceOwner = "another"
	b.loop.claimsMu.Lock()
	b.loop.claims[h] = struct{}{}
	b.loop.claimsMu.Unlock()
	b.loop.handOverLate()
	b.loop.start(h, now)
	if later, taken := h.jobs[0].delivery, h.jobs[1].delivery; later.Reason != "delay" || taken.State != state.Skipped {
		t.Errorf("delayed: %s until %s; taken: %s", later.Reason, later.Due.Sub(now), taken.State)
	}
	if events, settled, _ := b.loop.commits.take(); len(events) != 1 || len(settled) != 0 {
		t.Errorf("%d outcomes, %d settled", len(events), len(settled))
	}
}

// An attempt that ends while its hand-over still waits for its commit ends there: with a store that was away for
// longer than the lease, the delivery would else be due between two commits, and sent again.
func TestSettledBeforeTheHandOverIsCommitted(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm")), nil)
	b.make()
	b.accept(1)
	claimed, err := b.store.Claim(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	l, now := b.loop, b.clock.Now()
	h := l.decide(b.plan.Load(), claimed[0], now)

	h.phase = phaseOpen
	l.claims[h] = struct{}{}
	j := h.jobs[0]
	if !l.begin(j, now.Add(time.Second)) {
		t.Fatal("not begun")
	}
	l.handOver(now, func(*claim) bool { return true })
	if got := h.jobs[0].result(); got.State != state.Waiting || !got.Leased {
		t.Fatalf("handed over as %s, leased %t", got.State, got.Leased)
	}
	d := j.delivery
	d.State = state.Delivered
	l.settle(j, d, "")
	events, settled, _ := l.commits.take()
	if len(events) != 1 || len(settled) != 0 || events[0].jobs[0].result().State != state.Delivered {
		t.Errorf("%d outcomes, %d settled", len(events), len(settled))
	}
}

// away is a store that cannot commit for a while.
type away struct {
	state.Store
	times atomic.Int32
}

func (s *away) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	if s.times.Add(-1) >= 0 {
		return nil, state.ErrUnavailable
	}
	return s.Store.Commit(ctx, c)
}

// A store that is away for a while loses nothing and repeats nothing.
func TestCommitsWhenTheStoreComesBack(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm", time.Minute)), nil)
	b.wrap = func(s state.Store) state.Store {
		a := &away{Store: s}
		a.times.Store(4)
		return a
	}
	b.open()
	for _, id := range b.accept(700) {
		b.untilState(id, "crm", state.Delivered)
	}
	if n := b.world.count(func(seen) bool { return true }); n != 700 {
		t.Errorf("%d requests for 700 deliveries", n)
	}
	b.until("everything has room again", func() bool {
		events, bytes := b.loop.capacity.free()
		return b.loop.Claimed() == 0 && events == claimedEvents && bytes == claimedBytes
	})
}

// At the end of the drain running attempts are given up: nothing of the loop outlives Run, and they are repeated later.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	var running, given atomic.Int32
	var good atomic.Bool
	b := prepare(t, destinations(destination("crm", time.Hour)), nil)
	b.drain = 20 * time.Millisecond
	b.world.send = func(ctx context.Context, s seen, _ outbound.Attempt) outbound.Result {
		running.Add(1)
		defer running.Add(-1)
		if !good.Load() {
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
				given.Add(1)
			}
			return outbound.Result{Kind: outbound.Canceled, Err: &outbound.Error{Kind: outbound.Canceled, Reason: "given up"}}
		}
		return ok()
	}
	b.open()
	ids := b.accept(30) // some run, some are queued
	b.until("attempts run", func() bool { return running.Load() == 4 })
	b.close()
	if n := running.Load(); n > 0 || given.Load() > 0 {
		t.Fatalf("%d attempts outlived Run, %d ended by themselves", n, given.Load())
	}
	good.Store(true)
	b.open()
	for _, id := range ids {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 {
			t.Errorf("%d attempts", d.Attempts)
		}
	}
}

// An event is handed over a second after its claim, or a tenth of one after its first delivery has ended.
func TestWhenItIsHandedOver(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("one"), destination("two")), nil)
	manual := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	b.clock = manual
	b.make()
	l := b.loop
	start := func() *claim {
		b.accept(1)
		claimed, err := b.store.Claim(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		h := l.decide(b.plan.Load(), claimed[0], manual.Now())
		h.phase = phaseOpen
		l.claims[h] = struct{}{}
		for _, j := range h.jobs {
			if !l.begin(j, manual.Now().Add(time.Minute)) {
				t.Fatal("not begun")
			}
		}
		return h
	}
	expect := func(h *claim, after time.Duration) {
		t.Helper()
		manual.Advance(after - time.Nanosecond)
		if l.handOverLate(); h.phase == phaseClosed {
			t.Fatalf("committed before %s", after)
		}
		manual.Advance(time.Nanosecond)
		if l.handOverLate(); h.phase != phaseClosed || l.Claimed() != 0 {
			t.Fatalf("not committed after %s", after)
		}
	}
	expect(start(), claimedFor)

	h := start()
	manual.Advance(200 * time.Millisecond)
	d := h.jobs[0].delivery
	d.State = state.Delivered
	l.settle(h.jobs[0], d, "")
	expect(h, claimedAfterFirst)

	h = start()
	for _, j := range h.jobs {
		d := j.delivery
		d.State = state.Delivered
		l.settle(j, d, "")
	}
	if h.phase != phaseClosed {
		t.Error("all ended, and it is still held")
	}
}

// A key of `once` is given back by `skipped`, at the first attempt and at a later one; nothing else gives it back.
func TestOnceIsFreedBySkipped(t *testing.T) {
	t.Parallel()
	skip := func(*event.Event) error { return connectors.Skip("no e-mail") }
	cases := []struct {
		name   string
		first  func(*event.Event) error // what the first event's Build says
		delay  time.Duration
		status int
		ends   state.DeliveryState
		second state.DeliveryState
	}{
		{"skipped at once", skip, 0, 200, state.Skipped, state.Delivered},
		{"skipped when due", skip, 10 * time.Millisecond, 200, state.Skipped, state.Delivered},
		{"rejected", nil, 0, 422, state.Dead, state.Skipped},
		{"delivered when due", nil, 10 * time.Millisecond, 200, state.Delivered, state.Skipped},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conf := destinations(destination("crm", time.Minute))
			conf.Rules = []*config.Rule{ruleTo("crm", &product{build: func(ev *event.Event) error {
				if ev.OrigID == "first" && c.first != nil {
					return c.first(ev)
				}
				return nil
			}})}
			conf.Rules[0].Once, conf.Rules[0].Delay = true, c.delay
			b := begin(t, conf, func(seen) (int, http.Header) { return c.status, nil })
			for _, want := range []struct {
				id    string
				state state.DeliveryState
			}{{"first", c.ends}, {"second", c.second}} {
				body := `{"type":"response.completed","id":"` + want.id + `","response":{"id":"same"}}`
				ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Received: b.clock.Now(), Verified: "token"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.store.Append(t.Context(), []*event.Event{ev}); err != nil {
					t.Fatal(err)
				}
				b.untilState(ev.ID, "crm", want.state)
			}
		})
	}
}

// Retry-After is obeyed up to a day, the schedule where it is longer; jitter only adds, a tenth at most.
func TestWait(t *testing.T) {
	t.Parallel()
	cases := []struct {
		scheduled, asked time.Duration
		jitter           float64
		want             time.Duration
	}{
		{time.Minute, 0, 0, time.Minute},
		{time.Minute, time.Second, 0, time.Minute},
		{time.Minute, time.Hour, 0, time.Hour},
		{time.Minute, 0, 1, 66 * time.Second},
		{0, time.Hour, 0.5, 63 * time.Minute},
	}
	for _, c := range cases {
		l := New(Options{Jitter: func() float64 { return c.jitter }})
		if got := l.jitteredWait(c.scheduled, c.asked); got != c.want {
			t.Errorf("%s, asked for %s, jitter %g: %s, want %s", c.scheduled, c.asked, c.jitter, got, c.want)
		}
		l.giveUp()
	}
	late := connectors.Response{Status: 503, Header: http.Header{"Retry-After": {"999999"}}, At: time.Now()}
	if v := judge(&product{}, destination("crm"), &late); v.After != 24*time.Hour {
		t.Errorf("asked for 11 days: %s", v.After)
	}
}

// stuck is a store that gives due deliveries and keeps nothing, as one of which a part is gone.
type stuck struct {
	state.Store
	broken         atomic.Bool
	refused, asked atomic.Int32
}

func (s *stuck) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	if s.broken.Load() {
		s.refused.Add(1)
		return nil, state.ErrUnavailable
	}
	return s.Store.Commit(ctx, c)
}

func (s *stuck) ClaimDue(ctx context.Context, ask state.ClaimDue) ([]state.Due, time.Time, error) {
	s.asked.Add(1)
	return s.Store.ClaimDue(ctx, ask)
}

// While no end of a delivery can be kept, none is taken from the due-queue: it would be made again whenever its lease
// ends.
func TestNothingIsClaimedWhileNothingIsKept(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm", time.Minute)), nil)
	store := &stuck{}
	b.wrap = func(s state.Store) state.Store { store.Store = s; return store }
	store.broken.Store(true)
	b.open()
	id := b.accept(1)[0]
	b.until("its end is refused", func() bool { return store.refused.Load() >= 2 })
	asked := store.asked.Load()
	l, since := b.loop.lanes.get(laneKey{"default", "crm"}), int32(0)
	b.until("new deliveries stay behind those that wait, of which nobody knows", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.backlog { // the look that was under way may have said so
			l.fallBehind()
			since = store.refused.Load()
		}
		return store.refused.Load() >= since+4
	})
	if n := store.asked.Load() - asked; n > 1 { // one was under way
		t.Errorf("the due-queue was asked %d times", n)
	}
	store.broken.Store(false)
	b.untilState(id, "crm", state.Delivered)
	asked = store.asked.Load()
	b.until("it is asked again", func() bool { return store.asked.Load() > asked })
}

// A delivery that the gateway has no connection for waits a little: that is no attempt, and no fault of its destination,
// whose circuit stays closed.
func TestNoConnectionFree(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm")), nil)
	var free atomic.Bool
	var busy atomic.Int32
	b.world.send = func(context.Context, seen, outbound.Attempt) outbound.Result {
		if !free.Load() {
			busy.Add(1)
			return outbound.Result{Kind: outbound.Busy, Err: &outbound.Error{Kind: outbound.Busy, Reason: "no connection free"}}
		}
		return ok()
	}
	b.open()
	ids := b.accept(12) // more than open a circuit
	b.until("none finds a connection", func() bool { return busy.Load() >= 12 })
	b.until("it is put off", func() bool {
		d := b.delivery(ids[0], "crm")
		return d != nil && d.State == state.Waiting && d.Reason == "no connection free" && d.Attempts == 0
	})
	free.Store(true)
	for _, id := range ids {
		if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 1 || d.Forgiven != 0 {
			t.Errorf("%d attempts, %d forgiven", d.Attempts, d.Forgiven)
		}
	}
}
