package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A destination with capacity is reached in a few rounds, however many have none, and no round reads more than a few pages of
// the list.
func TestReadyDestinationsInParts(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	const sick = 5 * readyMost * readyAsks / 2
	for from := 0; from < sick; from += 1000 {
		args := []any{"ZADD", "surveygate:{0}:service"}
		for i := from; i < min(from+1000, sick); i++ {
			args = append(args, 1, fmt.Sprintf("acme/sick%06d", i))
		}
		srv.do(args...)
	}
	accept(t, s, "a")
	c := hold(t, s, 1)[0]
	commit(t, s, decided(c, owing(c, state.Waiting, time.Time{})))
	ask := state.ClaimDue{Max: 10, Lease: time.Minute, Capacity: func(_, destination string) int {
		if destination == "crm" {
			return 1
		}
		return 0
	}}
	sent := watch(s)
	for round := 1; ; round++ {
		before, now := sent.scripts(), time.Now()
		due, next, err := s.ClaimDue(asked(t.Context()), ask)
		if err != nil {
			t.Fatal(err)
		}
		if n := sent.scripts() - before; n > readyAsks+1 {
			t.Fatalf("round %d took %d scripts", round, n)
		}
		if len(due) == 1 {
			break
		}
		if round == 3 {
			t.Fatalf("not served in %d rounds", round)
		}
		if next.After(now.Add(time.Minute)) || next.IsZero() {
			t.Fatalf("next at %v: the turn is not over", next)
		}
	}
	// Nothing is left: once all were read, ClaimDue asks for no further page.
	for range 4 {
		if _, next, err := s.ClaimDue(t.Context(), ask); err != nil {
			t.Fatal(err)
		} else if next.IsZero() || next.After(time.Now().Add(time.Second)) {
			return
		}
	}
	t.Fatal("it is asked again and again")
}
