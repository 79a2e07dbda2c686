package settings

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A destination is noted before its document is deleted. Who ends what waits for deleted ones may look in between: the note must stay,
// until it is too old for a deletion that is still being made.
func TestLeavingWaitsForTheDeletion(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), local(t)
	now := clock.NewManual(time.Unix(1e9, 0))
	there := true
	l := &Leaving{
		Store: store, Clock: now, Log: slog.New(slog.DiscardHandler), HasDestination: func(string, string) bool { return there },
		HoldsChanged: func(context.Context) {}, Due: func() {},
	}
	w := newWriter(t, store)
	version, err := w.Put(ctx, "acme", hook("own", `{"url":"https://example.com/"}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	begin := func() {
		t.Helper()
		if err := store.Hold(ctx, "acme", "own", state.Hold{Kind: state.HoldPaused, Since: now.Now()}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Removed(ctx, "acme", "own"); err != nil {
			t.Fatal(err)
		}
	}
	notes := func(want int) {
		t.Helper()
		if err := l.End(ctx); err != nil {
			t.Fatal(err)
		}
		kept, err := store.List(ctx, systemTenant, kindLeaving)
		if err != nil || len(kept) != want {
			t.Fatalf("%d notes, want %d: %v", len(kept), want, err)
		}
	}
	begin()
	notes(1)
	now.Advance(workFor + time.Second)
	notes(0) // nobody deletes it any more
	begin()
	notes(1)
	if err := w.Delete(ctx, "acme", "webhook/own", version); err != nil {
		t.Fatal(err)
	}
	notes(1) // the deletion is not applied yet
	there = false
	notes(0)
	holds, err := store.Holds(ctx, "acme")
	if err != nil || len(holds) != 0 {
		t.Errorf("%+v %v", holds, err)
	}
}
