package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Two replicas do everything at once while their connections are cut and their calls are cancelled: the lists, counts and orders stay
// those of the records.
func TestListsWhileConnectionsAreCut(t *testing.T) {
	t.Parallel()
	srv := start(t)
	one, other := gate(t, srv.url()), gate(t, srv.url())
	accept(t, one, "first")
	var all sync.WaitGroup
	for i, s := range []*store{one, other, one, other} {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			var ids []string
			for round := range 150 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rng.IntN(40))*time.Millisecond)
				dest := fmt.Sprint("d", rng.IntN(6))
				switch rng.IntN(8) {
				case 0, 1, 2:
					_, _ = s.Append(ctx, eventsOf(t, acme, fmt.Sprint("w", i, "-", round, "-"), 3))
					claimed, _ := s.Claim(ctx, 3, 0)
					c := &state.Commit{}
					for _, x := range claimed {
						d := owing(x, []state.DeliveryState{state.Waiting, state.Dead, state.Delivered}[rng.IntN(3)], time.Now())
						d.Destination = dest
						ids = append(ids, d.ID)
						c.Events = append(c.Events, decided(x, d))
					}
					_, _ = s.Commit(ctx, c)
				case 3, 4:
					due, _, _ := s.ClaimDue(ctx, state.ClaimDue{Max: 3, Lease: time.Second})
					c := &state.Commit{}
					for _, d := range due {
						d.Delivery.State, d.Delivery.Destination = []state.DeliveryState{state.Waiting, state.Dead, state.Delivered}[rng.IntN(3)], dest
						d.Delivery.Attempts++
						d.Delivery.Log = []state.Attempt{{N: d.Delivery.Attempts, At: time.Now(), Verdict: "retry", Status: 503}}
						c.Due = append(c.Due, state.Settled{Delivery: d.Delivery, Lease: d.Lease})
					}
					_, _ = s.Commit(ctx, c)
				case 5:
					if len(ids) > 0 {
						id := ids[rng.IntN(len(ids))]
						_, _ = s.Schedule(ctx, acme, []state.Delivery{{ID: id, Due: time.Now()}})
						_ = s.Drop(ctx, acme, ids[rng.IntN(len(ids))])
					}
				case 6:
					_, _ = s.Trim(ctx, state.Retention{Waiting: state.WaitingBound{Count: 3}, History: state.HistoryBound{PerDestination: 4}, Dead: state.Bound{Age: time.Second}})
				case 7:
					_ = s.Hold(ctx, acme, dest, state.Hold{Kind: state.HoldRate, Since: time.Now(), Until: time.Now().Add(20 * time.Millisecond)}, nil)
					_, _ = s.Forget(ctx, acme, dest, nil)
				}
				cancel()
				if i == 0 && round%5 == 0 {
					srv.try("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				}
			}
		})
	}
	all.Wait()
	counted(t, one)
	h := one.Health(t.Context())
	t.Logf("%d events, %d waiting, %d dead", h.Events, h.Waiting, h.Dead)
	if h.Events == 0 {
		t.Error("nothing was accepted")
	}
}
