package deliver

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// The lanes of removed destinations end, those on hold with their hold, and a destination that comes back is served.
func TestLanesOfRemovedDestinationsEnd(t *testing.T) {
	t.Parallel()
	all := func() (c []*config.Destination) {
		for i := range 20 {
			c = append(c, destination(fmt.Sprint("to", i)))
		}
		return c
	}
	b := begin(t, destinations(all()...), func(seen) (int, http.Header) { return 200, nil })
	lanes := func() int { return len(b.loop.lanes.all()) }
	deliver := func(n int) {
		for _, id := range b.accept(3) {
			for i := range n {
				b.untilState(id, fmt.Sprint("to", i), state.Delivered)
			}
		}
	}
	for round := range 3 {
		b.reload(destinations(all()...))
		deliver(20)
		if n := lanes(); n != 20 {
			t.Errorf("round %d: %d lanes", round, n)
		}
		pause := state.Hold{Kind: state.HoldPaused, Since: b.clock.Now()}
		if err := b.store.Hold(t.Context(), "default", "to19", pause, nil); err != nil {
			t.Fatal(err)
		}
		b.reload(destinations(all()[:5]...))
		b.until("only lanes of destinations and holds are left", func() bool {
			b.loop.HoldsChanged(t.Context())
			return lanes() == 6
		})
		deliver(5)
		if err := b.store.Hold(t.Context(), "default", "to19", state.Hold{}, nil); err != nil {
			t.Fatal(err)
		}
		b.until("only lanes of destinations are left", func() bool {
			b.loop.HoldsChanged(t.Context())
			return lanes() == 5
		})
	}
}

// A delivery that found its lane just before the lane was removed waits in the due-queue.
func TestRemovedLaneTakesNothing(t *testing.T) {
	t.Parallel()
	b, l, now, _ := idleLane(t)
	b.plan.Store(decide.New(destinations()))
	b.loop.lanes.removeUnused(b.loop.Plan(), b.loop.lanes.all(), now.Now())
	if got := b.loop.lanes.all(); len(got) != 0 {
		t.Fatalf("%d lanes", len(got))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason := l.refuses(now.Now()); reason != reasonReloaded {
		t.Errorf("it says %q", reason)
	}
}

// The lane of a destination that was removed while it was disabled, or its document had a fault, ends though it was behind.
func TestLaneOfBlockedDestinationEnds(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]func(*config.Destination){
		"disabled": func(d *config.Destination) { d.Enabled = false },
		"broken":   func(d *config.Destination) { d.Broken = true },
	} {
		b, l, now, _ := idleLane(t)
		blocked := destination("crm")
		block(blocked)
		l.configure(blocked)
		l.mu.Lock()
		l.fallBehind()
		l.mu.Unlock()
		b.plan.Store(decide.New(destinations(blocked)))
		l.caughtUp(now.Now())
		if len(b.loop.lanes.withBacklog()) != 1 {
			t.Errorf("%s: it caught up while it is blocked", name)
		}
		b.plan.Store(decide.New(destinations()))
		l.caughtUp(now.Now())
		b.loop.lanes.removeUnused(b.loop.Plan(), b.loop.lanes.all(), now.Now())
		if got := b.loop.lanes.all(); len(got) != 0 || len(b.loop.lanes.withBacklog()) != 0 {
			t.Errorf("%s: %d lanes", name, len(got))
		}
	}
}
