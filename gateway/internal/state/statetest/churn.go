package statetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Churn makes n destinations of a few tenants, delivers to each, puts some on hold, and lets retention and Forget remove
// everything. Names contain round. An engine counts before and after what it has: that must be equal.
func Churn(t *testing.T, h Harness, round string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := &suite{T: t, h: h, ctx: ctx}
	const batch = 256
	var all []*event.Event
	for i := range n {
		all = append(all, s.event(fmt.Sprint("tenant", i%7), fmt.Sprint(round, i)))
	}
	for some := range slices.Chunk(all, batch) {
		s.append(some...)
		var outcomes []state.Outcome
		for i, c := range s.claim(len(some)) {
			name := "to-" + c.Event.DedupeKey
			outcomes = append(outcomes, outcome(c, s.owe(c.Event, name, state.Waiting)))
			if i%10 == 0 {
				s.ok(s.store().Hold(s.ctx, c.Event.Tenant, name+"-idle", state.Hold{Kind: state.HoldPaused, Since: s.h.Now()}, nil))
			}
		}
		s.commit(outcomes...)
		for left := len(some); left > 0; {
			got, _ := s.claimDue(left)
			var settled []state.Settled
			for _, d := range got {
				// The log is that of the attempt alone.
				d.Delivery.State, d.Delivery.Reason = state.Delivered, ""
				tried(1, s.h.Now(), "delivered", 200)(&d.Delivery)
				settled = append(settled, state.Settled{Delivery: d.Delivery, Lease: d.Lease})
				if left--; left%10 == 0 {
					until := state.Hold{Kind: state.HoldRate, Since: s.h.Now(), Until: s.h.Now().Add(time.Minute)}
					s.ok(s.store().Hold(s.ctx, d.Delivery.Tenant, d.Delivery.Destination, until, nil))
				}
			}
			for i, held := range s.settle(settled...) {
				if !held {
					s.Fatalf("the fence of %s was lost", settled[i].Delivery.ID)
				}
			}
		}
	}
	s.h.Advance(40 * 24 * time.Hour)
	month := state.Bound{Age: 30 * 24 * time.Hour}
	retention := state.Retention{Events: month, Dedupe: month, Dead: month, History: state.HistoryBound{Age: month.Age}}
	onHold, err := s.store().Holds(s.ctx, "*")
	s.ok(err)
	for done := (&state.Trimmed{Events: 1}); !done.Nothing(); {
		done, err = s.store().Trim(s.ctx, retention)
		s.ok(err)
	}
	if len(onHold) == 0 {
		s.Fatal("no destination is on hold")
	}
	for _, h := range onHold {
		done, err := s.store().Forget(s.ctx, h.Tenant, h.Destination, &h.Hold)
		s.ok(err)
		if !done {
			s.Fatalf("%s is not forgotten", h.Destination)
		}
	}
}
