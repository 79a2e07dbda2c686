package deliver

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// However attempts come, however long they take and however many requests they have, no window has more than the rate; and
// where there is always work, each window has as many.
func TestPaceHoldsEveryWindow(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		most, window := 1+random.IntN(12), time.Second
		busy, long := seed%2 == 0, 1+random.IntN(min(most, 4))
		p := newPace(most, window)
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		var began []time.Time
		type attempt struct {
			next         time.Time
			left, places int
		}
		var running []attempt
		for now := start; now.Before(start.Add(20 * time.Second)); now = now.Add(5 * time.Millisecond) {
			still := running[:0]
			for _, a := range running {
				if !a.next.After(now) && a.left > 0 {
					a.places = p.countRequest(a.places, now)
					began = append(began, now)
					a.left, a.next = a.left-1, now.Add(time.Duration(random.IntN(300))*time.Millisecond)
				}
				if a.left == 0 || random.IntN(100) == 0 { // an answer may end a chain
					p.giveBack(a.places)
					continue
				}
				still = append(still, a)
			}
			running = still
			for (busy || random.IntN(50) == 0) && p.take(long, now) == 0 {
				began = append(began, now)
				running = append(running, attempt{now.Add(time.Duration(random.IntN(300)) * time.Millisecond), long - 1, long - 1})
			}
		}
		for i := most; i < len(began); i++ {
			if gap := began[i].Sub(began[i-most]); gap < window {
				t.Fatalf("seed %d: %d requests within %s, the rate is %d/s", seed, most+1, gap, most)
			}
		}
		if want := 20 * most; busy && long == 1 && len(began) < want*95/100 {
			t.Errorf("seed %d: %d requests in 20 s, want about %d", seed, len(began), want)
		}
	}
}

// The wait is that until a place is free, and no place is lost to a clock that is not asked in between.
func TestPaceWaits(t *testing.T) {
	t.Parallel()
	p, now := newPace(2, time.Second), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, want := range []time.Duration{0, 0, 700 * time.Millisecond} {
		if got := p.take(1, now); got != want {
			t.Errorf("take %d waits %s, want %s", i+1, got, want)
		}
		if i == 0 {
			now = now.Add(300 * time.Millisecond)
		}
	}
	if got := p.take(1, now.Add(700*time.Millisecond)); got != 0 {
		t.Errorf("after the window it waits %s", got)
	}
	if got := newPace(2, time.Second).take(5, now); got != 0 {
		t.Errorf("a chain that is longer than the rate waits %s for ever", got)
	}
}

// Five a second are five, also where a second's worth was not used before, and whoever delayed what was admitted.
func TestRateInEveryWindow(t *testing.T) {
	t.Parallel()
	d := destination("crm", time.Minute)
	d.Rate = config.Rate{Events: 5, Per: time.Second}
	b := prepare(t, destinations(d), nil)
	release := make(chan struct{})
	b.world.send = func(_ context.Context, s seen, _ outbound.Attempt) outbound.Result {
		if s.event == "e1" {
			<-release
		}
		return ok()
	}
	b.open()
	ids := b.accept(12)
	close(release)
	for _, id := range ids {
		b.untilState(id, "crm", state.Delivered)
	}
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	for i := 5; i < len(b.world.seen); i++ {
		// A worker may be slow to send what it began: half of the window is far more than that, and less than without it.
		if gap := b.world.seen[i].at.Sub(b.world.seen[i-5].at); gap < 500*time.Millisecond {
			t.Errorf("six requests within %s", gap)
		}
	}
}
