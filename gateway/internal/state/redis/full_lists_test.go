package redis

import (
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A full Redis shows lists and standings, also those whose orders are made for it, and destinations are put on hold and forgotten.
func TestFullShowsLists(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	accept(t, s, "a", "b")
	c := hold(t, s, 2)
	now := time.Now()
	commit(t, s, decided(c[0], owing(c[0], state.Waiting, now)), decided(c[1], owing(c[1], state.Dead, now)))
	tenant := c[0].Event.Tenant
	srv.do("DEL", s.shards[0].base+"ordered")
	srv.config("maxmemory", "1mb")
	page, err := s.Deliveries(t.Context(), tenant, state.DeliveryQuery{})
	if err != nil || len(page.Items) != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	srv.do("DEL", s.shards[0].base+"ordered")
	known, err := s.Standing(t.Context(), tenant, nil)
	if err != nil || len(known) != 1 || known[0].Waiting != 1 || known[0].Dead != 1 {
		t.Fatalf("%+v, %v", known, err)
	}
	paused := state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: now.Truncate(time.Microsecond)}
	if err := s.Hold(t.Context(), tenant, "idle", paused, nil); err != nil {
		t.Fatal(err)
	}
	if done, err := s.Forget(t.Context(), tenant, "idle", &paused); err != nil || !done {
		t.Fatalf("forgotten: %v, %v", done, err)
	}
	if left, err := s.AddCounts(t.Context(), []state.Count{countOf(tenant, "crm", now, 1)}); err != nil || len(left) > 0 {
		t.Fatalf("%+v are left, %v", left, err)
	}
	for range 4 {
		if _, err := s.Trim(t.Context(), state.Retention{
			Events: state.Bound{Bytes: 1}, Waiting: state.WaitingBound{Age: time.Nanosecond}, Dead: state.Bound{Age: time.Nanosecond},
			History: state.HistoryBound{Age: time.Nanosecond}, Stats: 1,
		}); err != nil {
			t.Fatal(err)
		}
	}
	counted(t, s)
	if known, err = s.Standing(t.Context(), tenant, nil); err != nil || len(known) > 0 {
		t.Fatalf("%+v, %v", known, err)
	}
}
