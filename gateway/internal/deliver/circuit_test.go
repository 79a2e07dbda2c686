//go:build !race

// One goroutine simulates hours.

package deliver

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const simulated = 16 // requests at once

// simulation is a destination that always has work, behind a circuit, under a clock that steps.
type simulation struct {
	circuit circuit
	now     time.Time
	until   time.Time // open
	flying  []flight
	took    time.Duration
	passes  func() bool

	sent, passed, most int
}

type flight struct {
	end   time.Time
	epoch uint64
}

const step = time.Millisecond

func simulate(took time.Duration, passes func() bool) *simulation {
	return &simulation{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), took: took, passes: passes}
}

func (s *simulation) run(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(step) {
		still := s.flying[:0]
		for _, f := range s.flying {
			if f.end.After(s.now) {
				still = append(still, f)
				continue
			}
			passed := s.passes()
			if passed {
				s.passed++
			}
			if f.epoch == s.circuit.epoch && s.circuit.count(!passed, simulated, s.now) {
				s.until = s.now.Add(s.circuit.open())
			}
		}
		s.flying = still
		for !s.until.After(s.now) && len(s.flying) < s.circuit.atOnce(simulated) {
			s.flying = append(s.flying, flight{s.now.Add(s.took), s.circuit.epoch})
			s.sent++
		}
		s.most = max(s.most, len(s.flying))
	}
}

// ideal is how many attempts end in a time without a circuit.
func (s *simulation) ideal(d time.Duration) int { return int(d/s.took) * simulated }

// A receiver that fails a tenth of its requests, even a half, gets as many as its concurrency allows; so does one that fails
// all of them for a moment.
func TestCircuitUnderPartialFailure(t *testing.T) {
	t.Parallel()
	for _, failing := range []float64{0.1, 0.3, 0.5} {
		random := rand.New(rand.NewPCG(1, 2))
		s := simulate(50*time.Millisecond, func() bool { return random.Float64() >= failing })
		s.run(10 * time.Minute)
		if want := s.ideal(10 * time.Minute); s.sent < want*98/100 {
			t.Errorf("%.0f %% failing: %d attempts, want about %d", 100*failing, s.sent, want)
		}
		s = simulate(50*time.Millisecond, s.passes) // and it recovers from an outage
		s.circuit.open()
		s.run(10 * time.Minute)
		if want := s.ideal(10 * time.Minute); s.sent < want*90/100 {
			t.Errorf("%.0f %% failing after an outage: %d attempts, want about %d", 100*failing, s.sent, want)
		}
	}
	n := 100
	s := simulate(50*time.Millisecond, func() bool { n++; return n%1000 >= 100 }) // a third of a second of each 3 s
	s.run(time.Minute)
	if want := s.ideal(time.Minute); s.sent < want*98/100 {
		t.Errorf("failing in turns: %d attempts, want about %d", s.sent, want)
	}
}

// A receiver that fails everything gets three requests, one after the other, each time the circuit has been open.
func TestCircuitUnderTotalFailure(t *testing.T) {
	t.Parallel()
	for _, took := range []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, 15 * time.Second} {
		s := simulate(took, func() bool { return false })
		s.run(time.Minute) // opens after a first burst
		first := s.sent
		if first > 2*circuitAfter+simulated {
			t.Errorf("%s: %d attempts until it opened", took, first)
		}
		s.run(6 * time.Hour)
		if n := s.sent - first; n < 30*probes || n > 45*probes { // 10 min apart in the end
			t.Errorf("%s: %d probes in six hours", took, n)
		}
	}
	healthy := true
	s := simulate(5*time.Millisecond, func() bool { return healthy })
	s.run(time.Minute)
	healthy = false
	before := s.sent
	s.run(9 * time.Second)
	if most := s.ideal(2 * windowSpan); s.sent-before > most {
		t.Errorf("%d attempts before a circuit of a busy destination opened, want %d at most", s.sent-before, most)
	}
}

