package run

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
)

// Holds of destinations that no configuration has end after a while, and those of all others stay.
func TestRemovedDestinationsAreForgotten(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(time.Unix(1e9, 0))
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: manual})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	g := &gateway{store: store, clock: manual, log: slog.New(slog.DiscardHandler)}
	use := func(names ...string) {
		c := &config.Config{Retention: state.Retention{History: state.HistoryBound{Age: 30 * 24 * time.Hour}}}
		for _, name := range names {
			c.Destinations = append(c.Destinations, &config.Destination{Item: config.Item{Tenant: "acme", Name: name}})
		}
		g.plan.plan.Store(decide.New(c))
	}
	ctx, seen := t.Context(), removals{}
	look := func(what string, want ...string) {
		t.Helper()
		if err := g.forgetOnce(ctx, seen); err != nil {
			t.Fatal(err)
		}
		holds, err := store.Holds(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range holds {
			got = append(got, h.Destination)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: on hold are %v, want %v", what, got, want)
		}
	}
	hold := func(name string) {
		if err := store.Hold(ctx, "acme", name, state.Hold{Kind: state.HoldPaused, Since: manual.Now()}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"broken", "kept", "removed"} {
		hold(name)
	}
	if _, err := store.Put(ctx, "acme", state.KindDocument, "webhook/broken", []byte("{}"), 0); err != nil {
		t.Fatal(err)
	}
	use("kept")
	look("young", "broken", "kept", "removed")
	manual.Advance(31 * 24 * time.Hour)
	hold("young")
	look("seen for the first time", "broken", "kept", "removed", "young")
	manual.Advance(removedFor - time.Minute)
	use("kept", "removed")
	look("it is back", "broken", "kept", "removed", "young")
	use("kept")
	manual.Advance(time.Hour)
	look("removed again", "broken", "kept", "removed", "young")
	manual.Advance(removedFor)
	look("removed for long", "broken", "kept", "young")
	if len(seen) != 0 {
		t.Errorf("%v are remembered", seen)
	}
}
