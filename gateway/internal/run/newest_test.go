package run

import (
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
)

// Which configuration is the newest while replicas run different ones, and when everybody went back to an older one.
func TestNewest(t *testing.T) {
	t.Parallel()
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	manual := clock.NewManual(time.Unix(1e9, 0))
	a, b := &newest{store: store, clock: manual}, &newest{store: store, clock: manual}
	is := func(n *newest, generation string, want bool) {
		t.Helper()
		if got, err := n.is(t.Context(), generation); err != nil || got != want {
			t.Errorf("%s is the newest: %t, want %t (%v)", generation, got, want, err)
		}
	}
	take := func(n *newest, generation string) {
		t.Helper()
		if err := n.take(t.Context(), generation); err != nil {
			t.Fatal(err)
		}
	}
	take(a, "old")
	is(a, "old", true)
	take(b, "new")
	is(a, "old", false)
	is(b, "new", true)

	// As long as somebody runs it, it stays the newest.
	for range 20 {
		manual.Advance(announceEvery)
		if err := b.announce(t.Context(), "new"); err != nil {
			t.Fatal(err)
		}
		if err := a.announce(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		is(a, "old", false)
	}
	// A straggler that starts again is none the newer for it.
	a = &newest{store: store, clock: manual}
	is(a, "old", false)
	// Nobody runs it any more.
	manual.Advance(forgottenAfter - time.Second)
	is(a, "old", false)
	manual.Advance(time.Second)
	is(a, "old", true)
	is(b, "new", false)
	// A reload is somebody's will.
	take(b, "new")
	is(a, "old", false)
	take(a, "old")
	is(a, "old", true)
}