// After an outage the requests at once double with each round that passes, and halve where most fail.
func TestCircuitRecoversInSteps(t *testing.T) {
	t.Parallel()
	s := simulate(100*time.Millisecond, func() bool { return true })
	s.circuit.open()
	for round, want := range []int{1, 2, 4, 8, 16, 16} {
		s.most = 0
		s.run(100 * time.Millisecond)
		if s.most != want {
			t.Errorf("round %d has %d requests at once, want %d", round+1, s.most, want)
		}
	}
	if s.circuit.limit != 0 || s.circuit.opened != 0 {
		t.Errorf("not closed: %+v", s.circuit)
	}
	// One that bears four at once and fails what is beyond gets about four, and never has its circuit opened again.
	var narrow *simulation
	narrow = simulate(100*time.Millisecond, func() bool { return len(narrow.flying) <= 4 })
	narrow.circuit.open()
	epoch := narrow.circuit.epoch
	narrow.run(10 * time.Minute)
	if narrow.circuit.epoch != epoch || narrow.passed < int(10*time.Minute/narrow.took) {
		t.Errorf("%d passed, %d openings", narrow.passed, narrow.circuit.epoch-epoch)
	}
}

// A circuit that another replica opens is open here, and half open when that one closes it: not every replica lets its part
// of the backlog out at once.
func TestCircuitOfAnotherReplica(t *testing.T) {
	t.Parallel()
	b, l, now, answer := idleLane(t)
	open := state.Hold{Kind: state.HoldCircuit, Reason: "503", Since: now.Now(), Until: now.Now().Add(20 * time.Second)}
	for _, h := range []state.Hold{open, {}} {
		if err := b.store.Hold(t.Context(), "default", "crm", h, nil); err != nil {
			t.Fatal(err)
		}
		if err := b.loop.learnHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		if l.hold.Kind != h.Kind || l.circuit.limit != 1 {
			t.Errorf("hold %q here where it is %q there, %d at once", l.hold.Kind, h.Kind, l.circuit.limit)
		}
		l.mu.Unlock()
	}
	if n, _ := l.dueCapacity(now.Now()); n != 1 {
		t.Errorf("room for %d", n)
	}
	answer(200, 0)
	if l.circuit.limit != 2 {
		t.Errorf("%d at once after a good answer", l.circuit.limit)
	}
}

// The backlog of an outage goes out step by step: no more at once than have been answered well since, and one more.
func TestBacklogGoesOutInSteps(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm", 10*time.Millisecond), destination("chat", time.Hour))
	b := prepare(t, conf, nil)
	var down atomic.Bool
	var flying, passed, over atomic.Int64
	down.Store(true)
	b.world.send = func(_ context.Context, s seen, _ outbound.Attempt) outbound.Result {
		if s.destination != "default/crm" {
			return ok()
		}
		if down.Load() {
			res := ok()
			res.Response.Status = 503
			return res
		}
		if n := flying.Add(1); n > passed.Load()+1 {
			over.Store(n)
		}
		time.Sleep(time.Millisecond) // so that those which may run at once do
		flying.Add(-1)
		passed.Add(1)
		return ok()
	}
	b.open()
	ids := b.accept(200)
	b.until("the circuit is open", func() bool { return b.hold().Kind == state.HoldCircuit })
	for _, id := range ids { // nobody else notices
		b.untilState(id, "chat", state.Delivered)
		b.untilState(id, "crm", state.Waiting)
	}
	down.Store(false)
	soon := b.hold()
	was := soon
	soon.Until = b.clock.Now().Add(50 * time.Millisecond)
	if err := b.store.Hold(t.Context(), "default", "crm", soon, &was); err != nil {
		t.Fatal(err)
	}
	b.loop.Wake()
	for _, id := range ids {
		b.untilState(id, "crm", state.Delivered)
	}
	if n := over.Load(); n > 0 {
		t.Errorf("%d requests at once, more than had passed before", n)
	}
	if n := passed.Load(); n != 200 {
		t.Errorf("%d requests for 200 deliveries", n)
	}
}
